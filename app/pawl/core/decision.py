"""Screen, Confirm, Seal: which run comes next, and what the runs so far mean.

A plan is a generator that yields the next `Step` and is sent the `RunFact` it led to; what it returns is the finding. The
measuring job drives it run by run, and `pawl verify` drives the same generator over the recorded runs, so the order in
which runs were chosen is checked as strictly as the verdict. Formulas and defaults: docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from statistics import fmean

from pawl.core.canary import try_cheat
from pawl.core.config import SEAL, SELECT
from pawl.core.course import Course, Ended, Plan, guard_checks, mean_of
from pawl.core.finding import Calibrated, Fence, Finding, GuardCheck, Tried, Verdict
from pawl.core.measurement import Arm, Purpose, Request, RunFact, Stage, Step
from pawl.core.noise import decisive_sigma, screen_score
from pawl.core.task_decision import judge_tasks

__all__ = ["Calibrated", "Fence", "Finding", "GuardCheck", "OutOfOrder", "Tried", "Verdict", "advance"]


class OutOfOrder(Exception):
    """Recorded runs that the plan would not have asked for in this order."""

    def __init__(self, index: int, wanted: Step | None, found: Step | None) -> None:
        self.index = index
        super().__init__(
            f"run {index + 1} is {_named(found)}, but the plan asks for {_named(wanted)} at this point"
        )


def advance(request: Request, runs: Iterable[RunFact]) -> Step | Finding | Calibrated | Tried:
    """What comes after these runs: another step, or the end.

    Raises:
        OutOfOrder: the runs are not those the plan leads to.
    """
    plan = _plan(request)
    facts = list(runs)
    used = 0
    try:
        step = next(plan)
        while used < len(facts):
            if not _same(step, facts[used]):
                raise OutOfOrder(used, step, facts[used])
            used += 1
            step = plan.send(facts[used - 1])
    except StopIteration as stop:
        if used < len(facts):
            raise OutOfOrder(used, None, facts[used]) from None
        end: Finding | Calibrated | Tried = stop.value
        return end
    return step


def _same(step: Step, fact: RunFact) -> bool:
    return (step.arm, step.stage, step.place, step.seed) == (fact.arm, fact.stage, fact.place, fact.seed)


def _named(step: Step | None) -> str:
    return "nothing" if step is None else f"{step.stage} {step.arm} {step.place} with seed {step.seed}"


def _plan(request: Request) -> Plan:
    if request.purpose is Purpose.EXPERIMENT:
        return _experiment(request)
    return try_cheat(Course(request)) if request.purpose is Purpose.CANARY else _calibration(request)


def _experiment(request: Request) -> Plan:
    course = Course(request)
    try:
        if request.rules.task_agent:
            return (yield from judge_tasks(course))
        return (yield from _screen_confirm_seal(course))
    except Ended as ended:
        return ended.finding


def _screen_confirm_seal(course: Course) -> Generator[Step, RunFact, Finding]:
    request, dials = course.request, course.request.procedure
    deterministic = request.calibration.sigma == 0
    sigma = decisive_sigma(request.calibration)
    sign, pool = request.rules.metric.sign, request.calibration.pool
    screen_z = llr = None

    if request.start is Stage.SCREEN:
        run = yield from course.measure(Arm.CANDIDATE, Stage.SCREEN, 0, course.seed(0))
        gain = sign * (run.metric[SELECT] - fmean(pool))
        screen_z = screen_score(request.calibration, gain)
        if screen_z < dials.screen_z:
            reason = f"the screening run scored {screen_z:+.2f} sigma against the pool, {dials.screen_z:+g} is needed"
            return Finding(Verdict.DISCARD, Stage.SCREEN, reason, gain, gain / sigma, sigma, screen_z)

    if request.start in (Stage.SCREEN, Stage.CONFIRM) and not deterministic:
        ended, llr = yield from _confirm(course, sigma, screen_z)
        if ended is not None:
            return ended

    return (yield from _seal(course, sigma, screen_z, llr))


def _confirm(
    course: Course, sigma: float, screen_z: float | None
) -> Generator[Step, RunFact, tuple[Finding | None, float]]:
    """Fresh interleaved pairs into a truncated one-sided SPRT of N(delta-1, 2) against N(0, 2), read as an e-value."""
    dials, sign = course.request.procedure, course.request.rules.metric.sign
    gains: list[float] = []
    llr = 0.0
    for pair in range(dials.max_pairs):
        order = (Arm.BASELINE, Arm.CANDIDATE) if pair % 2 == 0 else (Arm.CANDIDATE, Arm.BASELINE)
        values: dict[Arm, float] = {}
        for arm in order:
            run = yield from course.measure(arm, Stage.CONFIRM, pair, course.seed(1 + pair))
            values[arm] = run.metric[SELECT]
        gains.append(sign * (values[Arm.CANDIDATE] - values[Arm.BASELINE]))
        difference = max(-dials.clip, min(dials.clip, gains[-1] / sigma))
        llr += (dials.design_gain * difference - dials.design_gain**2 / 2) / 2
        if llr >= math.log(1 / dials.alpha):
            return None, llr
        if llr <= math.log(dials.beta):
            floor = math.log(dials.beta)
            reason = f"{len(gains)} fresh pairs do not confirm the gain (evidence {llr:+.2f}, dropped at {floor:+.2f})"
            return _unsealed(Verdict.DISCARD, reason, gains, sigma, screen_z, llr), llr
    needed = math.log(1 / dials.alpha)
    reason = (
        f"{len(gains)} pairs neither confirm nor refute a gain (evidence {llr:+.2f}, {needed:.2f} needed)"
    )
    return _unsealed(Verdict.INCONCLUSIVE, reason, gains, sigma, screen_z, llr), llr


def _unsealed(
    verdict: Verdict, reason: str, gains: list[float], sigma: float, screen_z: float | None, llr: float
) -> Finding:
    effect = fmean(gains)
    return Finding(verdict, Stage.CONFIRM, reason, effect, effect / sigma, sigma, screen_z, llr)


def _seal(
    course: Course, sigma: float, screen_z: float | None, llr: float | None
) -> Generator[Step, RunFact, Finding]:
    """Fresh runs on the sealed split: the only numbers that are ever reported as the gain."""
    request, dials = course.request, course.request.procedure
    candidates, baselines = dials.seal_candidates, dials.seal_baselines
    if request.calibration.sigma == 0:
        candidates = baselines = (
            1  # a deterministic metric: the screen and one repeat are all there is to learn
        )
    first = 1 + dials.max_pairs
    runs: dict[Arm, list[RunFact]] = {Arm.CANDIDATE: [], Arm.BASELINE: []}
    for arm, place in _interleaved(candidates, baselines):
        run = yield from course.measure(arm, Stage.SEAL, place, course.seed(first + place))
        runs[arm].append(run)
    sign = request.rules.metric.sign
    split = SEAL if SEAL in request.rules.splits else SELECT
    effects = {
        name: sign * (mean_of(runs[Arm.CANDIDATE], name) - mean_of(runs[Arm.BASELINE], name))
        for name in {split, SELECT}
    }
    effect = effects[split]
    guards = tuple(guard_checks(request, runs))
    broken = [guard for guard in guards if not guard.kept]
    if effect <= dials.seal_margin * sigma:
        verdict, reason = Verdict.DISCARD, "the sealed runs do not repeat the gain"
    elif effects[SELECT] <= 0:
        verdict, reason = Verdict.DISCARD, "the gain is there on one validation split only"
    elif broken:
        verdict, reason = (
            Verdict.DISCARD,
            f"the guard {broken[0].name} got worse than {broken[0].bound} allows",
        )
    else:
        verdict, reason = Verdict.KEEP, f"{_runs(candidates)} the gain, and every guard holds"
    # A deterministic metric has no sigma to count in.
    in_sigma = effect / sigma if request.calibration.sigma else None
    return Finding(verdict, Stage.SEAL, reason, effect, in_sigma, sigma, screen_z, llr, guards)


def _runs(count: int) -> str:
    return "the sealed run repeats" if count == 1 else f"{count} sealed runs repeat"


def _interleaved(candidates: int, baselines: int) -> Iterable[tuple[Arm, int]]:
    """Places in the order C B C C B C for 4 and 2: baselines spread evenly, never first."""
    every = max(1, candidates // baselines)
    placed = 0
    for place in range(candidates):
        yield Arm.CANDIDATE, place
        if place % every == 0 and placed < baselines:
            yield Arm.BASELINE, placed
            placed += 1
    for place in range(placed, baselines):
        yield Arm.BASELINE, place


def _calibration(request: Request) -> Plan:
    """Runs of unchanged code: one arm for a pool, both arms interleaved for an audit."""
    course = Course(request)
    stage = Stage.AUDIT if request.purpose is Purpose.AUDIT else Stage.CALIBRATE
    try:
        for place in range(request.runs_wanted):
            arms = (Arm.BASELINE,) if request.candidate is None else (Arm.BASELINE, Arm.CANDIDATE)
            for arm in arms if place % 2 == 0 else arms[::-1]:
                yield from course.measure(arm, stage, place, course.seed(place))
    except Ended as ended:
        return Calibrated(False, ended.finding.reason)
    return Calibrated(True, f"{request.runs_wanted} runs")
