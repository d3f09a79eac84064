"""Reads ``.github/pawl.yml`` and says, with line and column, what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pawl.core.config import CONFIG_PATH, Config, config_schema
from pawl.core.config_values import IN_WORDS
from pawl.core.digest import canonical_json

MAX_BYTES = 64 * 1024
MAX_DEPTH = 50
"""Brackets that may be open at once, and levels that may lie in each other: YAML's own reader is quadratic in them."""
MAX_VALUES = 10_000
"""Values of a document with every alias written out."""

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, where, and what to write instead. Lines and columns count from 1."""

    message: str
    file: str = CONFIG_PATH
    line: int = 1
    column: int = 1
    key: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {self.key}: {self.message}" if self.key else f"{where}: {self.message}"


class ConfigError(Exception):
    """A configuration that cannot be used, with everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def parse_config(text: str, file: str = CONFIG_PATH) -> Config:
    """The configuration in a text.

    Raises:
        ConfigError: with one problem for each thing that is wrong.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError([Problem(f"the file is larger than {MAX_BYTES // 1024} KiB", file)])
    reader = _Reader(file)
    try:
        document = _compose(text, file)
        value = reader.value(document)
    except _Unusable as error:
        raise ConfigError([error.problem]) from None
    if value is None:
        raise ConfigError([Problem("the file is empty; `pawl init` writes a first one", file)])
    if not isinstance(value, dict):
        raise ConfigError([Problem("the file must be a mapping with the key `loops`", file)])
    try:
        # As JSON, so that strict types still take a list for a tuple.
        return Config.model_validate_json(canonical_json(value), strict=True)
    except ValidationError as error:
        problems = [_problem(reader.places, dict(item), file) for item in error.errors()]
        raise ConfigError(sorted(problems, key=lambda problem: (problem.line, problem.column))) from None


class _Unusable(Exception):
    """Leaves the reading of a text at its first problem."""

    def __init__(self, message: str, file: str, node: Node | None = None) -> None:
        mark = node.start_mark if node is not None else None
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.problem = Problem(message, file, line, column)
        super().__init__(message)


def _compose(text: str, file: str) -> Node | None:
    """The text's nodes with their places, before anything is made of them. Composing has no side effects."""
    for line, depth in _depths(text):
        if depth > MAX_DEPTH:
            raise ConfigError([Problem(f"more than {MAX_DEPTH} brackets are open at once", file, line)])
    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        node: Node | None = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        said = error.problem or error.context or "it cannot be read"
        if "'\\t'" in said:
            said += "; indent with spaces"
        raise ConfigError([Problem(f"not YAML: {said}", file, line, column)]) from None
    except RecursionError:
        raise _Unusable("not YAML that anybody could read: it lies too deep in itself", file) from None
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        # ruamel.yaml stumbles over some malformed directives and characters in its own code.
        said = (str(error) or type(error).__name__).splitlines()[0]
        raise _Unusable(f"not YAML: {said}", file) from None
    return node


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """For each line the largest number of brackets open in it, a quoted one counted like any other."""
    depth = 0
    for number, line in enumerate(text.split("\n"), start=1):
        deepest = depth
        for char in line:
            depth = depth + 1 if char in "[{" else max(0, depth - 1) if char in "]}" else depth
            deepest = max(deepest, depth)
        yield number, deepest


@dataclass
class _Reader:
    """Plain values of YAML's nodes, and where each key and item stands."""

    file: str
    places: dict[tuple[str | int, ...], tuple[int, int]] = field(default_factory=dict)
    left: int = MAX_VALUES

    def value(self, node: Node | None, path: tuple[str | int, ...] = ()) -> Any:
        """The value of a node.

        Raises:
            _Unusable: something that a configuration has no use for: a tag, a merge key, a key that is no text, an alias
                that contains itself or multiplies.
        """
        self.left -= 1
        if self.left < 0 or len(path) > MAX_DEPTH:
            raise _Unusable("too much, or too deep: do its aliases contain each other?", self.file, node)
        if node is None:
            return None
        if isinstance(node, MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, SequenceNode) and node.tag == f"{_TAG}seq":
            items = []
            for index, item in enumerate(node.value):
                self._put((*path, index), item)
                items.append(self.value(item, (*path, index)))
            return items
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, item in node.value:
            if name.tag == f"{_TAG}merge":
                raise _Unusable(
                    "merge keys (<<) are not supported; repeat the lines, or use an alias", self.file, name
                )
            if not isinstance(name, ScalarNode) or not str(name.tag).startswith(_TAG):
                raise _Unusable("a key must be plain text", self.file, name)
            key = self._text(name)
            if key in values:
                raise _Unusable(f"the key {key!r} is here a second time", self.file, name)
            self._put((*path, key), name)
            values[key] = self.value(item, (*path, key))
        return values

    def _scalar(self, node: Node) -> str | int | float | bool | None:
        kind = str(node.tag).removeprefix(_TAG)
        if not isinstance(node, ScalarNode) or kind not in (
            "str",
            "int",
            "float",
            "bool",
            "null",
            "timestamp",
        ):
            raise _Unusable(
                f"the tag {node.tag} is not supported; write the value without it", self.file, node
            )
        text = self._text(node)
        try:
            if kind == "int":
                return _integer(text)
            if kind == "float":
                return _finite(text)
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
        except (ValueError, LookupError):
            raise _Unusable(f"{_shown(text)} is no {kind} that can be used here", self.file, node) from None
        return None if kind == "null" else text

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise _Unusable("half of a surrogate pair is no character", self.file, node)
        return text

    def _put(self, path: tuple[str | int, ...], node: Node) -> None:
        self.places[path] = (node.start_mark.line + 1, node.start_mark.column + 1)


def _integer(text: str) -> int:
    number = int(text, 0 if text.lstrip("+-")[:2] in ("0x", "0o") else 10)
    if abs(number) >= 2**63:
        raise ValueError(text)
    return number


def _finite(text: str) -> float:
    number = float(text)  # YAML's own .inf and .nan are no numbers to Python, nor of any use here
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _problem(
    places: dict[tuple[str | int, ...], tuple[int, int]], error: dict[str, Any], file: str
) -> Problem:
    """A finding of the model, at the deepest part of its location that is really in the document."""
    location = tuple(part for part in error["loc"] if part != "[key]")
    known = (location[:length] for length in range(len(location), 0, -1))
    line, column = next((places[part] for part in known if part in places), (1, 1))
    key = ".".join(str(part) for part in location)
    return Problem(message=said(error), file=file, line=line, column=column, key=key)


def said(error: dict[str, Any]) -> str:
    """Pydantic's finding in words that say what to do."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this key is missing"
    if kind == "extra_forbidden":
        return f"no such key; see docs/configuration.md for those there are{_meant(str(error['loc'][-1]))}"
    if kind == "literal_error":
        return f"must be {context.get('expected')}, not {_shown(error.get('input'))}"
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return f"{_shown(error.get('input'))} is not allowed here; {IN_WORDS.get(pattern, f'it must match {pattern}')}"
    if kind == "too_short":
        return "it is empty; at least one is needed"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"must be a mapping of keys, not {_shown(error.get('input'))}"
    if kind in ("tuple_type", "list_type"):
        return f"must be a list, not {_shown(error.get('input'))}"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}, not {_shown(error.get('input'))}"


def _meant(key: str) -> str:
    """The key that was probably meant, wherever in the file it belongs; empty where none is like it."""
    parts = config_schema()["$defs"].values()
    close = get_close_matches(key, {name for part in parts for name in part.get("properties", ())}, 1, 0.75)
    return f" (did you mean {close[0]}?)" if close else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
