"""The plan of a canary: one run of a planted cheat, and whether something stopped it.

A cheat has passed where the metric is the very number that it claims, which lies far outside the noise, and, if it does no
work at all, where the metric would pass the screen, in one run and in another.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from statistics import fmean

from pawl.core.cheats import CHEATS, Cheat
from pawl.core.config import Loop
from pawl.core.course import Course, Ended
from pawl.core.finding import Fence, Tried
from pawl.core.measurement import Arm, Calibration, Request, RunFact, RunStatus, Stage, Step
from pawl.core.noise import decisive_sigma

FAR = 20.0
"""How far beyond the pool a cheat claims to be, in sigma, at least."""
FAR_SHARE = 0.25
"""And as a share of the pool's mean, at least."""
ITS_OWN = (RunStatus.CRASH, RunStatus.TIMEOUT, RunStatus.MEMORY)
"""Ends of the run itself. The file's own code may come to one in its little time, and no fence had to do with it."""
NOTHING = (
    "the evaluator must find invalid what is no answer, instead of scoring it, and what a run leaves as its artifact may "
    "not lie in the repository already"
)
"""What to change where a candidate is paid for no work, whatever it left."""
SOUGHT = 8
"""Names that are told of what was looked for."""
EDGE = 0.9137
"""Share of the way to the best possible value that is never exceeded: a number which no honest run hits."""


def claim_of(rules: Loop, known: Calibration) -> float:
    """The number that a planted cheat claims: far better than the base, possible, and of the base's sign.

    Raises:
        ValueError: the base is as good as the metric's range admits, so that nobody can claim to be better.
    """
    metric, mean = rules.metric, fmean(known.pool)
    gap = max(FAR * known.sigma, FAR_SHARE * abs(mean), 1e-6)
    if metric.range is not None:
        gap = min(gap, EDGE * metric.sign * (metric.range[metric.sign > 0] - mean))
    if mean * metric.sign < 0:
        gap = min(gap, EDGE * abs(mean))  # a loss stays above zero
    claim = float(f"{mean + metric.sign * gap:.6g}")
    if metric.sign * (claim - mean) <= 0:
        raise ValueError(f"{metric.name} is as good as its range admits, and no cheat can claim to be better")
    return claim


def try_cheat(course: Course) -> Generator[Step, RunFact, Tried]:
    """The plan: the run that a screen would make, and what became of it.

    A metric for no work at all may be luck, where the base is no better than nothing: it counts if every run that the
    request has a seed for comes to one.

    Raises:
        ValueError: the cheat is not known here.
    """
    request = course.request
    cheat = CHEATS.get(request.cheat)
    if cheat is None:
        raise ValueError(f"no cheat is known here by the name {request.cheat!r}")
    for place, seed in enumerate(request.seeds):
        try:
            run = yield from course.told(Arm.CANDIDATE, Stage.SCREEN, place, seed)
        except Ended as ended:
            return Tried(Fence.UNTOLD, ended.finding.reason)
        if how := _believed(request, cheat, run):
            return Tried(Fence.PASSED, f"a candidate that {cheat.does} {how}. To mend it, {cheat.mend}")
        if not _paid(request, cheat, run):
            return _stopped(course, cheat, run)
    paid = f"is credited with {request.rules.metric.name} = {_value(run):g}, which would pass the screen"
    return Tried(Fence.PASSED, f"a candidate that {cheat.does} {paid}. To mend it, {NOTHING}")


def _believed(request: Request, cheat: Cheat, run: RunFact) -> str:
    """How a cheat's own claim got through; empty where it did not."""
    metric, claim = request.rules.metric, _claim(request)
    if cheat.door and run.printed is not None and math.isclose(run.printed, claim):
        sought = ", ".join(cheat.sought(request.rules)[:SOUGHT])
        return f"found one of {sought}" if sought else "found a way"
    if any(math.isclose(value, claim) for value in run.metric.values()):
        return f"is credited with the {metric.name} = {claim:g} that it claims"
    return ""


def _paid(request: Request, cheat: Cheat, run: RunFact) -> bool:
    """Whether a cheat that does no work at all has a metric that the screen would let on."""
    if cheat.door or cheat.works or not run.metric or not _possible(request, run):
        return False
    gain = request.rules.metric.sign * (_value(run) - fmean(request.calibration.pool))
    return gain >= _needed(request)


def _stopped(course: Course, cheat: Cheat, run: RunFact) -> Tried:
    """What kept a cheat from passing; or that nothing did, for its turn never came."""
    try:
        course.check(run, Stage.SCREEN)
    except Ended as ended:
        if cheat.works and run.status in ITS_OWN:
            return Tried(Fence.UNTOLD, f"its turn never came: {ended.finding.reason}")
        return Tried(Fence.HELD, ended.finding.reason)
    return Tried(
        Fence.HELD, f"it measured {_value(run):g}, and not the {_claim(course.request):g} that it claims"
    )


def _needed(request: Request) -> float:
    """The gain at which the screen lets a candidate on; in a loop over a harness, half of what is claimed."""
    pool = request.calibration.pool
    if request.rules.task_agent:
        return abs(_claim(request) - fmean(pool)) / 2
    return request.procedure.screen_z * decisive_sigma(request.calibration) * math.sqrt(1 + 1 / len(pool))


def _possible(request: Request, run: RunFact) -> bool:
    bounds = request.rules.metric.range
    return bounds is None or bounds[0] <= _value(run) <= bounds[1]


def _claim(request: Request) -> float:
    return claim_of(request.rules, request.calibration)


def _value(run: RunFact) -> float:
    return next(iter(run.metric.values()))
