"""The ledger as it is written on the branch ``pawl/ledger``: JSON lines, each of them chained to the one before.

Segments hold 500 lines each and a full one never changes, so reading history is incremental.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import TypeAdapter, ValidationError

from pawl.core.digest import sha256
from pawl.core.ledger import AnyLine

LEDGER_BRANCH = "pawl/ledger"
SEGMENT = 500
"""Lines of a full segment."""
GENESIS = "0" * 64
"""What the first line names as the digest of the one before it."""

_ADAPTER: TypeAdapter[AnyLine] = TypeAdapter(AnyLine)


class LedgerError(Exception):
    """A ledger that is not what Pawl wrote: unreadable, out of order, or with a broken chain."""


def parse_lines(text: str, where: str) -> list[AnyLine]:
    """The lines of one segment.

    Raises:
        LedgerError: a line is no ledger line; the text names the segment and the line.
    """
    lines: list[AnyLine] = []
    # Not splitlines(): canonical JSON may hold U+2028 and its like, which end no line here.
    for number, line in enumerate(text.removesuffix("\n").split("\n") if text else (), start=1):
        try:
            lines.append(_ADAPTER.validate_json(line))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise LedgerError(f"{where}:{number}: no ledger line ({place}: {first['msg']})") from None
    return lines


def written_digests(text: str) -> list[str]:
    """Digests of a segment's lines as they stand there: those of the lines themselves, where Pawl wrote them."""
    return [sha256(line) for line in text.removesuffix("\n").split("\n")] if text else []


def check_chain(lines: Iterable[AnyLine], digests: Sequence[str] | None = None) -> None:
    """Every line names its predecessor's digest, counts on by one, and says nothing a second time.

    Args:
        lines: of a ledger, from its first one on.
        digests: of the lines as they were read; by default of what they say. A line that was written in another form than
            Pawl's own does not fit the next one then.

    Raises:
        LedgerError: at the first line that does not.
    """
    prev, seq, keys = GENESIS, 0, set[str]()
    for place, line in enumerate(lines):
        if line.seq != seq + 1:
            raise LedgerError(f"line {seq + 1} is missing: the ledger goes on with line {line.seq}")
        if line.prev != prev:
            raise LedgerError(
                f"line {line.seq} does not follow line {seq}: the digest of that line is another"
            )
        if line.key in keys:
            raise LedgerError(f"line {line.seq} says {line.key!r} a second time")
        keys.add(line.key)
        prev, seq = sha256(line.text) if digests is None else digests[place], line.seq


def head_of(lines: Sequence[AnyLine]) -> tuple[int, str]:
    """Number and digest of the last line: what the next one must follow."""
    return (lines[-1].seq, sha256(lines[-1].text)) if lines else (0, GENESIS)


def segment_path(loop: str, seq: int) -> str:
    """The file that holds line number `seq` of a loop."""
    return f"{loop}/ledger-{(seq - 1) // SEGMENT + 1:04d}.jsonl"


def experiment_folder(loop: str, experiment: int) -> str:
    """Where an experiment's ``edit.diff`` and ``record.json`` lie."""
    return f"{loop}/{experiment}"
