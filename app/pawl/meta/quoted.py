"""Foreign text as a model is shown it: bounded, readable, and in a quote that it cannot leave."""

from __future__ import annotations

import re
import unicodedata

from pawl.core.digest import sha256

_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Sequences that a terminal would obey (ECMA-48)."""
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\ufeff")
LINE = 500
"""Characters of one line; what is longer is cut."""


def readable(text: str) -> str:
    """A text without what does not show: control characters, terminal sequences, bidirectional and invisible characters."""
    text = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(char for char in text if _shows(char))


def _shows(char: str) -> bool:
    if char in "\n\t" or (" " <= char <= "~"):
        return True
    return (
        unicodedata.category(char) not in ("Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp")
        and char not in _INVISIBLE
    )


def cut(text: str, limit: int) -> str:
    """A text of at most about `limit` characters: its head and, twice as much, its tail, with what is missing named."""
    if len(text) <= limit:
        return text
    head, tail = limit // 3, limit - limit // 3
    missing = len(text) - head - tail
    return f"{text[:head]}\n[… {missing:,} characters left out …]\n{text[-tail:] if tail else ''}"


def quote(what: str, text: str, limit: int = 4000) -> str:
    """A text as data: between two lines that name what it is, and that it cannot contain.

    Args:
        what: whose words these are, in Pawl's own words.
        text: anything at all.
        limit: characters that are shown.
    """
    lines = (line if len(line) <= LINE else f"{line[:LINE]}[…]" for line in readable(text).split("\n"))
    shown = cut("\n".join(lines), limit)
    # Derived from the text, so that the same text is always shown alike.
    mark = sha256(f"{what}\0{text}")[:12]
    while mark in shown:
        mark = sha256(mark)[:12]
    return f"<<<{mark} {what}\n{shown}\n{mark}>>>"


def line(text: str, limit: int = 200) -> str:
    """A text as one short line of data, in quotation marks."""
    flat = " ".join(readable(text[: limit * 4]).split()).replace('"', "'")
    return f'"{flat[:limit]}{"…" if len(flat) > limit else ""}"'
