"""Numbers in words: effects with their direction, rounded where a meta-agent could read too much out of them."""

from __future__ import annotations

import math
from collections import Counter
from statistics import fmean

from pawl.core.config import SEAL, SELECT
from pawl.core.config_parts import Metric
from pawl.core.decision import Verdict
from pawl.core.ledger import VerdictLine
from pawl.core.measurement import Arm, RunFact, RunStatus, Stage
from pawl.core.paired import paired_of
from pawl.core.quantities import format_duration
from pawl.messages.quoting import Safe

DETECTABLE = 2.75
"""The gain, in sigma, that Screen, Confirm, Seal keeps four times out of five: docs/decision.md."""


def number(value: float | None) -> Safe:
    """A value of a metric or guard, to six digits."""
    return Safe("unknown" if value is None else f"{value:.6g}")


def duration(seconds: float) -> Safe:
    """A duration for people."""
    return Safe(format_duration(max(0.0, seconds)))


def count(many: int, one: str, more: str = "") -> Safe:
    """``1 run``, ``3 runs``. The words are Pawl's own."""
    return Safe(f"{many} {one if many == 1 else more or one + 's'}")


def effect_words(metric: Metric, effect: float, digits: int = 3) -> Safe:
    """``0.0123 lower (better)``: an effect, positive where better, in the metric's unit and its direction on the scale."""
    if effect == 0:
        return Safe("no change")
    higher = (metric.sign * effect) > 0
    return Safe(
        f"{abs(effect):.{digits}g} {'higher' if higher else 'lower'} ({'better' if effect > 0 else 'worse'})"
    )


def sigma_words(in_sigma: float, task_agent: bool = False) -> Safe:
    """``3.2 sigma``: the size of an effect whose direction stands beside it.

    Args:
        in_sigma: the size.
        task_agent: whether the effect is a mean over tasks, whose sigma is its own standard error.
    """
    size = f"{abs(in_sigma):.2g}"
    errors = "standard error" if size == "1" else "standard errors"
    return Safe(f"{size} {errors if task_agent else 'sigma'}")


def half_sigma(in_sigma: float) -> float:
    """Rounded to half a sigma, halves away from zero: what may be told of an experiment that is not kept."""
    return math.copysign(math.floor(abs(in_sigma) * 2 + 0.5) / 2, in_sigma) + 0.0


def effect_shown(metric: Metric, line: VerdictLine) -> Safe:
    """All that a page may say of an experiment's effect.

    A keep's sealed gain stands as it was measured. Any other effect is rounded to half a sigma, since whoever proposes can
    read these pages, and many small edits would otherwise read the hidden split out bit by bit. A deterministic metric has
    no sigma to round to, so only the direction is told.
    """
    tasks = line.rules.task_agent
    if line.effect is None:
        return Safe("none measured")
    if line.verdict is Verdict.KEEP:
        in_sigma = "" if line.effect_sigma is None else f", {sigma_words(line.effect_sigma, tasks)}"
        return Safe(f"{effect_words(metric, line.effect)}{in_sigma}")
    if told_effect(line) is None:
        return Safe("better" if line.effect > 0 else "worse" if line.effect < 0 else "no change")
    rounded = half_sigma(line.effect_sigma or 0.0)
    if rounded == 0:
        return Safe("less than half a standard error" if tasks else "less than half a sigma")
    return Safe(f"about {effect_words(metric, rounded * line.sigma, 2)}, {sigma_words(rounded, tasks)}")


def told_effect(line: VerdictLine) -> float | None:
    """The size of an effect as far as a page may tell it, in the metric's unit; none where only its direction may."""
    if line.effect is None or line.verdict is Verdict.KEEP:
        return line.effect
    # The noise of whole runs says nothing in loops over a harness: there sigma is the effect's own standard error.
    exact = line.calibration.sigma == 0 and not line.rules.task_agent
    return None if exact or line.effect_sigma is None else half_sigma(line.effect_sigma) * line.sigma


def direction(line: VerdictLine) -> int:
    """Of an effect, as far as a page may tell it: 1 better, -1 worse, 0 neither."""
    told = told_effect(line)
    effect = (line.effect or 0.0) if told is None else told
    return (effect > 0) - (effect < 0)


def effect_basis(line: VerdictLine) -> Safe:
    """What an effect rests on: sealed, or a rough figure from how many candidate runs."""
    if line.rules.task_agent:
        return _task_basis(line)
    coarse = ", only its direction is told" if line.calibration.sigma == 0 else ", rounded"
    used = [run for run in line.runs if run.stage is line.stage and run.status is RunStatus.OK]
    candidates = sum(run.arm is Arm.CANDIDATE for run in used)
    baselines = len(used) - candidates
    if line.stage is Stage.SEAL:
        sealed = f"{count(candidates, 'fresh candidate run')} against {count(baselines, 'baseline run')}"
        return Safe(f"sealed: {sealed}{'' if line.verdict is Verdict.KEEP else coarse}")
    if line.stage is Stage.CONFIRM:
        return Safe(f"a rough figure from {count(candidates, 'pair')}{coarse}")
    pool = count(len(line.calibration.pool), "baseline run")
    return Safe(f"a rough figure from {count(candidates, 'run')} against a pool of {pool}{coarse}")


def _task_basis(line: VerdictLine) -> Safe:
    """The same in loops over a harness, where tasks count and not runs."""
    tasks = count(len(paired_of(line.runs, (line.stage,)).differences), "task")
    if line.stage is Stage.SEAL:
        return Safe(f"sealed: {tasks} in both versions{'' if line.verdict is Verdict.KEEP else ', rounded'}")
    kind = "practice" if line.stage is Stage.SCREEN else "fresh"
    return Safe(f"a rough figure from {tasks} of the {kind} split in both versions, rounded")


def sealed_means(line: VerdictLine) -> tuple[float, float] | None:
    """Means of baseline and candidate on the split that the gain was sealed on; none unless it is a keep."""
    if line.verdict is not Verdict.KEEP:
        return None
    sealed = [run for run in line.runs if run.stage is Stage.SEAL and run.status is RunStatus.OK]
    split = SEAL if any(SEAL in run.metric for run in sealed) else SELECT
    baseline, candidate = (mean_of(sealed, arm, split) for arm in (Arm.BASELINE, Arm.CANDIDATE))
    return None if baseline is None or candidate is None else (baseline, candidate)


def mean_of(runs: list[RunFact], arm: Arm, split: str) -> float | None:
    """Mean of one arm on one split; none where nothing was measured."""
    values = [run.metric[split] for run in runs if run.arm is arm and split in run.metric]
    return fmean(values) if values else None


def run_rows(runs: tuple[RunFact, ...]) -> list[tuple[Safe, Safe, Safe]]:
    """Stage, baseline runs and candidate runs, with those that failed: every started run counts."""
    rows = []
    for stage in Stage:
        here = [run for run in runs if run.stage is stage]
        if here:
            cells = (_counted([run for run in here if run.arm is arm]) for arm in Arm)
            baseline, candidate = cells
            rows.append((Safe(stage.value), baseline, candidate))
    return rows


def _counted(runs: list[RunFact]) -> Safe:
    failed = Counter(run.status.value for run in runs if run.status is not RunStatus.OK)
    told = [str(len(runs)), *(f"{many} {status}" for status, many in sorted(failed.items()))]
    return Safe(", ".join(told))
