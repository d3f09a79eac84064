"""Two versions of a repository against each other: for pull requests that are no experiments, and that nothing here merges.

The runs are those of an audit: both arms interleaved, as many of each, both at a place with the same seed. The error of the
difference rests on the noise within the arms, by the upper bound that verdicts use while it rests on few runs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist, fmean

from pawl.core.config import SELECT
from pawl.core.config_parts import Metric
from pawl.core.measurement import Arm, RunFact, RunStatus
from pawl.core.noise import pooled, upper_sigma

ALPHA = 0.01
"""Chance of calling two equal versions different, if their noise is normal and known; with few runs up to twice that."""


class Comparison(StrEnum):
    """What a comparison says of the candidate."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no-difference"
    FAILED = "failed"


@dataclass(frozen=True)
class Compared:
    """A comparison in figures; those that were not measured are none."""

    comparison: Comparison
    baseline: float | None = None
    candidate: float | None = None
    effect: float | None = None
    """Positive where the candidate is better, in the metric's unit."""
    error: float | None = None
    """Standard error of the effect."""
    detectable: float | None = None
    """The smallest effect that would be called a difference."""
    reason: str = ""
    """Why there is nothing to compare, in a sentence that may quote a log."""


def compare(metric: Metric, runs: Sequence[RunFact], reason: str = "") -> Compared:
    """What the runs of a comparison mean.

    Args:
        metric: whose goal says what is better.
        runs: every run that was started, in order.
        reason: why the plan ended early; empty where it is complete.
    """
    failed = [run for run in runs if run.status is not RunStatus.OK]
    values = {
        arm: [run.metric[SELECT] for run in runs if run.arm is arm and SELECT in run.metric] for arm in Arm
    }
    baselines, candidates = values[Arm.BASELINE], values[Arm.CANDIDATE]
    if reason or len(baselines) < 2 or len(candidates) < 2:
        said = reason or (f"a run ended as {failed[0].status}" if failed else "there are too few runs")
        return Compared(Comparison.FAILED, reason=said)
    effect = metric.sign * (fmean(candidates) - fmean(baselines))
    sigma, dof = pooled((baselines, candidates))
    error = upper_sigma(sigma, dof) * math.sqrt(1 / len(baselines) + 1 / len(candidates))
    detectable = error * NormalDist().inv_cdf(1 - ALPHA / 2)
    comparison = (
        Comparison.NO_DIFFERENCE
        if abs(effect) <= detectable
        else Comparison.BETTER
        if effect > 0
        else Comparison.WORSE
    )
    return Compared(comparison, fmean(baselines), fmean(candidates), effect, error, detectable)
