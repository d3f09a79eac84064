"""The noise of one run: pooled within unchanged code, with an upper bound while it rests on few runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

from pawl.core.measurement import Calibration

ENOUGH_DOF = 30
"""From here on sigma-hat itself is used."""

# 20 % quantiles of the chi-squared distribution with 1 to 29 degrees of freedom: the 80 % upper bound of a variance with
# nu degrees of freedom is nu / quantile times its estimate. Checked against scipy in the tests.
_CHI2_20 = (
    0.06418475, 0.44628710, 1.00517401, 1.64877662, 2.34253431, 3.07008841, 3.82232191, 4.59357361, 5.38005321,
    6.17907926, 6.98867351, 7.80732768, 8.63386083, 9.46732799, 10.30695901, 11.15211647, 12.00226573, 12.85695310,
    13.71578971, 14.57843922, 15.44460840, 16.31403980, 17.18650585, 18.06180432, 18.93975446, 19.82019395, 20.70297642,
    21.58796927, 22.47505198,
)  # fmt: skip


def decisive_sigma(known: Calibration) -> float:
    """Sigma to decide with. A deterministic metric gets a floor far below any difference that could be meant.

    Raises:
        ValueError: nothing is known of the noise.
    """
    if known.sigma == 0:
        return max(abs(fmean(known.pool)) * 1e-9, 1e-12)
    return upper_sigma(known.sigma, known.dof)


def screen_score(known: Calibration, gain: float) -> float:
    """A gain of one run over the pool's mean, in units of what noise alone would make it: sigma * sqrt(1 + 1/pool size).

    Raises:
        ValueError: nothing is known of the noise.
    """
    return gain / (decisive_sigma(known) * math.sqrt(1 + 1 / len(known.pool)))


def pooled(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """Standard deviation within groups, and its degrees of freedom: sqrt(sum of squares about group means / dof)."""
    squares, dof = 0.0, 0
    for group in groups:
        if len(group) > 1:
            mean = fmean(group)
            # The mean of equal values may differ from them in its last digit, which is no noise.
            if min(group) < max(group):
                squares += math.fsum((value - mean) ** 2 for value in group)
            dof += len(group) - 1
    return (math.sqrt(squares / dof) if dof else 0.0), dof


def upper_sigma(sigma: float, dof: int) -> float:
    """Sigma a decision may rely on: the 80 % upper bound sigma-hat * sqrt(nu / chi2_0.20,nu) until nu reaches 30.

    Raises:
        ValueError: no degrees of freedom at all, so nothing is known.
    """
    if dof < 1:
        raise ValueError("sigma needs at least two runs of the same code")
    return sigma if dof >= ENOUGH_DOF else sigma * math.sqrt(dof / _CHI2_20[dof - 1])
