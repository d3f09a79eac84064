"""Where a literal stands in a file, and the stable name it has there.

A name says what the author calls the thing (a constant, a field, an argument), and never a line number, so that what the
ledger says about it still holds after other edits.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from enum import IntEnum

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|[0-9]+")
_UNITS = frozenset({60, 100, 1000, 1024, 3600, 10**6})


class Rank(IntEnum):
    """Where a literal stands: the lower, the more likely that its author meant it as a dial."""

    CONSTANT = 0
    ARGUMENT = 1
    OTHER = 2


@dataclass(frozen=True)
class Place:
    """What the walk knows about where it is."""

    scope: tuple[str, ...] = ()
    name: str = ""
    rank: Rank = Rank.OTHER
    direct: bool = False
    """The literal itself is the value, perhaps in a container: no arithmetic around it, no position in a call."""
    sign: int = 1
    assigned: str = ""
    """The variable that is assigned, if one is."""
    owner: tuple[str, str] = ("", "")
    """Function or class, and its parameter or field, whose default this is."""
    top: bool = False
    in_class: bool = False

    def within(self, part: str) -> str:
        """The full name of something in this scope."""
        return ".".join((*self.scope, part))


def words(name: str) -> list[str]:
    """The words of a name in lower case: ``model.nHead_DIM`` is model, n, head, dim."""
    return [word.lower() for word in _WORD.findall(name)]


def target_name(target: ast.expr, at: Place) -> str:
    """The name of what an assignment sets; empty where it has none."""
    match target:
        case ast.Name(id=name):
            return at.within(name)
        case ast.Attribute(value=ast.Name(id="self"), attr=attribute):
            return ".".join((*at.scope[:-1], attribute))
        case ast.Attribute(value=value, attr=attribute):
            return f"{last_name(value)}.{attribute}"
        case ast.Subscript(value=value, slice=ast.Constant(value=str(key))) if key.isidentifier():
            return f"{last_name(value)}.{key}"
    return ""


def last_name(node: ast.expr) -> str:
    """The last part of a dotted name."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else "call"


def key_suffix(key: ast.expr | None, index: int) -> str:
    """How a dictionary's value is told from its neighbours: by its key, or else by where it stands."""
    if isinstance(key, ast.Constant) and isinstance(key.value, str) and key.value.isidentifier():
        return f".{key.value}"
    return f"[{index}]"


def label_of(node: ast.Call) -> str:
    """What a call's first argument calls the thing: the ``lr`` of ``add_argument("--lr", default=3e-4)``."""
    if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
        text = node.args[0].value.lstrip("-").replace("-", "_")
        return text if text.isidentifier() else ""
    return ""


def looks_chosen(value: float, at: Place, exponent: bool) -> bool:
    """Whether a number looks chosen, rather than being structure, a unit, a guard against zero or a sentinel."""
    meant = at.rank is not Rank.OTHER
    if exponent:
        return value >= 1 and (meant or value > 4)
    if value == 0:
        return isinstance(value, float) and meant and at.direct
    if not 1e-7 <= value < 1e9:
        return False
    if isinstance(value, int):
        least = (1 if meant else 2) if at.direct else (3 if meant else 5)
        return value >= least and (at.direct or value not in _UNITS)
    return at.direct or value not in _UNITS | {0.5, 1.0, 2.0}
