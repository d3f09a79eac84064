"""How often unchanged code passes the screen: sentinels, counted, beside the share of them that should.

A sentinel is one run of the base beside a pool that it is no part of, as the screening run of an edit without effect is. If
sigma is what it is taken for, one in twenty passes. More of them, and every boundary of the decision is easier to reach than
it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from pawl.core.calibration import WINDOW
from pawl.core.config import SELECT
from pawl.core.ledger import AnyLine, CalibrationLine, Measured
from pawl.core.measurement import Procedure, Purpose, RunStatus
from pawl.core.noise import screen_score

COVERAGE = 0.99
"""Of the interval. It is looked at after every sentinel, and shall not cry wolf for having been looked at often."""
HALVINGS = 40
"""Of an interval from 0 to 1, until a bound is found."""


@dataclass(frozen=True)
class Screened:
    """Runs of unchanged code that were held against the screen."""

    runs: int
    passed: int
    declared: float
    """The share that should pass, at most while sigma rests on few runs."""

    @property
    def interval(self) -> tuple[float, float]:
        """Shares that the count agrees with, by Clopper and Pearson: exact, so that few runs say little."""
        tail, runs, passed = (1 - COVERAGE) / 2, self.runs, self.passed
        low = _where(lambda share: 1 - _at_most(passed - 1, runs, share) > tail) if passed else 0.0
        high = _where(lambda share: _at_most(passed, runs, share) < tail) if passed < runs else 1.0
        return low, high

    @property
    def too_many(self) -> bool:
        """More than can be: sigma is larger than it is taken for."""
        return self.interval[0] > self.declared

    @property
    def too_few(self) -> bool:
        """Fewer than can be: sigma is smaller than it is taken for."""
        return self.interval[1] < self.declared


def screened(lines: Sequence[AnyLine]) -> Screened | None:
    """The sentinels of a loop, as long as it has measured what it measures now; none where there are none.

    Those of a metric without noise, and of loops over a harness, say nothing: neither is screened against noise.
    """
    scores = list(_scores(lines))
    limit = Procedure().screen_z
    passed = sum(score >= limit for score in scores)
    return Screened(len(scores), passed, 1 - NormalDist().cdf(limit)) if scores else None


def doubted(found: Screened | None) -> str:
    """What is wrong with the noise that a loop believes in, and what to do, in a sentence; empty if nothing is."""
    if found is None or not (found.too_many or found.too_few):
        return ""
    count = f"{found.passed} of {found.runs} runs of unchanged code passed the screen, where {found.declared:.0%} should"
    if found.too_many:
        return (
            f"{count}: sigma is taken for smaller than it is, and edits without effect pass more easily than they should. "
            "Look for what makes the runners unsteady, like other work on them, or clocks and temperature"
        )
    return (
        f"{count}: sigma is taken for larger than it is, and gains are missed. Look for single runs of the base far from "
        f"all others; sigma rests on the newest {WINDOW}"
    )


def _scores(lines: Sequence[AnyLine]) -> Iterator[float]:
    """The screen's score of every sentinel."""
    now = next((line.rules for line in reversed(lines) if isinstance(line, Measured)), None)
    if now is None or now.task_agent:
        return
    digest = now.rules_digest
    for line in lines:
        if not isinstance(line, CalibrationLine) or line.purpose is not Purpose.SENTINEL:
            continue
        known = line.calibration
        comparable = known.pool and known.sigma and known.dof and known.device == line.device
        if not comparable or not (line.rules is now or line.rules.rules_digest == digest):
            continue
        for run in line.runs:
            if run.status is RunStatus.OK and SELECT in run.metric:
                yield screen_score(known, now.metric.sign * (run.metric[SELECT] - fmean(known.pool)))


def _at_most(count: int, runs: int, share: float) -> float:
    """Chance that no more than so many of the runs pass, each of which does with this chance (binomial)."""

    def exactly(passed: int) -> float:
        ways = math.lgamma(runs + 1) - math.lgamma(passed + 1) - math.lgamma(runs - passed + 1)
        return math.exp(ways + passed * math.log(share) + (runs - passed) * math.log1p(-share))

    return math.fsum(map(exactly, range(count + 1)))


def _where(holds: Callable[[float], bool]) -> float:
    """The share from which on something holds, which does at no smaller one."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
