"""The course of one plan: its runs as they come, what is made again, and what ends it at once."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from statistics import fmean

from pawl.core.config import SELECT
from pawl.core.finding import Calibrated, Finding, GuardCheck, Tried, Verdict
from pawl.core.measurement import Arm, Request, RunFact, RunStatus, Stage, Step, splits_of

PRINTED_TOLERANCE = 0.01
"""Relative difference between a printed and an evaluated metric from which on they disagree. A twentieth of a sigma, near
zero say, is rounding."""
SECONDS_RATIO, SECONDS_SLACK = 1.10, 0.5
"""The guard every loop has: a run may not take more wall time than this multiple of the baseline's, plus slack seconds."""

Plan = Generator[Step, RunFact, Finding | Calibrated | Tried]


class Ended(Exception):
    """Leaves a plan from within one of its measurements."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding


@dataclass
class Course:
    """The state of one plan: the request, and what had to be repeated so far."""

    request: Request
    interrupted: int = 0
    baseline_failures: int = 0

    def seed(self, place: int) -> int:
        """The seed of a place."""
        return self.request.seeds[place]

    def measure(self, arm: Arm, stage: Stage, place: int, seed: int) -> Generator[Step, RunFact, RunFact]:
        """One run that is a measurement: interrupted ones, and failed ones of the baseline, are made again.

        Raises:
            Ended: it cannot be had, and that is what there is to find.
        """
        run = yield from self.told(arm, stage, place, seed)
        if arm is Arm.CANDIDATE:
            self.check(run, stage)
        return run

    def told(self, arm: Arm, stage: Stage, place: int, seed: int) -> Generator[Step, RunFact, RunFact]:
        """One run that tells something, if only of the candidate's failure.

        Raises:
            Ended: the runner or the base failed too often.
        """
        step = Step(arm=arm, stage=stage, place=place, seed=seed)
        limits = self.request.procedure
        while True:
            run = yield step
            missing = self._missing(run, stage)
            if run.status in (RunStatus.INTERRUPTED, RunStatus.STARTED):
                self.interrupted += 1
                if self.interrupted > limits.max_interrupted:
                    raise Ended(
                        Finding(Verdict.INCONCLUSIVE, stage, "the runner was lost too often to finish")
                    )
            elif arm is Arm.BASELINE and (run.status is not RunStatus.OK or missing):
                self.baseline_failures += 1
                if self.baseline_failures >= limits.max_baseline_failures:
                    why = "no metric" if run.status is RunStatus.OK else run.status
                    reason = f"the base itself failed ({why}), so there is nothing to compare with"
                    raise Ended(Finding(Verdict.INCONCLUSIVE, stage, reason))
            else:
                return run

    def _missing(self, run: RunFact, stage: Stage) -> list[str]:
        return [split for split in splits_of(self.request.rules, stage) if split not in run.metric]

    def check(self, run: RunFact, stage: Stage) -> None:
        """A candidate's run must be a measurement.

        Raises:
            Ended: it is none.
        """
        metric, splits = self.request.rules.metric, splits_of(self.request.rules, stage)
        missing = self._missing(run, stage)
        if run.status is RunStatus.VIOLATION:
            reason = "the evaluator found evidence that the artifact does not stand for the submitted source"
            raise Ended(Finding(Verdict.VIOLATION, stage, reason, incident=reason))
        if run.status is not RunStatus.OK:
            raise Ended(Finding(Verdict.CRASH, stage, _FAILURES.get(run.status, "the run failed")))
        for value in run.metric.values():
            if metric.range is not None and not metric.range[0] <= value <= metric.range[1]:
                reason = f"{metric.name} = {value:g} lies outside the possible range {list(metric.range)}"
                raise Ended(Finding(Verdict.VIOLATION, stage, reason, incident=reason))
        if missing:
            where = "" if missing == [SELECT] else f" on the split {missing[0]!r}"
            raise Ended(Finding(Verdict.CRASH, stage, f"the run reported no metric{where}"))
        value = run.metric[SELECT if SELECT in run.metric else splits[0]]
        slack = max(PRINTED_TOLERANCE * abs(value), self.request.calibration.sigma / 20)
        if run.printed is not None and abs(run.printed - value) > slack:
            reason = f"the run printed {metric.name} = {run.printed:g}, the evaluator measured {value:g}"
            raise Ended(Finding(Verdict.VIOLATION, stage, reason, incident=reason))


_FAILURES = {
    RunStatus.CRASH: "the run ended with an error",
    RunStatus.TIMEOUT: "the run was still going when its budget and grace were over, and was killed",
    RunStatus.MEMORY: "the run needed more memory than it may have, and was killed",
    RunStatus.INVALID: "the run left no valid artifact or metric",
}


def mean_of(runs: list[RunFact], split: str) -> float:
    """Mean of the metric on a split."""
    return fmean(run.metric[split] for run in runs)


def guard_checks(request: Request, runs: dict[Arm, list[RunFact]]) -> Iterable[GuardCheck]:
    """Every guard of the loop, over the sealed runs of both arms."""
    for name, bound in request.rules.guards.items():
        baseline, candidate = (_guard_mean(runs[arm], name) for arm in (Arm.BASELINE, Arm.CANDIDATE))
        kept = candidate is not None and bound.admits(candidate, baseline)
        yield GuardCheck(name, bound.text, baseline, candidate, kept)
    if "seconds" not in request.rules.guards:
        baseline, candidate = (
            fmean(run.seconds for run in runs[arm]) for arm in (Arm.BASELINE, Arm.CANDIDATE)
        )
        text = f"+{SECONDS_RATIO - 1:.0%} and {SECONDS_SLACK:g}s"
        yield GuardCheck(
            "seconds", text, baseline, candidate, candidate <= baseline * SECONDS_RATIO + SECONDS_SLACK
        )


def _guard_mean(runs: list[RunFact], name: str) -> float | None:
    if name == "seconds":
        return fmean(run.seconds for run in runs)
    values = [run.guards[name] for run in runs if name in run.guards]
    return fmean(values) if len(values) == len(runs) else None
