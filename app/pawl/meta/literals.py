"""The dials of a Python file: its numeric literals, by stable names, and the file again with some of them changed.

Positions come from `ast`: exact bytes, in C, and with a limit on depth that ends in an exception and not in the process.
Only the bytes of a literal are ever replaced, so everything else of the file stays as its author wrote it.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pawl.core.syntax import parse
from pawl.meta.places import Place, Rank, key_suffix, label_of, last_name, looks_chosen, target_name, words

ENOUGH_CONSTANTS = 3
"""A file with so many constants at its top level has told where its dials are; numbers in its algorithms are left alone."""

_BOM = "\ufeff"
_CHANCE = re.compile(r"seed|rng|random_?state|^random\[|^key\[|^pawl_", re.IGNORECASE)
"""What draws luck, or is told to the run by Pawl. A search that may turn it finds a lucky seed and calls it progress."""
_DUNDER = re.compile(r"(?:^|\.)__\w+__[^.]*$")
_NEVER_WORDS = frozenset({"version", "dtype", "port", "verbose", "debug"})
_SILENT_CALLS = re.compile(
    "print|isinstance|round|_?exit|sleep|debug|info|warning|error|warn|savefig|figure|signal|alarm|getLogger"
)
_STRUCTURAL_ARGUMENTS = re.compile(
    "dims?|ax[ie]s|axes|ndim|nargs|indent|ndigits|stacklevel|maxsplit|start|stop|out|padding|stride|groups|timeout|mode"
    "|flags|buffering|index|offset"
)
_DECIMAL = re.compile(r"[0-9][0-9_]*|(?:[0-9][0-9_]*)?\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?")


class Unreadable(Exception):
    """The file cannot be read as Python; the text says where and why."""


@dataclass(frozen=True)
class Dial:
    """One numeric literal that may be turned."""

    name: str
    text: str
    """The literal as it is written, without its sign."""
    value: float
    start: int
    """First byte of the literal in the file's UTF-8."""
    rank: Rank
    whole: bool
    """Written as an int, and to stay one."""
    exponent: bool = False
    """The k of a literal power such as 2**k."""


@dataclass(frozen=True)
class _Found:
    dial: Dial
    at: Place


def dials(source: str) -> tuple[Dial, ...]:
    """The numeric literals that are worth turning, in the order of the file.

    Raises:
        Unreadable: the file does not parse.
    """
    try:
        walk = _Walk(source.encode())
        for statement in parse(source.removeprefix(_BOM)).body:
            walk.visit(statement, Place(top=True))
    except SyntaxError as error:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise Unreadable(f"line {error.lineno or 1}: {error.msg}, says Python {python}") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None
    except (RecursionError, MemoryError):
        raise Unreadable("its expressions are nested too deeply") from None
    chosen = tuple(walk.worthwhile())
    if sum(dial.rank is Rank.CONSTANT for dial in chosen) >= ENOUGH_CONSTANTS:
        return tuple(dial for dial in chosen if dial.rank is not Rank.OTHER)
    return chosen


def rewrite(source: str, texts: Mapping[Dial, str]) -> str:
    """The source with the text of some dials replaced, and every other byte as it was."""
    data = source.encode()
    out, position = [], 0
    for dial, text in sorted(texts.items(), key=lambda item: item[0].start):
        out += [data[position : dial.start], text.encode()]
        position = dial.start + len(dial.text)
    return b"".join((*out, data[position:])).decode()


class _Walk:
    """One pass over a file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        first = len(_BOM.encode()) if data.startswith(_BOM.encode()) else 0
        self.lines = [first, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", data))]
        self.found: list[_Found] = []
        self.repeats: Counter[str] = Counter()
        self.stores: Counter[str] = Counter()
        self.calls: dict[str, list[frozenset[str]]] = {}

    def worthwhile(self) -> Iterable[Dial]:
        """What was found, less what changes nothing: variables, and defaults that every call overrides."""
        for found in self.found:
            function, parameter = found.at.owner
            calls = self.calls.get(function, [])
            if calls and all(parameter in keywords for keywords in calls):
                continue
            if found.at.direct and self.stores[found.at.assigned] > 1:
                continue
            yield found.dial

    def visit(self, node: ast.AST, at: Place) -> None:
        if _CHANCE.search(at.name):
            return
        match node:
            case ast.Constant():
                self._literal(node, at)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                self.visit(operand, replace(at, sign=-at.sign))
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                if (
                    isinstance(left, ast.Constant)
                    and left.value in (2, 10)
                    and isinstance(right, ast.Constant)
                ):
                    self._literal(right, at, exponent=True)
                else:
                    self.visit(left, replace(at, direct=False))
            case ast.Subscript():  # what stands in the brackets is structure
                self.visit(node.value, at)
            case ast.Tuple() | ast.List() | ast.Set():
                for index, element in enumerate(node.elts):
                    self.visit(element, replace(at, name=f"{at.name}[{index}]"))
            case ast.Dict():
                for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
                    self.visit(value, replace(at, name=at.name + key_suffix(key, index)))
            case ast.Assign(targets=targets, value=value):
                self._assign(targets, value, at)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self._assign([target], value, at)
            case ast.AugAssign(target=target, value=value):
                name = self._store(target, at)
                self.stores[name] += 1  # changed in place: a variable, wherever else it is set
                self.visit(value, replace(at, name=name or at.name, rank=Rank.OTHER, direct=False, top=False))
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self._function(node, at)
            case ast.ClassDef():
                if not any("Enum" in ast.dump(base) or "Flag" in ast.dump(base) for base in node.bases):
                    inside = Place(scope=(*at.scope, node.name), name=at.within(node.name), in_class=True)
                    self._all(node.body, inside)
            case ast.Call():
                self._call(node, at)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                if all(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in ops):
                    self._all([left, *comparators], replace(at, direct=False))
            case ast.Global(names=names) | ast.Nonlocal(names=names):
                self.stores.update(names * 2)
            case ast.For(target=target) | ast.AsyncFor(target=target):
                self._store(target, at)
                self._all(ast.iter_child_nodes(node), replace(at, top=False))
            case ast.JoinedStr() | ast.Raise() | ast.Assert() | ast.MatchValue() | ast.MatchMapping():
                return
            case _:
                direct = at.direct and isinstance(node, (ast.IfExp, ast.Starred))
                self._all(ast.iter_child_nodes(node), replace(at, top=False, direct=direct, in_class=False))

    def _all(self, nodes: Iterable[ast.AST], at: Place) -> None:
        for node in nodes:
            self.visit(node, at)

    def _assign(self, targets: list[ast.expr], value: ast.expr, at: Place) -> None:
        target = targets[0]
        both = isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List))
        if both and len(target.elts) == len(value.elts):  # type: ignore[attr-defined]
            for one, other in zip(target.elts, value.elts, strict=True):  # type: ignore[attr-defined]
                self._assign([one], other, at)
            return
        names = [self._store(each, at) for each in targets]
        rank = Rank.CONSTANT if at.top else Rank.ARGUMENT if at.in_class else Rank.OTHER
        owner = (at.scope[-1], getattr(target, "id", "")) if at.in_class else ("", "")
        name = names[0] or at.name
        inside = Place(at.scope, name, rank, direct=True, assigned=names[0], owner=owner)
        self.visit(value, inside)

    def _store(self, target: ast.expr, at: Place) -> str:
        name = target_name(target, at)
        if name:
            self.stores[name] += 1
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._store(element, at)
        return name

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, at: Place) -> None:
        owner = at.scope[-1] if at.in_class and node.name == "__init__" else node.name
        prefix = at.within(node.name) if owner == node.name else ".".join(at.scope)
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        pairs = [
            *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]
        for parameter, default in pairs:
            if default is not None:
                name = f"{prefix}.{parameter.arg}"
                self.visit(
                    default,
                    Place(at.scope, name, Rank.ARGUMENT, direct=True, owner=(owner, parameter.arg)),
                )
        self._all(node.body, Place(scope=(*at.scope, node.name), name=at.within(node.name)))

    def _call(self, node: ast.Call, at: Place) -> None:
        callee = last_name(node.func)
        keywords = [keyword.arg for keyword in node.keywords]
        self.calls.setdefault(callee, []).append(frozenset(filter(None, keywords)))
        if _SILENT_CALLS.fullmatch(callee):
            return
        if not isinstance(node.func, ast.Name):
            self.visit(node.func, replace(at, direct=False, rank=Rank.OTHER, top=False))
        label = label_of(node)
        at = replace(at, sign=1, assigned="", owner=("", ""), top=False)
        for index, argument in enumerate(node.args):
            name = f"{label or callee}[{index}]"
            self.visit(argument, replace(at, name=name, rank=Rank.OTHER, direct=False))
        for keyword in node.keywords:
            if keyword.arg is None or _STRUCTURAL_ARGUMENTS.fullmatch(keyword.arg):
                continue
            if keyword.arg == "default":
                name = label or at.name
            else:
                name = f"{at.name if callee == 'dict' and at.name else callee}.{keyword.arg}"
            self.visit(keyword.value, replace(at, name=name, rank=Rank.ARGUMENT, direct=True))

    def _literal(self, node: ast.Constant, at: Place, exponent: bool = False) -> None:
        value = node.value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or node.end_col_offset is None:
            return
        # Counted before it is judged, so that a changed value renames no neighbour.
        self.repeats[at.name] += 1
        start = self.lines[node.lineno - 1] + node.col_offset
        text = self.data[start : self.lines[node.lineno - 1] + node.end_col_offset].decode("ascii", "replace")
        if _DUNDER.search(at.name) or _NEVER_WORDS & set(words(at.name)):
            return
        whole = isinstance(value, int)
        if len(text) > 30 or not _DECIMAL.fullmatch(text) or (exponent and not whole):
            return
        if (whole and int(text.replace("_", "")) != value) or (not whole and float(text) != value):
            return
        if looks_chosen(value, at, exponent):
            number = self.repeats[at.name]
            name = (at.name or "number") + (f"#{number}" if number > 1 else "")
            self.found.append(_Found(Dial(name, text, at.sign * value, start, at.rank, whole, exponent), at))
