"""Python's own parser, for text that somebody else wrote."""

from __future__ import annotations

import ast
import warnings

TRIES = 20


def parse(text: str) -> ast.Module:
    """The syntax tree of a text; warnings about somebody else's style are not shown.

    Raises:
        SyntaxError: the text is no Python that this interpreter reads.
        ValueError: it holds a null byte.
        RecursionError: it is nested too deeply (so is MemoryError, for some texts).
    """
    for _ in range(TRIES - 1):
        try:
            return _parse(text)
        except SystemError:
            # CPython counts the depth of a tree in one place for all threads, and two that parse at once make it stumble
            # (python/cpython#106905, "AST constructor recursion depth mismatch"). The text is innocent: again.
            continue
    return _parse(text)


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(text)
