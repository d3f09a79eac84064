"""Tasks that both arms were given: their differences, and how much they say.

A difference belongs to a task, not to a run: a task that several blocks hold counts once, by its mean difference, so that
asking it again and again makes no evidence. Sources: Miller, "Adding error bars to evals" (paired differences, clusters);
Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting" (the e-value).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from pawl.core.measurement import Arm, RunFact, RunStatus, Stage

BETS = 50
"""Bets between 0 and 1 that the e-value is the mean of."""


@dataclass(frozen=True)
class Paired:
    """Both arms on the same tasks. Differences are positive where the candidate is better, and between -1 and 1."""

    differences: dict[str, float]
    """Mean difference of each task, by its name."""

    @property
    def fixed(self) -> tuple[str, ...]:
        """Tasks that the candidate does better."""
        return tuple(sorted(name for name, each in self.differences.items() if each > 0))

    @property
    def broken(self) -> tuple[str, ...]:
        """Tasks that it does worse."""
        return tuple(sorted(name for name, each in self.differences.items() if each < 0))

    @property
    def effect(self) -> float:
        """Mean difference over tasks."""
        return fmean(self.differences.values()) if self.differences else 0.0

    @property
    def error(self) -> float:
        """Standard error of the effect: sd / sqrt(n) over tasks; 0 where fewer than two are known."""
        values = list(self.differences.values())
        return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else 0.0

    @property
    def z(self) -> float:
        """Sum over root of the sum of squares: McNemar's statistic where tasks pass or fail; 0 where nothing changed."""
        squares = math.fsum(each * each for each in self.differences.values())
        return math.fsum(self.differences.values()) / math.sqrt(squares) if squares else 0.0

    @property
    def midp(self) -> float:
        """One-sided mid-p of McNemar's exact test: a cross-check of the evidence, which decides nothing."""
        wins, losses = len(self.fixed), len(self.broken)
        count = wins + losses
        if not count:
            return 1.0
        above = sum(math.comb(count, k) for k in range(wins + 1, count + 1))
        return (above + math.comb(count, wins) / 2) / float(2**count)

    def log_evidence(self, sign: int = 1) -> float:
        """Logarithm of the e-value against "no better" (with sign -1: against "no worse").

        The mean, over bets l between 0 and 1, of the product of 1 + l d over tasks: under the hypothesis that the mean
        difference is at most 0, its expectation is at most 1, whatever the distribution.
        """
        products = []
        for number in range(BETS):
            bet = (number + 0.5) / BETS
            products.append(math.fsum(math.log1p(bet * sign * each) for each in self.differences.values()))
        top = max(products)
        return top + math.log(fmean(math.exp(each - top) for each in products))


def paired_of(runs: Iterable[RunFact], stages: Sequence[Stage]) -> Paired:
    """The tasks of complete pairs of runs in these stages."""
    places: dict[tuple[Stage, int], dict[Arm, RunFact]] = {}
    for run in runs:
        if run.stage in stages and run.status is RunStatus.OK and run.tasks:
            places.setdefault((run.stage, run.place), {})[run.arm] = run
    told: dict[str, list[float]] = {}
    for arms in places.values():
        if len(arms) == len(Arm):
            baseline, candidate = arms[Arm.BASELINE].tasks, arms[Arm.CANDIDATE].tasks
            for name in baseline.keys() & candidate.keys():
                told.setdefault(name, []).append(candidate[name] - baseline[name])
    return Paired({name: fmean(told[name]) for name in sorted(told)})
