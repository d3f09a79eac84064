from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.core.predictions import Prediction, Score, score_of


def sized(predicted: float, measured: float) -> Prediction:
    return Prediction(predicted, (measured > 0) - (measured < 0), measured)


def test_nothing_is_said_of_no_predictions() -> None:
    assert score_of([]) == Score(0, 0)
    assert score_of([]).share is None


@pytest.mark.parametrize(
    ("predicted", "direction", "right"),
    [(1.0, 1, True), (1.0, -1, False), (1.0, 0, False), (-1.0, -1, True), (0.0, 0, False), (0.0, 1, False)],
)
def test_a_prediction_is_right_where_it_points_the_way_the_measurement_went(
    predicted: float, direction: int, right: bool
) -> None:
    assert Prediction(predicted, direction).right is right


def test_a_score_by_hand() -> None:
    score = score_of([sized(2, 1), sized(4, 1), sized(1, -1), sized(3, 6), Prediction(1, 1)])
    assert (score.predictions, score.right) == (5, 4)
    assert score.share == 0.8
    assert score.ratio == pytest.approx((0.25 + 0.5) / 2)
    # Ranks of 2 4 1 3 are 2 4 1 3, of 1 1 -1 6 they are 2.5 2.5 1 4: the correlation of these is 3 / sqrt(5 * 4.5).
    assert score.rank == pytest.approx(3 / math.sqrt(5 * 4.5))


def test_one_wild_guess_does_not_carry_the_ratio() -> None:
    assert score_of([sized(1, 1), sized(2, 2), sized(1e-9, 5)]).ratio == 1
    assert score_of([sized(0, 1), sized(1e-320, 1e300)]).ratio is None


@pytest.mark.parametrize("pairs", [[(1, 2), (2, 3)], [(1, 1), (1, 2), (1, 3)], [(1, 2), (2, 2), (3, 2)]])
def test_too_little_gives_no_rank_correlation(pairs: list[tuple[float, float]]) -> None:
    assert score_of([sized(*pair) for pair in pairs]).rank is None


EFFECTS = st.integers(-50, 50).map(float)
PAIRS = st.lists(st.tuples(EFFECTS, EFFECTS), max_size=30)


@given(PAIRS)
def test_figures_stay_within_their_bounds(pairs: list[tuple[float, float]]) -> None:
    score = score_of([sized(*pair) for pair in pairs])
    assert 0 <= score.right <= score.predictions == len(pairs)
    assert score.rank is None or -1 <= score.rank <= 1


@given(PAIRS, st.integers(1, 9))
def test_the_unit_of_the_metric_changes_nothing(pairs: list[tuple[float, float]], unit: int) -> None:
    one = score_of([sized(*pair) for pair in pairs])
    other = score_of([sized(unit * p, unit * m) for p, m in pairs])
    assert (one.right, one.ratio) == (
        other.right,
        pytest.approx(other.ratio) if other.ratio is not None else None,
    )
    assert one.rank == (None if other.rank is None else pytest.approx(other.rank))


@given(st.lists(EFFECTS, min_size=3, max_size=30, unique=True))
def test_who_is_always_right_is_scored_so(effects: list[float]) -> None:
    score = score_of([sized(effect, effect) for effect in effects])
    assert score.right == sum(effect != 0 for effect in effects)
    assert score.ratio == 1
    assert score.rank == pytest.approx(1)
    assert score_of([sized(effect, -effect) for effect in effects]).rank == pytest.approx(-1)


@given(PAIRS)
def test_the_order_of_experiments_does_not_matter(pairs: list[tuple[float, float]]) -> None:
    one, other = (score_of([sized(*pair) for pair in order]) for order in (pairs, pairs[::-1]))
    assert (one.right, one.ratio) == (other.right, other.ratio)
    assert one.rank == (None if other.rank is None else pytest.approx(other.rank))
