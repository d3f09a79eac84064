"""What a local run came to: read from the ledger, as anyone could."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from pawl.core.calibration import calibration_of
from pawl.core.config import SELECT
from pawl.core.config_parts import Metric
from pawl.core.ledger import AnyLine, CalibrationLine, Outcome, OutcomeLine, VerdictLine


@dataclass(frozen=True)
class Row:
    """One experiment."""

    number: int
    pull_request: str
    verdict: str
    outcome: str
    stage: str
    runs: int
    effect: float | None
    effect_sigma: float | None
    seconds_in_budget: float
    seconds_outside: float
    api_requests: int
    hypothesis: str


@dataclass(frozen=True)
class Results:
    """A loop so far. Gain and effects are positive where better, in the metric's unit."""

    metric: str
    goal: str
    baseline: float | None
    best: float | None
    gain: float
    sigma: float
    experiments: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """The results as plain values."""
        return asdict(self)


def results(lines: Sequence[AnyLine], metric: Metric, pages: str, requests: Mapping[int, int]) -> Results:
    """Sum a ledger up.

    Args:
        lines: the loop's ledger.
        metric: its metric.
        pages: address of the repository's pages.
        requests: API requests by experiment.
    """
    first = next((line for line in lines if isinstance(line, CalibrationLine) and line.ok), None)
    baseline = fmean(run.metric[SELECT] for run in first.runs if SELECT in run.metric) if first else None
    outcomes = {line.experiment: line for line in lines if isinstance(line, OutcomeLine)}
    verdicts: dict[int, VerdictLine] = {}
    runs: dict[int, int] = {}
    for line in lines:
        if isinstance(line, VerdictLine):
            verdicts[line.experiment] = line
            runs[line.experiment] = runs.get(line.experiment, 0) + len(line.runs)
    merged = [n for n, line in outcomes.items() if line.outcome is Outcome.MERGED and n in verdicts]
    gain = sum(verdicts[number].effect or 0.0 for number in merged)
    rows = (
        Row(
            number=number,
            pull_request=f"{pages}/pull/{line.pull}",
            verdict=str(line.verdict),
            outcome=str(outcomes[number].outcome) if number in outcomes else "open",
            stage=str(line.stage),
            runs=runs[number],
            effect=line.effect,
            effect_sigma=line.effect_sigma,
            seconds_in_budget=line.seconds_in_budget,
            seconds_outside=line.seconds_outside,
            api_requests=requests.get(number, 0),
            hypothesis=" ".join(line.hypothesis.split()),
        )
        for number, line in sorted(verdicts.items())
    )
    return Results(
        metric=metric.name,
        goal=metric.goal,
        baseline=baseline,
        best=_moved(baseline, gain, metric),
        gain=gain,
        sigma=calibration_of(lines, "").sigma,
        experiments=tuple(rows),
    )


def _moved(baseline: float | None, gain: float, metric: Metric) -> float | None:
    """The first baseline moved by the sealed gain of every merge, as the tracking issue says it."""
    if baseline is None:
        return None
    return baseline + gain if metric.goal == "maximize" else baseline - gain
