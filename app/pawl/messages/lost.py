"""The jobs that an experiment lost on its way to a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from pawl.core.judging import late_key
from pawl.core.ledger import AnyLine, LateLine, LostLine
from pawl.messages.quoting import Safe, link, prose

REASON = 160
"""Characters of why a job ended that a row shows."""


def lost_rows(lines: Sequence[AnyLine], experiment: int, page: str) -> list[tuple[Safe, Safe, Safe, Safe]]:
    """Attempt, job, how it ended, and how many of its runs count, of every job that was lost.

    Args:
        lines: the loop's ledger.
        experiment: its number.
        page: the repository's address for people; empty where that is not known.
    """
    rows = []
    late = {line.key: line for line in lines if isinstance(line, LateLine)}
    known: dict[str, int] = {}
    for line in lines:
        if not isinstance(line, LostLine) or line.experiment != experiment:
            continue
        head = line.key.rsplit(":", 1)[0]  # runs of another head are none of this one's
        survived = line.known_runs - known.get(head, 0)
        known[head] = line.known_runs
        job = link(Safe(f"job {line.job}"), f"{page}/actions/runs/{line.job}" if page else "")
        came = late.get(late_key(line))
        more = f", and {len(came.runs)} that came late" if came is not None else ""
        rows.append((Safe(str(line.attempt)), job, prose(line.reason, REASON), Safe(f"{survived}{more}")))
    return rows
