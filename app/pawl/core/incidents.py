"""What stops merging until a person has looked: incidents that are open, and planted cheats that a person says are none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pawl.core.finding import Fence
from pawl.core.ledger import AnyLine, CanaryLine, DismissalLine, IncidentLine, ResumeLine


def incident_key(name: str) -> str:
    """Names the line of an incident; what led to it names the incident."""
    return f"incident:{name}"


def canary_name(number: int) -> str:
    """Names the incident of a planted cheat that passed."""
    return f"canary:{number}"


def canary_incident(number: int) -> str:
    """Names the line of that incident."""
    return incident_key(canary_name(number))


def dismissal_key(number: int) -> str:
    """Names the one line by which a planted cheat that passed can be dismissed."""
    return f"dismissal:{number}"


def open_incidents(lines: Sequence[AnyLine]) -> Iterator[IncidentLine]:
    """Incidents that no person has resumed from, nor dismissed, the newest first."""
    dismissed = set[str]()
    for line in reversed(lines):
        if isinstance(line, ResumeLine):
            return
        if isinstance(line, DismissalLine):
            dismissed.add(canary_incident(line.canary))
        elif isinstance(line, IncidentLine) and line.key not in dismissed:
            yield line


def open_incident(lines: Sequence[AnyLine]) -> IncidentLine | None:
    """The last of them, which stands for all."""
    return next(open_incidents(lines), None)


def open_canary(lines: Sequence[AnyLine]) -> CanaryLine | None:
    """The last planted cheat that passed and whose incident is open."""
    keys = {line.key for line in open_incidents(lines)}
    passed = (line for line in reversed(lines) if isinstance(line, CanaryLine) and line.fence is Fence.PASSED)
    return next((line for line in passed if canary_incident(line.number) in keys), None)


def dismissed_incidents(lines: Sequence[AnyLine]) -> frozenset[str]:
    """Keys of the incidents that a person has dismissed: they count as if they had not been."""
    return frozenset(canary_incident(line.canary) for line in lines if isinstance(line, DismissalLine))


def dismissed_cheats(surroundings: str, lines: Sequence[AnyLine]) -> frozenset[str]:
    """Cheats that a person has said are none in this loop, of those that were planted in the same surroundings."""
    numbers = {line.canary for line in lines if isinstance(line, DismissalLine)}
    canaries = (line for line in lines if numbers and isinstance(line, CanaryLine) and line.number in numbers)
    return frozenset(line.cheat for line in canaries if line.surroundings == surroundings)
