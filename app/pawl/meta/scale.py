"""On what scale a dial is turned, and how its new value is written.

Every dial is turned along one coordinate in which a step means the same anywhere: the logarithm of its size, or the
log-odds where the number is a share of one (momentum 0.9 to 0.99 is as far as 0.1 to 0.01).
"""

from __future__ import annotations

import math
import re

from pawl.meta.literals import Dial
from pawl.meta.places import words

REACH = math.log(8)
"""How far from the present value a search looks: x/8 to 8x."""

_SHARE_FROM = 0.8
"""A float between this and 1 is taken for a share whatever its name."""
_SHARES = re.compile(
    "ratio|frac|fraction|prob|probability|dropout|share|beta[12]?|betas|momentum|gamma|friction|keep|mix|smoothing|quantile"
)
_FREE = re.compile("lr|rate|scale|scalar|temperature|weight")
_NEAR_ZERO = 0.05
"""What one step means for a dial that is 0.0, which has no logarithm: these are mostly shares and penalties."""
_POWERS_FROM = 16
"""Powers of two from here on stay powers of two: sizes that divide each other, and that hardware likes."""
_GRAIN = 64


def coordinate(dial: Dial, value: float) -> float:
    """Where a value lies on the dial's scale."""
    size = abs(value)
    if dial.exponent:
        return size * math.log(2)
    if dial.value == 0:
        return size / _NEAR_ZERO
    if _is_share(dial):
        share = min(max(size, 1e-6), 1 - 1e-6)
        return math.log(share / (1 - share))
    return math.log(max(size, 1e-12))


def written(dial: Dial, at: float) -> str:
    """The text of the literal for a point of the dial's scale, in the style of the present one and without a sign."""
    if dial.exponent:
        return str(max(1, round(at / math.log(2))))
    if dial.value == 0:
        size = max(at, 0.0) * _NEAR_ZERO
    elif _is_share(dial):
        size = 1 / (1 + math.exp(-at))
        if size > 0.5:  # two digits of what is missing to one are what matters: 0.987, not 0.99
            size = 1 - float(f"{1 - size:.2g}")
            return _float(dial.text, f"{size:.6f}".rstrip("0"))
    else:
        size = math.exp(min(at, 700.0))
    return _int(dial, size) if dial.whole else _float(dial.text, f"{size:.2g}")


def value_of(dial: Dial, text: str) -> float:
    """The number that a text stands for in the place of this dial's."""
    return math.copysign(float(text), dial.value) if dial.value else float(text)


def _is_share(dial: Dial) -> bool:
    if dial.whole or not 0 < abs(dial.value) < 1:
        return False
    named = words(dial.name)
    if abs(dial.value) >= _SHARE_FROM:
        return not any(map(_FREE.fullmatch, named))
    return any(map(_SHARES.fullmatch, named))


def _int(dial: Dial, size: float) -> str:
    present = round(abs(dial.value))
    grain = min(present & -present, _GRAIN)
    if present >= _POWERS_FROM and present & (present - 1) == 0:
        number = 2 ** max(0, round(math.log2(max(size, 1))))
    elif grain >= _POWERS_FROM:
        number = max(grain, round(size / grain) * grain)
    else:
        number = max(1, round(size) if size < 100 else round(float(f"{size:.2g}")))
    return f"{number:_}" if "_" in dial.text else str(number)


def _float(like: str, digits: str) -> str:
    """Decimal digits in the style of another literal: with an exponent if it has one, with underscores if it has some."""
    value = float(digits)
    exponent = re.search(r"([eE])([+-]?)(0?)", like)
    if exponent or 0 < value < 1e-4 or value >= 1e6:
        mantissa, power = f"{value:.5e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        letter, plus, padded = exponent.groups() if exponent else ("e", "", "")
        sign = "-" if power[0] == "-" else "+" if plus == "+" else ""
        return f"{mantissa}{letter}{sign}{int(power[1:]):0{2 if padded else 1}d}"
    return format(value, "_") if "_" in like else repr(value)
