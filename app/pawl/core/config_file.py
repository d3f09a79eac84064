"""Reads ``.github/pawl.yml`` and says, with line and column, what is wrong with it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pawl.core.config import CONFIG_PATH, Config

MAX_BYTES = 256 * 1024


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
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError([Problem(f"the file is larger than {MAX_BYTES // 1024} KiB", file)])
    try:
        document = YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigError(
            [Problem(f"not YAML: {error.problem or error.context}", file, line, column)]
        ) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([Problem(f"not YAML: {str(error).splitlines()[0]}", file)]) from None
    if document is None:
        raise ConfigError([Problem("the file is empty; `pawl init` writes a first one", file)])
    if not isinstance(document, CommentedMap):
        raise ConfigError([Problem("the file must be a mapping with the key `loops`", file)])
    try:
        return Config.model_validate(_plain(document))
    except ValidationError as error:
        raise ConfigError([_problem(document, dict(item), file) for item in error.errors()]) from None


def _plain(node: Any) -> Any:
    """Round-trip nodes as plain values, so that strict types see what they are."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def _problem(document: CommentedMap, error: dict[str, Any], file: str) -> Problem:
    location = [part for part in error["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    line, column = _position(document, location)
    message = _said(error)
    key = ".".join(str(part) for part in location if part != "[key]")
    return Problem(message=message, file=file, line=line, column=column, key=key)


def _position(document: Any, location: list[Any]) -> tuple[int, int]:
    """Where the deepest part of a location that is really in the document stands."""
    node, line, column = document, 1, 1
    for part in location:
        if isinstance(node, CommentedMap):
            found = next((key for key in node if str(key) == part), None)
            if found is None:
                break
            mark = node.lc.key(found)
            node = node[found]
        elif isinstance(node, CommentedSeq) and isinstance(part, int) and part < len(node):
            mark = node.lc.item(part)
            node = node[part]
        else:
            break
        line, column = mark[0] + 1, mark[1] + 1
    return line, column


def _said(error: dict[str, Any]) -> str:
    """Pydantic's finding in words that say what to do."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "this key is missing"
    if kind == "extra_forbidden":
        return "no such key; see docs/configuration.md for those there are"
    if kind == "literal_error":
        return f"must be {context.get('expected')}, not {_shown(error.get('input'))}"
    if kind == "string_pattern_mismatch":
        return f"{_shown(error.get('input'))} is not allowed here; it must match {context.get('pattern')}"
    if kind == "value_error":
        return str(context.get("error", error["msg"]))
    message = str(error["msg"])
    return f"{message[:1].lower()}{message[1:]}, not {_shown(error.get('input'))}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
