"""The comment on a pull request whose version was compared with its base's."""

from __future__ import annotations

from pawl.core.comparing import Compared, Comparison
from pawl.core.measurement import Record, Request
from pawl.messages.figures import duration, effect_words, number, run_rows
from pawl.messages.quoting import Safe, code, fence, prose
from pawl.messages.rendering import render

_HEADINGS = {
    Comparison.BETTER: "✅ Better",
    Comparison.WORSE: "🔻 Worse",
    Comparison.NO_DIFFERENCE: "⚪ No difference that stands out from the noise",
    Comparison.FAILED: "💥 Not measured",
}


def comparison_marker(loop: str) -> Safe:
    """The first line of the comment, by which it is found again."""
    return Safe(f"<!-- pawl:comparison:{loop} -->")


def comparison_comment(request: Request, record: Record, compared: Compared) -> str:
    """What was measured, and what follows from it."""
    metric, effect = request.rules.metric, compared.effect
    failed = next(
        (run for run in reversed(record.runs) if run.log and compared.comparison is Comparison.FAILED), None
    )
    return render(
        "comparison",
        marker=comparison_marker(request.loop),
        heading=Safe(_HEADINGS[compared.comparison]),
        metric=code(metric.name),
        baseline=number(compared.baseline),
        candidate=number(compared.candidate),
        effect=effect_words(metric, effect) if effect is not None else "",
        differs=compared.comparison in (Comparison.BETTER, Comparison.WORSE),
        detectable=number(compared.detectable),
        reason=prose(compared.reason) if compared.reason else "",
        runs=run_rows(record.facts),
        base=code(request.base[:12]),
        head=code((request.candidate or "")[:12]),
        seconds=duration(record.seconds_total),
        device=code(record.environment.device, 80) if record.environment.device else "",
        log=fence(failed.log, tail=True) if failed else "",
    )
