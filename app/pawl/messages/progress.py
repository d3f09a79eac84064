"""How far a loop has come, from its ledger: first baseline, best value now, and the curve between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean

from pawl.core.auditing import first_baseline, merged_since_anchor
from pawl.core.config import SELECT
from pawl.core.config_parts import Metric
from pawl.core.ledger import AnyLine, AuditLine, Outcome, OutcomeLine, VerdictLine
from pawl.messages.figures import number
from pawl.messages.quoting import Safe

POINTS = 60
"""Experiments that a chart shows, the newest."""


@dataclass(frozen=True)
class Progress:
    """A loop's way from its first baseline. Values are in the metric's unit."""

    metric: Metric
    baseline: float | None = None
    """Mean of the first pool; none before there is one."""
    best: float | None = None
    """The first baseline moved by every gain since; from the last audit on, by the gain the audit measured."""
    audited: bool = False
    points: tuple[tuple[int, float], ...] = ()
    """Experiment number, and the value of the loop's branch after it: what the sealed gains so far add up to."""
    steps: tuple[tuple[int, float], ...] = ()
    """Those of the points at which the value moved."""


def last_verdicts(lines: Iterable[AnyLine]) -> dict[int, VerdictLine]:
    """The newest verdict of each experiment, by its number."""
    return {line.experiment: line for line in lines if isinstance(line, VerdictLine)}


def last_outcomes(lines: Iterable[AnyLine]) -> dict[int, OutcomeLine]:
    """The newest outcome of each experiment, by its number."""
    return {line.experiment: line for line in lines if isinstance(line, OutcomeLine)}


def progress_of(lines: Sequence[AnyLine], metric: Metric, also: VerdictLine | None = None) -> Progress:
    """The loop's progress.

    Args:
        lines: the loop's ledger.
        metric: the loop's metric.
        also: a keep to count although it is not merged yet.
    """
    anchor = first_baseline(lines)
    values = [run.metric[SELECT] for run in anchor.runs if SELECT in run.metric] if anchor else []
    if not values:
        return Progress(metric)
    baseline = fmean(values)
    gains = {line.experiment: line.effect or 0.0 for line in merged_since_anchor(lines)}
    if also is not None:
        gains[also.experiment] = also.effect or 0.0
    audited, gain = _gain_now(lines, gains)
    last = max([*last_verdicts(lines), *gains], default=0)
    value, points, steps = baseline, [(0, baseline)], [(0, baseline)]
    for experiment in range(1, last + 1):
        if experiment in gains:
            value += metric.sign * gains[experiment]
            steps.append((experiment, value))
        points.append((experiment, value))
    return Progress(
        metric=metric,
        baseline=baseline,
        best=baseline + metric.sign * gain,
        audited=audited,
        points=tuple(points[-POINTS:]),
        steps=tuple(steps[-POINTS:]),
    )


def chart(progress: Progress) -> Safe | None:
    """The curve as a Mermaid ``xychart-beta``, without its fence; none where there is nothing to draw."""
    points = progress.points
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    low, high = min(values), max(values)
    if max(abs(low), abs(high)) > 1e12:
        return None
    pad = (high - low) * 0.1 or abs(high) * 0.01 or 1.0
    better = "lower" if progress.metric.sign < 0 else "higher"
    # Mermaid reads no exponents, and a metric's name admits nothing that could leave the quotes.
    line = ", ".join(_decimal(value) for value in values)
    return Safe(
        "xychart-beta\n"
        f'    title "{progress.metric.name} with every kept edit, {better} is better"\n'
        f'    x-axis "experiment" {points[0][0]} --> {points[-1][0]}\n'
        f'    y-axis "{progress.metric.name}" {_decimal(low - pad)} --> {_decimal(high + pad)}\n'
        f"    line [{line}]"
    )


def step_rows(progress: Progress) -> list[tuple[Safe, Safe]]:
    """The curve as a table for those who see no chart: where it moved, and to what."""
    return [
        (Safe(str(experiment) if experiment else "first baseline"), number(value))
        for experiment, value in progress.steps
    ]


def _gain_now(lines: Sequence[AnyLine], gains: Mapping[int, float]) -> tuple[bool, float]:
    """Whether an audit has measured the branch, and the gain over the first baseline: its figure, and all gains since."""
    gain, since, audited = 0.0, 0, False
    for line in lines:
        if isinstance(line, AuditLine) and line.measured is not None:
            gain, since, audited = line.measured, line.seq, True
    settled = {
        line.experiment
        for line in lines
        if isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED and line.seq <= since
    }
    return audited, gain + sum(value for number, value in gains.items() if number not in settled)


def _decimal(value: float) -> str:
    return format(Decimal(f"{value:.8g}"), "f")
