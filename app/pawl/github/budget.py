"""How many requests an installation has left this hour, as GitHub's own answers tell it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

RESERVE = 0.1
"""Share of an hour's requests that is kept for what is being measured: a merged experiment costs about thirty of 5,000."""


@dataclass(frozen=True)
class Left:
    """What one answer said."""

    limit: int
    remaining: int
    reset: float
    """When the hour is over, in seconds since 1970."""


class Budget:
    """The requests of one installation: all its repositories share them.

    Source: GitHub docs, "Rate limits for the REST API", headers ``x-ratelimit-*``.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._left: Left | None = None

    def note(self, headers: Mapping[str, Any]) -> None:
        """Read what an answer says of it; other limits than that of plain requests are left alone."""
        texts = [str(headers.get(f"x-ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")]
        if headers.get("x-ratelimit-resource", "core") == "core" and all(text.isdigit() for text in texts):
            limit, remaining, reset = map(int, texts)
            self._left = Left(limit, remaining, float(reset))

    @property
    def scarce_until(self) -> float:
        """Until when only the reserve is left, in seconds since 1970; 0 while there is more."""
        left = self._left
        if left is None or left.remaining >= RESERVE * left.limit or left.reset <= self._clock():
            return 0.0
        return left.reset
