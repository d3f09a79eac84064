"""How good a loop's predictions are: what proposers said an edit would bring, against what was measured.

Three figures, each with its own meaning. The share of right signs: n(sign(p) = sign(m)) / n, where a measured 0 is no
sign. The ratio: the median of m / p over predictions that are not 0, so that one wild guess cannot carry it; 1 is
calibrated, below 1 is too hopeful. The rank correlation: Spearman's rho, the correlation of the ranks of p and m, with
equal values at the mean of their ranks; it tells whether the larger promises are the better ideas, whatever their unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import correlation, median

FEWEST_RANKED = 3
"""Predictions below which a rank correlation says nothing."""


@dataclass(frozen=True)
class Prediction:
    """One prediction and what became of it. Effects in the metric's unit, positive where better."""

    predicted: float
    direction: int
    """Of the measured effect: 1 better, -1 worse, 0 neither."""
    measured: float | None = None
    """Its size, as far as it may be told; none where only the direction may."""

    @property
    def right(self) -> bool:
        """Whether the measurement went where the prediction pointed."""
        return _sign(self.predicted) == self.direction != 0

    @property
    def ratio(self) -> float | None:
        """Measured for each unit that was predicted; none where nothing was predicted, or no size is known."""
        if self.measured is None or self.predicted == 0:
            return None
        ratio = self.measured / self.predicted
        return ratio if math.isfinite(ratio) else None


@dataclass(frozen=True)
class Score:
    """How good predictions are. Figures are none where too little is known for them."""

    predictions: int
    right: int
    """How many pointed the right way."""
    ratio: float | None = None
    """Median of measured over predicted."""
    rank: float | None = None
    """Spearman's rank correlation, -1 to 1."""

    @property
    def share(self) -> float | None:
        """Share with the right sign."""
        return self.right / self.predictions if self.predictions else None


def score_of(predictions: Sequence[Prediction]) -> Score:
    """The score of predictions whose effects were measured."""
    ratios = [ratio for each in predictions if (ratio := each.ratio) is not None]
    sized = [(each.predicted, each.measured) for each in predictions if each.measured is not None]
    return Score(
        predictions=len(predictions),
        right=sum(each.right for each in predictions),
        ratio=median(ratios) if ratios else None,
        rank=_rank_correlation([p for p, _ in sized], [m for _, m in sized]),
    )


def _rank_correlation(left: Sequence[float], right: Sequence[float]) -> float | None:
    if len(left) < FEWEST_RANKED or len(set(left)) == 1 or len(set(right)) == 1:
        return None
    return max(-1.0, min(1.0, correlation(_ranks(left), _ranks(right))))


def _ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = sorted(values)
    first = {value: place for place, value in reversed(list(enumerate(ordered, start=1)))}
    many = dict.fromkeys(ordered, 0)
    for value in ordered:
        many[value] += 1
    return [first[value] + (many[value] - 1) / 2 for value in values]


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
