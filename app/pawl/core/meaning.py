"""What a file's bytes say, whatever their layout: to find one program written twice, and edits that only hunt for seeds."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from pawl.core.digest import sha256
from pawl.core.syntax import parse

_SEED = re.compile(
    r"(?i)(?!(?:n|num|number_of|max|min)_)(?:\w+_)?seeds?(?:_(?:all|everything|value|base|offset))?|random_state"
)
"""Names of seeds; ``n_seeds`` and ``seed_length`` are numbers of another kind."""
_SEEDED = frozenset({"default_rng", "RandomState", "Random", "PRNGKey", "Generator"})
"""Calls whose first argument is a seed, though their names do not say so."""


def meaning_of(path: str, content: bytes) -> str:
    """Digest of what a file says: comments, layout and quotes do not change it.

    Docstrings do: a program can read them, and in a harness they are often what a model is told of a tool.

    Args:
        path: its name; only ``.py`` is read as Python.
        content: its bytes. Text that Python cannot read is taken line by line, less white space at the ends.
    """
    text = content.decode("utf-8", errors="replace")
    if path.endswith(".py"):
        tree = _read(text)
        if tree is not None:
            return sha256(tree)
    lines = (line.rstrip() for line in text.splitlines())
    return sha256("\n".join(line for line in lines if line))


def seed_only(path: str, before: bytes, after: bytes) -> bool:
    """Whether two versions of a file differ in values of seeds and in nothing else that they say."""
    if not path.endswith(".py") or meaning_of(path, before) == meaning_of(path, after):
        return False
    plain = [_read(content.decode("utf-8", errors="replace"), seedless=True) for content in (before, after)]
    return plain[0] is not None and plain[0] == plain[1]


def _read(text: str, seedless: bool = False) -> str | None:
    try:
        tree = parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                node.kind = None  # u"" is ""
        if seedless:
            for place in [place for node in ast.walk(tree) for place in _seeds(node)]:
                _blank(place)
        return ast.dump(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _seeds(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions in a node that are seeds by their name, or by what they are handed to."""
    match node:
        case ast.Assign(targets=targets, value=value):
            if any(map(_is_seed, targets)):
                yield value
        case (
            ast.AnnAssign(target=target, value=ast.expr() as value)
            | ast.AugAssign(target=target, value=value)
        ):
            if _is_seed(target):
                yield value
        case ast.NamedExpr(target=target, value=value) if _is_seed(target):
            yield value
        case ast.keyword(arg=str(name), value=value) if _SEED.fullmatch(name):
            yield value
        case ast.Call(func=func, args=[first, *_]):
            if _is_seed(func) or _name(func) in _SEEDED:
                yield first
        case ast.Dict(keys=keys, values=values):
            yield from (value for key, value in zip(keys, values, strict=True) if key and _is_seed(key))
        case ast.arguments():
            named = [*node.posonlyargs, *node.args]
            pairs = [*zip(reversed(named), reversed(node.defaults), strict=False)]
            for argument, default in [*pairs, *zip(node.kwonlyargs, node.kw_defaults, strict=True)]:
                if default is not None and _SEED.fullmatch(argument.arg):
                    yield default


def _blank(seed: ast.expr) -> None:
    """Make every number that a seed is put together from the same one; what is handed to a call is none."""
    match seed:
        case ast.Constant(value=int() | float()):
            seed.value = 0
        case ast.UnaryOp(operand=inner):
            _blank(inner)
        case ast.BinOp(left=left, right=right):
            _blank(left)
            _blank(right)
        case ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
            for part in parts:
                _blank(part)


def _is_seed(node: ast.expr) -> bool:
    """Whether a name, an attribute, or the key of an entry names a seed."""
    match node:
        case ast.Subscript(slice=key):
            return _is_seed(key)
        case ast.Constant(value=str(name)):
            return _SEED.fullmatch(name) is not None
    return _SEED.fullmatch(_name(node)) is not None


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
