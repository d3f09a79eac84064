"""Screen, Confirm, Seal for loops over a harness: decided by tasks that both arms were given, not by noise between runs.

The screen sees the practice split alone, so that its trajectories may be shown; it is never evidence. Formulas, defaults and
the operating curve: docs/decision.md.
"""

from __future__ import annotations

import math
from collections.abc import Generator

from pawl.core.course import Course, Ended, guard_checks
from pawl.core.finding import Finding, Verdict
from pawl.core.measurement import Arm, RunFact, Stage, Step
from pawl.core.paired import Paired, paired_of

BOTH = (Arm.BASELINE, Arm.CANDIDATE)
UNCHANGED = 2
"""Confirming blocks without a changed task, after which an edit is dropped."""


def judge_tasks(course: Course) -> Generator[Step, RunFact, Finding]:
    """The plan of an experiment in a loop over a harness."""
    request, dials = course.request, course.request.procedure
    screen_z = llr = None
    if request.start is Stage.SCREEN:
        runs = yield from _pair(course, Stage.SCREEN, 0, 0)
        screened = paired_of(runs, (Stage.SCREEN,))
        screen_z = screened.z
        if screen_z < dials.task_screen_z:
            return _finding(
                Verdict.DISCARD, Stage.SCREEN, f"the screening block {_told(screened)}", screened, screen_z
            )
    if request.start in (Stage.SCREEN, Stage.CONFIRM):
        ended, llr = yield from _confirm(course, screen_z)
        if ended is not None:
            return ended
    return (yield from _seal(course, screen_z, llr))


def _pair(course: Course, stage: Stage, place: int, seed: int) -> Generator[Step, RunFact, list[RunFact]]:
    """Both arms on the block of tasks that one seed draws.

    Raises:
        Ended: they were not given the same tasks.
    """
    runs = []
    for arm in BOTH if place % 2 == 0 else BOTH[::-1]:
        run = yield from course.measure(arm, stage, place, course.seed(seed))
        runs.append(run)
    names = [run.tasks.keys() for run in runs]
    if not names[0] or names[0] != names[1]:
        reason = "the evaluator did not score the same tasks of both arms, so they cannot be compared"
        raise Ended(Finding(Verdict.INCONCLUSIVE, stage, reason))
    return runs


def _confirm(
    course: Course, screen_z: float | None
) -> Generator[Step, RunFact, tuple[Finding | None, float]]:
    """Fresh blocks until the evidence suffices for better, or for worse."""
    dials = course.request.procedure
    runs: list[RunFact] = []
    paired, llr = Paired({}), 0.0
    for pair in range(dials.task_pairs):
        runs += yield from _pair(course, Stage.CONFIRM, pair, 1 + pair)
        paired = paired_of(runs, (Stage.CONFIRM,))
        llr = paired.log_evidence()
        if llr >= math.log(1 / dials.task_alpha):
            return None, llr
        unchanged = pair + 1 >= UNCHANGED and not (paired.fixed or paired.broken)
        if unchanged or paired.log_evidence(-1) >= math.log(1 / dials.beta):
            reason = f"{pair + 1} fresh blocks do not confirm the gain: they {_told(paired)}"
            return _finding(Verdict.DISCARD, Stage.CONFIRM, reason, paired, screen_z, llr), llr
    needed = math.log(1 / dials.task_alpha)
    reason = (
        f"{dials.task_pairs} fresh blocks {_told(paired)}, which neither confirms nor refutes a gain "
        f"(evidence {llr:+.2f}, {needed:.2f} needed)"
    )
    return _finding(Verdict.INCONCLUSIVE, Stage.CONFIRM, reason, paired, screen_z, llr), llr


def _seal(course: Course, screen_z: float | None, llr: float | None) -> Generator[Step, RunFact, Finding]:
    """Fresh tasks of the sealed split: the only ones that are ever reported as the gain."""
    request, dials = course.request, course.request.procedure
    first = 1 + max(dials.max_pairs, dials.task_pairs)
    runs: list[RunFact] = []
    for place in range(dials.task_seal_pairs):
        runs += yield from _pair(course, Stage.SEAL, place, first + place)
    paired = paired_of(runs, (Stage.SEAL,))
    by_arm = {arm: [run for run in runs if run.arm is arm] for arm in Arm}
    guards = tuple(guard_checks(request, by_arm))
    broken = [guard for guard in guards if not guard.kept]
    if paired.effect <= dials.seal_margin * paired.error:
        verdict, reason = Verdict.DISCARD, "the sealed tasks do not repeat the gain"
    elif broken:
        verdict, reason = (
            Verdict.DISCARD,
            f"the guard {broken[0].name} got worse than {broken[0].bound} allows",
        )
    else:
        verdict, reason = (
            Verdict.KEEP,
            f"{len(paired.differences)} sealed tasks repeat the gain, and every guard holds",
        )
    finding = _finding(verdict, Stage.SEAL, reason, paired, screen_z, llr)
    return Finding(
        finding.verdict,
        finding.stage,
        finding.reason,
        finding.effect,
        finding.effect_sigma,
        finding.sigma,
        screen_z,
        llr,
        guards,
    )


def _finding(
    verdict: Verdict,
    stage: Stage,
    reason: str,
    paired: Paired,
    screen_z: float | None,
    llr: float | None = None,
) -> Finding:
    """A finding whose sigma is the standard error of its effect."""
    error = paired.error
    in_errors = paired.effect / error if error else None
    return Finding(verdict, stage, reason, paired.effect, in_errors, error, screen_z, llr)


def _told(paired: Paired) -> str:
    fixed, broken = len(paired.fixed), len(paired.broken)
    if not fixed and not broken:
        return f"changed none of {len(paired.differences)} tasks"
    return f"fixed {fixed} and broke {broken} of {len(paired.differences)} tasks"
