"""An edit, and what an edit may be: the one editable file, readable by a person, within its caps."""

from __future__ import annotations

import ast
import difflib
import io
import re
import tokenize
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from pawl.core.digest import TreeEntry
from pawl.core.syntax import parse

MAX_BYTES = 512 * 1024
MAX_LINE = 400
"""Characters of a line that is new in a candidate."""
MAX_LITERAL = 1024
"""Characters of a string, or elements of a collection, that is new in a candidate: more than that is a table of answers."""

REGULAR_MODES = ("100644", "100755")
# Cf covers bidirectional controls and zero-width characters (CVE-2021-42574); these are the other invisible ones.
_INVISIBLE = frozenset({"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f"})


@dataclass(frozen=True)
class Edit:
    """The new content of the editable file, and why somebody thinks it is better."""

    content: str
    hypothesis: str
    proposer: str
    predicted: float | None = None
    """The effect that is expected, in the metric's unit, positive where better."""
    parameters: Mapping[str, float] = field(default_factory=dict)
    """What an offline proposer chose, by name, so that it can learn from the ledger alone."""


def objections(path: str, base: bytes, candidate: bytes, changed_lines: int) -> tuple[str, ...]:
    """What is wrong with a candidate's bytes, as sentences; empty if nothing is.

    Args:
        path: the editable file.
        base: its bytes on the base.
        candidate: its proposed bytes.
        changed_lines: how many lines may be added and removed together.
    """
    if candidate == base:
        return ("the edit changes nothing",)
    if len(candidate) > MAX_BYTES:
        return (f"the file would be {len(candidate):,} bytes, {MAX_BYTES:,} are allowed",)
    try:
        text = candidate.decode("utf-8")
    except UnicodeDecodeError as error:
        return (f"the file would not be UTF-8 (byte {error.start})",)
    if path.endswith(".py") and (encoding := _declared(candidate)) not in ("utf-8", _declared(base)):
        # Python decodes the file by its own first lines: in UTF-7 a comment can hold code.
        return (f"{path}: it declares the encoding {encoding}, so it would not run as it reads",)
    before = base.decode("utf-8", errors="replace")
    return tuple(_objections(path, before, text, changed_lines))


def _objections(path: str, before: str, text: str, changed_lines: int) -> Iterator[str]:
    old, new = _lines(before), _lines(text)
    changes = difflib.unified_diff(old, new, lineterm="", n=0)
    count = sum(line[0] in "+-" for line in islice(changes, 2, None))  # behind the names of the files
    if count > changed_lines:
        yield f"{count} lines change, {changed_lines} are allowed (limits.changed_lines)"
    known, returns = set(old), "\r\n" in before
    for number, line in enumerate(new, start=1):
        if line in known:
            continue
        line = line.removesuffix("\n").removesuffix("\r" if returns else "")
        if len(line) > MAX_LINE:
            yield f"{path}:{number}: a new line of {len(line):,} characters, {MAX_LINE} are allowed"
        hidden = next((char for char in line if _hidden(char)), None)
        if hidden is not None:
            yield f"{path}:{number}: the character U+{ord(hidden):04X} does not show, so nobody could review it"
    if path.endswith(".py"):
        yield from _python(path, before, text)


def _hidden(char: str) -> bool:
    return (
        unicodedata.category(char) in ("Cf", "Cc", "Co", "Cn", "Zl", "Zp") and char != "\t"
    ) or char in _INVISIBLE


def _lines(text: str) -> list[str]:
    """Lines as git counts them, with their ends; str.splitlines() would also split, and hide, at U+2028 or a form feed."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def _declared(content: bytes) -> str:
    try:
        return tokenize.detect_encoding(io.BytesIO(content).readline)[0].removesuffix("-sig")
    except SyntaxError:
        return "utf-8"  # an encoding that does not exist: Python will not run the file


def _python(path: str, before: str, text: str) -> Iterator[str]:
    tree = _parsed(text)
    if tree is None:
        return  # a file that does not parse dies in the first second of its run, as a crash like any other
    base = _parsed(before)
    known = {_shown(node) for node in _big(base)} if base else set()
    for node in _big(tree):
        shown = _shown(node)
        if shown is None or shown not in known:
            yield f"{path}:{node.lineno}: a literal larger than {MAX_LITERAL} characters or elements is new"
            break
    if not text.isascii():
        yield from _lookalikes(path, before, text)


def _lookalikes(path: str, before: str, text: str) -> Iterator[str]:
    """Names as they are written: the parser would already have made ASCII of many a letter (PEP 3131, NFKC)."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            name = token.string
            if token.type not in (tokenize.NAME, tokenize.ERRORTOKEN) or name.isascii() or name in before:
                continue
            yield (
                f"{path}:{token.start[0]}: the identifier {name!a} has letters outside ASCII, "
                "which can look like others"
            )
    except (tokenize.TokenError, SyntaxError):
        yield f"{path}: it has letters outside ASCII in places that cannot be told apart"


def _parsed(text: str) -> ast.AST | None:
    try:
        return parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _big(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.expr) and _size(node) > MAX_LITERAL:
            yield node


def _size(node: ast.expr) -> int:
    """Characters, elements or bytes of a literal; 0 for every other expression."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, (str, bytes)):
            return len(node.value)
        return node.value.bit_length() // 8 if isinstance(node.value, int) else 0
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return len(node.elts)
    return len(node.keys) if isinstance(node, ast.Dict) else 0


def _shown(node: ast.expr) -> str | None:
    """What a literal says, however it is laid out; none for one that Python itself cannot print."""
    try:
        return ast.dump(node)
    except (ValueError, RecursionError):
        return None


def scope_objection(base: Iterable[TreeEntry], head: Iterable[TreeEntry], path: str) -> str | None:
    """Why a commit is no edit of exactly the one editable file; none if it is.

    The raw trees are compared, so a rename, a mode change, a submodule or an attribute file is seen as what it is.
    """
    before = {entry.path: entry for entry in base}
    after = {entry.path: entry for entry in head}
    touched = sorted(
        name for name in before.keys() | after.keys() if before.get(name) != after.get(name) and name != path
    )
    if touched:
        more = f" and {len(touched) - 1} more" if len(touched) > 1 else ""
        return f"it touches {touched[0]}{more}; only {path} may change"
    if path not in before:
        return f"{path} is not on the base"
    if path not in after:
        return f"it deletes {path}"
    if after[path].mode != before[path].mode:
        return f"it changes the mode of {path} from {before[path].mode} to {after[path].mode}"
    if after[path].mode not in REGULAR_MODES:
        return f"{path} is no regular file (mode {after[path].mode})"
    if after[path].sha == before[path].sha:
        return "it changes nothing"
    return None


def unified_diff(path: str, before: str, after: str) -> str:
    """The edit as git would show it."""
    lines = difflib.unified_diff(_lines(before), _lines(after), f"a/{path}", f"b/{path}")
    out = []
    for line in lines:
        out.append(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n")
    return "".join(out)
