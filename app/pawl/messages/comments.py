"""The one comment of an experiment, edited in place."""

from __future__ import annotations

from pawl.core.decision import Verdict
from pawl.core.ledger import Outcome, VerdictLine
from pawl.messages.progress import chart, progress_of, step_rows
from pawl.messages.quoting import Safe, fence, prose
from pawl.messages.rendering import render
from pawl.messages.report import Report, heading, report_values

_SIGNS = {
    Verdict.KEEP: "✅",
    Verdict.DISCARD: "⚪",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.CRASH: "💥",
    Verdict.VIOLATION: "⛔",
}
_ENDS = {
    Outcome.MERGED: "Merged",
    Outcome.CLOSED: "Closed without a verdict",
    Outcome.SUPERSEDED: "Superseded: its base has moved on",
    Outcome.REFUSED: "Refused by GitHub",
    Outcome.OVERRIDDEN: "Merged by a person",
}


def comment_marker(loop: str, number: int) -> Safe:
    """The first line of an experiment's comment, by which Pawl finds it again."""
    return Safe(f"<!-- pawl:{loop}:{number} -->")


def experiment_comment(report: Report) -> str:
    """The verdict with all that a person needs to believe it, or to disagree."""
    line = report.line
    progress = progress_of(report.ledger, line.rules.metric, also=_also(line))
    return render(
        "comment",
        **report_values(report),
        marker=comment_marker(line.loop, line.experiment),
        heading=Safe(f"{_SIGNS[line.verdict]} {heading(line)}"),
        chart=chart(progress),
        steps=step_rows(progress),
        log=fence(report.log, tail=True) if report.log.strip() else "",
    )


def closing_comment(loop: str, number: int, outcome: Outcome, reason: str) -> str:
    """The comment of an experiment that ended without a verdict of its own.

    Args:
        loop: the loop's name.
        number: the experiment's number.
        outcome: what became of it.
        reason: why, in a sentence; shown as data.
    """
    return render(
        "closing",
        marker=comment_marker(loop, number),
        heading=Safe(_ENDS[outcome]),
        experiment=number,
        reason=prose(reason) if reason.strip() else "",
        outcome=outcome.value,
    )


def _also(line: VerdictLine) -> VerdictLine | None:
    return line if line.verdict is Verdict.KEEP else None
