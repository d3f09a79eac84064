"""Sigma and its upper bound, against scipy and numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pawl.core.noise import ENOUGH_DOF, pooled, upper_sigma


@pytest.mark.parametrize("dof", range(1, ENOUGH_DOF))
def test_the_upper_bound_is_the_80_percent_one(dof: int) -> None:
    assert upper_sigma(1.0, dof) == pytest.approx(math.sqrt(dof / stats.chi2.ppf(0.2, dof)), rel=1e-7)


def test_with_enough_runs_sigma_is_itself() -> None:
    assert upper_sigma(2.5, ENOUGH_DOF) == 2.5
    bounds = [upper_sigma(1.0, dof) for dof in range(1, ENOUGH_DOF + 1)]
    assert bounds == sorted(bounds, reverse=True)


def test_no_degree_of_freedom_is_no_knowledge() -> None:
    with pytest.raises(ValueError, match="two runs of the same code"):
        upper_sigma(1.0, 0)


VALUES = st.floats(-1e6, 1e6, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(VALUES, max_size=6), max_size=4))
def test_pooled_as_numpy_would(groups: list[list[float]]) -> None:
    sigma, dof = pooled(groups)
    real = [np.array(group) for group in groups if len(group) > 1]
    assert dof == sum(len(group) - 1 for group in real)
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in real)
    assert sigma == pytest.approx(math.sqrt(squares / dof) if dof else 0.0, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("count", [2, 3, 5, 6, 7, 9, 11])
def test_a_deterministic_metric_has_no_noise_at_all(count: int) -> None:
    """The mean of equal values can differ from them in the last digit; a sigma of 1e-17 would look like a noisy metric."""
    for value in (0.1, 0.3, 1 / 3, 2 / 7, 1e-9, 123456.789):
        assert pooled([[value] * count]) == (0.0, count - 1)
