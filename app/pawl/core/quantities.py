"""Durations, sizes and bounds as people write them: ``5m``, ``200MB``, ``+10%``."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DURATION = re.compile(r"(?:(?P<h>\d+(?:\.\d+)?)h)?(?:(?P<m>\d+(?:\.\d+)?)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?")
_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>B|kB|KB|MB|GB|KiB|MiB|GiB)?")
_UNITS = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}
_BOUND = re.compile(
    r"(?:(?P<sign>[+-])(?P<percent>\d+(?:\.\d+)?)%)|(?:(?P<op><=|>=)\s*(?P<limit>-?\d+(?:\.\d+)?))"
)


def _shown(text: object) -> str:
    shown = repr(text)
    return shown if len(shown) <= 60 else shown[:57] + "..."


def parse_duration(text: str | float) -> float:
    """Seconds in ``5m``, ``1h30m``, ``90s`` or a bare number of seconds.

    Raises:
        ValueError: the text is no duration, or is not positive.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(str(text).strip())
        if match is None or not any(match.groups()):
            raise ValueError(f"{_shown(text)} is no duration; write for example 300s, 5m or 1h30m")
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 < seconds < 7 * 24 * 3600:
        raise ValueError(f"{_shown(text)} is no duration between 0 and 7 days")
    return seconds


def format_duration(seconds: float) -> str:
    """``5m``, ``1h 30m``, ``9.8s``: a duration for people."""
    if seconds < 60:
        return f"{seconds:.3g}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "m"), (rest if not hours else 0, "s")]
    return " ".join(f"{value}{unit}" for value, unit in parts if value)


def parse_size(text: str | int) -> int:
    """Bytes in ``200MB``, ``1GiB`` or a bare number of bytes.

    Raises:
        ValueError: the text is no size, or is not positive.
    """
    match = _SIZE.fullmatch(str(text).strip())
    size = float(match["number"]) * _UNITS[match["unit"] or "B"] if match else 0.0
    if not 1 <= size < 2**63:
        raise ValueError(f"{_shown(text)} is no size; write for example 500kB, 200MB or 2GiB")
    return int(size)


@dataclass(frozen=True)
class Bound:
    """How far a guard may move: relative to the baseline, or an absolute limit.

    ``+10%`` admits up to 10 % more than the baseline, ``-5%`` down to 5 % less, ``<=4000`` and ``>=0.9`` are absolute.
    """

    text: str
    ratio: float | None = None
    """Largest (``+``) or smallest (``-``) admitted multiple of the baseline."""
    upper: bool = True
    limit: float | None = None

    @classmethod
    def parse(cls, text: str) -> Bound:
        """Read a bound.

        Raises:
            ValueError: the text is no bound.
        """
        match = _BOUND.fullmatch(str(text).strip())
        if match is None:
            raise ValueError(f"{_shown(text)} is no bound; write for example +10%, -5%, <=4000 or >=0.9")
        if match["op"]:
            return cls(text=str(text), upper=match["op"] == "<=", limit=float(match["limit"]))
        share = float(match["percent"]) / 100
        upper = match["sign"] == "+"
        return cls(text=str(text), upper=upper, ratio=1 + share if upper else 1 - share)

    def admits(self, candidate: float, baseline: float | None) -> bool:
        """Whether the candidate's value keeps the bound; a relative bound without a baseline admits nothing."""
        if self.limit is not None:
            allowed = self.limit
        elif baseline is None or self.ratio is None:
            return False
        else:
            # A negative baseline mirrors the ratio: 10 % "more" is always further up the number line.
            allowed = baseline + abs(baseline) * (self.ratio - 1)
        return candidate <= allowed if self.upper else candidate >= allowed
