"""When a cheat is planted next, and which one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pawl.core.canary import claim_of
from pawl.core.cheats import plant
from pawl.core.finding import Fence
from pawl.core.incidents import open_incident
from pawl.core.ledger import AnyLine, CanaryLine, VerdictLine
from pawl.core.levels import ACCEPTED, HELD, plantable, standing
from pawl.core.measurement import Calibration
from pawl.core.snapshot import Snapshot

CANARY_EVERY = 100
"""Experiments between two planted cheats, once enough of them were stopped."""
CANARY_RUNS = 2
"""Runs that a cheat which does no work must be paid for before it has passed: one may be luck. All others take one."""
CANARY_TRIES = 2
"""Canaries in a row that may tell nothing, before ten experiments are waited for."""
AFTER_TRIES = 10


@dataclass(frozen=True)
class Canary:
    """A cheat, and the editable file with it."""

    cheat: str
    content: bytes


def next_canary(snapshot: Snapshot, fleet: str, known: Calibration, draw: int) -> Canary | None:
    """The cheat that a fleet is to be tried with now; none if it is not its turn, or nothing is due.

    Args:
        snapshot: the loop.
        fleet: whose runners are free. Fleets take turns, since each has fences of its own.
        known: what is known of the base there; its pool is not empty.
        draw: a number that nobody can foretell.
    """
    if not canary_due(snapshot) or fleet != _turn(snapshot):
        return None
    names = plantable(snapshot.rules, snapshot.ledger, snapshot.base.surroundings)
    for name in _in_order(snapshot.ledger, names, draw):
        try:
            claim = claim_of(snapshot.rules, known)
            return Canary(name, plant(name, snapshot.base.content, snapshot.rules, claim))
        except ValueError:
            continue  # no place for this one in this file; `pawl check` and the tracking issue count what was planted
    return None


def canary_due(snapshot: Snapshot) -> bool:
    """Whether it is time to plant a cheat.

    It is until enough were stopped, and then once in a while, where the rules ask for `merge: auto` or everything else that
    it takes has been shown. It is not where `auto` need not be earned, nor while an incident is open.
    """
    rules, lines, around = snapshot.rules, snapshot.ledger, snapshot.base.surroundings
    if rules.merge == "shadow" or ACCEPTED in rules.accept or open_incident(lines):
        return False
    if not plantable(rules, lines, around):
        return False
    shown = standing(rules, lines, around)
    if rules.merge != "auto" and not shown.trusted:
        return False
    since, untold = _lately(lines)
    if untold >= CANARY_TRIES:
        return since >= AFTER_TRIES
    return shown.held < HELD or since >= CANARY_EVERY


def _lately(lines: Sequence[AnyLine]) -> tuple[int, int]:
    """Experiments since the last canary, and how many canaries in a row have told nothing."""
    since = untold = 0
    for line in reversed(lines):
        if isinstance(line, CanaryLine):
            if line.fence is not Fence.UNTOLD:
                break
            untold += 1
        elif isinstance(line, VerdictLine) and not untold:
            since += 1
    return since, untold


def _turn(snapshot: Snapshot) -> str:
    """The fleet that was tried least often, of those of the rules."""
    fleets = snapshot.rules.lanes_by_fleet
    tried = [line.fleet for line in snapshot.ledger if isinstance(line, CanaryLine)]
    return min(fleets, key=tried.count)


def _in_order(lines: Sequence[AnyLine], names: Sequence[str], draw: int) -> list[str]:
    """Cheats that passed when they were last tried, then those that were planted least; chance decides among equals."""
    canaries = [line for line in lines if isinstance(line, CanaryLine)]
    last = {line.cheat: line.fence for line in canaries if line.fence is not Fence.UNTOLD}
    # Told or not, or one that never tells anything would be planted for ever.
    tried = [line.cheat for line in canaries]
    first = draw % len(names)
    drawn = [*names[first:], *names[:first]]
    return sorted(drawn, key=lambda name: (last.get(name) is not Fence.PASSED, tried.count(name)))
