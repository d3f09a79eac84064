"""Lanes: which runners have room for another job.

A fleet has as many lanes as it has runners. Behind every running job one more may wait, so that a runner that has ended one
finds the next already queued: a job that is dispatched only then is picked up seconds or a minute later, each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

BEHIND = 1
"""Jobs that may wait behind each running one."""


def slots(fleets: Mapping[str, int]) -> dict[str, int]:
    """Jobs that each fleet may have at a time, running and waiting ones together.

    Args:
        fleets: lanes by fleet.
    """
    return {fleet: lanes * (1 + BEHIND) for fleet, lanes in fleets.items()}


def room(fleets: Mapping[str, int], in_flight: Iterable[str]) -> dict[str, int]:
    """Jobs that each fleet may still be given.

    Args:
        fleets: lanes by fleet.
        in_flight: the fleet of every job that has not ended; a fleet that the rules no longer name takes no room.
    """
    taken = Counter(in_flight)
    return {fleet: max(0, most - taken[fleet]) for fleet, most in slots(fleets).items()}


def emptiest(fleets: Mapping[str, int], free: Mapping[str, int]) -> str | None:
    """The fleet whose next job begins first: one with an idle lane, else the one with the most room.

    Args:
        fleets: lanes by fleet.
        free: the room of each.

    Returns:
        The first named of several; none if there is no room.
    """

    def rank(fleet: str) -> tuple[int, int]:
        return max(0, free[fleet] - BEHIND * fleets[fleet]), free[fleet]

    return max((fleet for fleet in free if free[fleet] > 0), key=rank, default=None)
