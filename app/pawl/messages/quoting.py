"""Foreign text made inert: as inline code, as a sentence, in a fence, in a commit message.

Text is foreign unless it is `Safe`. GitHub finds mentions, references and links in the *rendered* page, so a backslash does
not silence ``@name`` or ``#12``; only code does. Nothing here relies on invisible characters.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

INLINE_LIMIT = 200
"""Characters of foreign text in a line."""
BLOCK_LIMIT = 4000
"""Characters of foreign text in a fence."""

_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_INVISIBLE = frozenset({"\u115f", "\u1160", "\u3164", "\uffa0", "\u2800", "\u034f"})
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})

# A word of a sentence: letters, digits and the signs that mean nothing to Markdown inside a line. All others become code.
_WORD = re.compile(r"[(\"']?[+-]?[^\W_](?:[^\W_]|[.,%+='-])*[)\"',.;:?!…]*|[=+-]")
# Made of harmless characters, and still linked by GitHub: www.…, commit names, GH-12, PROJECT-12.
_LINKED = re.compile(r"www\.|[0-9a-f]{7,}|[a-z]+-\d", re.IGNORECASE)
_FIRST = re.compile(r"[\"'(]?[^\W\d_]|\d+$")
_BETWEEN = re.compile(r"(?<!/pawl) ")
"""Where a sentence is cut into words. A command of Pawl's is one, so that it can be copied as it stands."""

# GitHub honours these anywhere in a commit message: docs, "Skipping workflow runs".
_SKIPPED = re.compile(r"\[\s*((?:skip|no|ci|actions)\s+(?:ci|skip|actions))\s*\]", re.IGNORECASE)
_SKIP_TRAILER = re.compile(r"skip-checks[\s:]*:", re.IGNORECASE)


class Safe(str):
    """Markdown that Pawl itself wrote, or that a function of this module made inert.

    Joining or cutting it gives a plain `str`, which is foreign again.
    """

    __slots__ = ()


def clean(text: str) -> str:
    """The text without terminal colours; what would not show, or would turn the reading direction, becomes U+FFFD."""
    text = _TERMINAL.sub("", text).replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
    return "".join(
        "\ufffd" if char != "\n" and (char in _INVISIBLE or unicodedata.category(char) in _HIDDEN) else char
        for char in text
    )


def one_line(text: str, limit: int = INLINE_LIMIT) -> str:
    """The text on one line, cut at `limit` characters. Still foreign."""
    # Cut before and after: a text of megabytes is not worth walking through for one line.
    line = " ".join(clean(text[: 4 * limit + 100]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def code(text: str, limit: int = INLINE_LIMIT) -> Safe:
    """Inline code that the text cannot close. Fit for table cells too, so a ``|`` is shown as ``¦``."""
    return _span(one_line(text, limit).replace("|", "¦"))


def prose(text: str, limit: int = 600) -> Safe:
    """A sentence: plain words stay words, every word that could mean something to GitHub becomes inline code."""
    out: list[str] = []
    for word in _BETWEEN.split(one_line(text, limit).replace("|", "¦")):
        plain = _WORD.fullmatch(word) and not _LINKED.search(word) and (out or _FIRST.match(word))
        out.append(word if plain or not word else _span(word))
    return Safe(" ".join(out))


def fence(text: str, limit: int = BLOCK_LIMIT, *, tail: bool = False) -> Safe:
    """A fenced block that the text cannot close.

    Args:
        text: any text.
        limit: characters of it to show.
        tail: whether its end matters more than its beginning, as in a log.
    """
    if len(text) > limit:
        text = "…" + text[-limit:] if tail else text[:limit] + "…"
    # Other bots read commands from the raw text, fence or not: a line may not begin with a slash.
    lines = (re.sub(r"^(\s*)/", r"\1| /", line.rstrip()) for line in clean(text).strip("\n").split("\n"))
    body = "\n".join(lines)
    marks = "`" * max(3, _longest_run(body) + 1)
    return Safe(f"{marks}text\n{body}\n{marks}")


def message_line(text: str, limit: int = INLINE_LIMIT) -> str:
    """One line for a commit message or a title, where GitHub renders no code that could hold it.

    Mentions, references and links are broken by a space; what would keep workflows from running loses its brackets.
    """
    line = one_line(text, limit).replace("`", "'")
    line = re.sub(r"@(?=\w)", "@ ", line)
    line = re.sub(r"#(?=\d)", "# ", line)
    line = re.sub(r"\bGH-(?=\d)", "GH ", line, flags=re.IGNORECASE)
    line = line.replace("://", ": //")
    return _SKIP_TRAILER.sub("skip-checks", _SKIPPED.sub(r"(\1)", line))


def link(words: Safe, url: str) -> Safe:
    """A link to an address that the API gave; only the words, if the address is no plain web address."""
    fit = re.fullmatch(r"https?://[A-Za-z0-9.\-:]+(?:/[A-Za-z0-9._~%/?=&#+-]*)?", url)
    return Safe(f"[{words}]({url})") if fit and len(url) <= 500 else words


def hidden(name: str, values: Mapping[str, Any]) -> Safe:
    """An HTML comment that carries JSON, and that no value can close."""
    text = json.dumps(values, sort_keys=True).replace("<", "\\u003c").replace(">", "\\u003e")
    return Safe(f"<!-- {name}: {text} -->")


def phrase(words: str, *values: object) -> Safe:
    """``{}`` in Pawl's own words replaced by values, foreign ones as inline code."""
    return Safe(words.format(*(inert(value) for value in values)))


def inert(value: object) -> str:
    """What a template may print of a value: `Safe` text and whole numbers as they are, other text as inline code.

    Raises:
        TypeError: the value is neither; a template shall say how it is to be written.
    """
    if isinstance(value, Safe):
        return value
    if isinstance(value, str):
        return code(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise TypeError(f"a message cannot show {value!r}: turn it into text first")


def _span(line: str) -> Safe:
    marks = "`" * (_longest_run(line) + 1)
    if line.startswith("`") or line.endswith("`") or not line:
        line = f" {line} " if line else " "
    return Safe(f"{marks}{line}{marks}")


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
