"""When a repository is to be looked at again though nobody announces it."""

from __future__ import annotations

from datetime import datetime, timedelta

from pawl.core.planning import next_deadline
from pawl.core.snapshot import Snapshot

LONGEST_WAIT = 300.0
"""Seconds before a look that something moved under is followed by another; two at first, and then doubled."""


class Due:
    """What one repository waits for, as its last look has left it."""

    def __init__(self) -> None:
        self._deadlines: dict[str, datetime] = {}
        """When a job of each loop is overdue next."""
        self._moves = 0
        """Looks in a row that something moved under."""
        self._moved_until: datetime | None = None
        """When the next look is due after such a one; nobody announces what moved if Pawl itself moved it."""

    def begin(self) -> None:
        """A look begins. One that cannot be had leaves none: an old one would ask for the next at once, for ever."""
        self._deadlines.clear()
        self._moved_until = None

    def expect(self, snapshot: Snapshot) -> None:
        """A loop was seen like this: its jobs have their deadlines."""
        self._deadlines.pop(snapshot.loop, None)
        if (at := next_deadline(snapshot)) is not None:
            self._deadlines[snapshot.loop] = at

    def moved(self, now: datetime) -> None:
        """Something moved under the look."""
        self._moves += 1
        seconds = min(LONGEST_WAIT, 2.0 ** min(self._moves, 20))
        self._moved_until = now + timedelta(seconds=seconds)

    def end(self) -> None:
        """The look has ended."""
        if self._moved_until is None:
            self._moves = 0

    def times(self) -> list[datetime]:
        """When a look is due."""
        return [at for at in (self._moved_until, *self._deadlines.values()) if at is not None]
