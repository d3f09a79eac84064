"""Where a repository's proposals are made, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from pawl.control.thinking import Thinker
from pawl.core.snapshot import Snapshot
from pawl.meta.means import Means
from pawl.meta.proposer import Library
from pawl.meta.registry import proposer_for


@dataclass(frozen=True)
class Desk:
    """What one repository's proposers work with."""

    thinker: Thinker
    means: Means = field(default_factory=Means)
    library_of: Callable[[Snapshot], Library] | None = None
    """Makes what a proposer may read from what the loop looks like; none gives it nothing to read."""

    def ask(self, snapshot: Snapshot, number: int) -> None:
        """Have a proposal made for the snapshot's loop, unless one is being made or waits to be taken."""
        if number in self.thinker.busy(snapshot.loop):
            return
        proposer = proposer_for(snapshot.rules, self.means)
        library = self.library_of(snapshot) if self.library_of is not None and proposer.reads else None
        self.thinker.submit(proposer, snapshot, number, library)


@dataclass(frozen=True)
class OrderBook(Desk):
    """A desk where nothing is made: it notes which proposals are wanted, for a job apart that has a model's key."""

    wanted: dict[tuple[str, int], None] = field(default_factory=dict)
    """Loop and number of each, in the order in which they were asked for."""

    def ask(self, snapshot: Snapshot, number: int) -> None:
        """Note that a proposal is wanted."""
        self.wanted[snapshot.loop, number] = None
