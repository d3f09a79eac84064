"""What a job prints: kept in bounded memory however much it is, and shown as text that can do no harm."""

from __future__ import annotations

import re
import unicodedata

HEAD_BYTES = 64 * 2**10
TAIL_BYTES = 256 * 2**10
LINE_LIMIT = 2000
"""Characters of one line that a reader looks at."""

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


class Capture:
    """The first and the last of a stream; what lies between is counted and forgotten."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._total += len(data)
        room = HEAD_BYTES - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room > 0 else data
        if len(self._tail) > 2 * TAIL_BYTES:
            del self._tail[:-TAIL_BYTES]

    @property
    def text(self) -> str:
        """Head and tail as text, with a line between that says how much is missing."""
        tail = bytes(self._tail[-TAIL_BYTES:])
        missing = self._total - len(self._head) - len(tail)
        gap = f"\n[{missing:,} bytes not kept]\n".encode() if missing else b""
        return (bytes(self._head) + gap + tail).decode("utf-8", errors="replace")


def plain(text: str) -> str:
    """Text without escape sequences, control characters and invisible ones; a carriage return starts a new line."""
    text = _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        character
        for character in text
        if character in "\n\t" or unicodedata.category(character) not in _HARMFUL
    )


def tail(text: str, limit: int) -> str:
    """The end of a text, made plain, in at most ``limit`` characters."""
    return plain(text[-8 * limit :])[-limit:]


def lines(text: str) -> list[str]:
    """Plain lines, each cut to what a reader looks at."""
    return [line[:LINE_LIMIT] for line in plain(text).split("\n")]


def one_line(text: str, limit: int = 300) -> str:
    """A text as one plain line of at most ``limit`` characters."""
    line = " ".join(plain(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


_EXCEPTION = re.compile(r"(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit)\b(?::.*)?")


def last_complaint(text: str) -> str:
    """The line of a crashed job's output that most likely says why: the last exception, else the last line."""
    said = [line.strip() for line in lines(text[-16 * 2**10 :]) if line.strip()]
    complaints = [line for line in said if _EXCEPTION.fullmatch(line)]
    return one_line((complaints or said or [""])[-1])
