"""Two versions against each other: how often equal ones are called different, and what is said of the others."""

from __future__ import annotations

import random

import pytest

from pawl.core.comparing import ALPHA, Comparison, compare
from pawl.core.config import SELECT
from pawl.core.config_parts import Metric
from pawl.core.measurement import Arm, RunFact, RunStatus, Stage

METRIC = Metric(name="seconds", goal="minimize")


def runs(baselines: list[float], candidates: list[float]) -> list[RunFact]:
    arms = [(Arm.BASELINE, value) for value in baselines] + [(Arm.CANDIDATE, value) for value in candidates]
    return [
        RunFact(
            arm=arm, stage=Stage.AUDIT, place=place, seed=place, status=RunStatus.OK, metric={SELECT: value}
        )
        for place, (arm, value) in enumerate(arms)
    ]


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([0.5, 0.51, 0.49], Comparison.BETTER),
        ([1.5, 1.51, 1.49], Comparison.WORSE),
        ([1.01, 1.0, 1.02], Comparison.NO_DIFFERENCE),
    ],
)
def test_the_goal_says_what_is_better(candidates: list[float], expected: Comparison) -> None:
    compared = compare(METRIC, runs([1.0, 1.02, 0.98], candidates))
    assert compared.comparison is expected
    assert (compared.effect or 0) * (-1 if expected is Comparison.WORSE else 1) >= -0.02


def test_without_noise_any_difference_counts() -> None:
    assert compare(METRIC, runs([1.0, 1.0], [1.0, 1.0])).comparison is Comparison.NO_DIFFERENCE
    assert compare(METRIC, runs([1.0, 1.0], [0.999, 0.999])).comparison is Comparison.BETTER


def test_what_was_not_measured_is_no_difference_of_anything() -> None:
    assert compare(METRIC, runs([1.0, 1.0], [1.0])).comparison is Comparison.FAILED
    assert compare(METRIC, runs([1.0, 1.0], [1.0, 1.0]), "it crashed").reason == "it crashed"


@pytest.mark.parametrize("many", [3, 5, 8])
def test_equal_versions_are_rarely_called_different(many: int) -> None:
    """The upper bound of sigma keeps the rate near alpha however few the runs are; by sigma-hat alone it is far above."""
    chance, tries = random.Random(7), 4000
    wrong = 0
    for _ in range(tries):
        values = [[chance.gauss(1, 0.1) for _ in range(many)] for _ in range(2)]
        wrong += compare(METRIC, runs(*values)).comparison is not Comparison.NO_DIFFERENCE
    assert wrong / tries < 2 * ALPHA + 0.003  # three standard errors of the estimate
