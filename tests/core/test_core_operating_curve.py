"""The operating curve of Screen, Confirm, Seal, simulated with the very code that decides.

The figures are those of docs/decision.md: independent normal noise of known sigma, and a pool of 8 baseline runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pawl.core.config import SELECT, Loop
from pawl.core.decision import Finding, Verdict, advance
from pawl.core.measurement import Arm, Calibration, Procedure, Purpose, Request, RunFact, RunStatus, Step
from pawl.core.seeds import seeds_needed


@dataclass(frozen=True)
class Curve:
    """What became of many experiments of one true gain, in sigma."""

    kept: float
    runs: float
    reported: float
    """Mean reported effect of those that were kept."""


def simulated(gain: float, trials: int, seed: int, believed: float = 1.0) -> Curve:
    """Run whole experiments on normal noise with sigma 1.

    Args:
        gain: the candidate's true gain, in sigma.
        trials: how many experiments.
        seed: of the noise.
        believed: the sigma that the decision is told.
    """
    noise = np.random.default_rng(seed)
    rules = Loop.model_validate({"edit": "t.py", "metric": {"name": "score", "goal": "maximize"}})
    kept, runs, reported = 0, 0, 0.0
    for _ in range(trials):
        pool = tuple(float(value) for value in noise.standard_normal(8))
        request = Request(
            repository="us/loop",
            loop="loop",
            rules=rules,
            purpose=Purpose.EXPERIMENT,
            number=1,
            base="0" * 40,
            inputs="0" * 64,
            baseline="0" * 40,
            candidate="1" * 40,
            candidate_digest="1" * 64,
            seeds=tuple(range(seeds_needed(Procedure()))),
            calibration=Calibration(sigma=believed, dof=40, pool=pool),
        )
        facts: list[RunFact] = []
        while isinstance(step := advance(request, facts), Step):
            value = float(noise.standard_normal()) + (gain if step.arm is Arm.CANDIDATE else 0.0)
            facts.append(
                RunFact(**step.model_dump(), status=RunStatus.OK, metric={SELECT: value}, seconds=1.0)
            )
        assert isinstance(step, Finding)
        runs += len(facts)
        if step.verdict is Verdict.KEEP:
            kept += 1
            reported += step.effect or 0.0
    return Curve(kept / trials, runs / trials, reported / kept if kept else 0.0)


def test_nothing_is_gained_by_an_edit_that_does_nothing() -> None:
    curve = simulated(gain=0.0, trials=4000, seed=1)
    assert curve.kept <= 0.002
    assert curve.runs == pytest.approx(1.26, abs=0.08)


def test_a_regression_costs_one_run() -> None:
    curve = simulated(gain=-0.5, trials=1000, seed=2)
    assert curve.kept == 0
    assert curve.runs == pytest.approx(1.05, abs=0.05)


@pytest.mark.parametrize(
    ("gain", "kept", "within", "runs"),
    [(1.0, 0.034, 0.03, 3.4), (2.0, 0.47, 0.05, 9.5), (4.0, 0.98, 0.05, 11.5)],
)
def test_the_curve_of_the_documentation(gain: float, kept: float, within: float, runs: float) -> None:
    curve = simulated(gain, trials=700, seed=3)
    assert curve.kept == pytest.approx(kept, abs=within)
    assert curve.runs == pytest.approx(runs, rel=0.1)


def test_the_reported_gain_is_the_true_one() -> None:
    """Only fresh sealed runs are reported, so that no keep is over-stated by the luck that selected it."""
    curve = simulated(gain=3.0, trials=500, seed=4)
    assert curve.reported == pytest.approx(3.0, abs=0.15)
