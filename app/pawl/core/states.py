"""The states of an experiment and the ways between them. docs/design.md draws this table, and a test compares the two."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where an experiment is. It is read from GitHub each time, never stored."""

    PROPOSED = "proposed"
    """Its pull request is open, and no attempt holds its head."""
    QUEUED = "queued"
    """An attempt holds its head; the job waits for a runner."""
    MEASURING = "measuring"
    """The job runs."""
    MEASURED = "measured"
    """The job has ended, and the ledger has no verdict yet."""
    DROPPED = "dropped"
    """The verdict is in the ledger, and it is not to keep."""
    KEPT = "kept"
    """The verdict is to keep, and the pull request's head is still the measured commit."""
    PROMOTED = "promoted"
    """The head is the final commit, ready to become the base."""
    HELD = "held"
    """Ready, and waiting for people: a review, a failed check, an incident."""
    MERGED = "merged"
    CLOSED = "closed"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"


_ANY_TIME = frozenset({State.PROPOSED, State.CLOSED, State.OVERRIDDEN})
"""What people can do to an open pull request at any time: push another head, close it, merge it."""

TRANSITIONS: dict[State, frozenset[State]] = {
    State.PROPOSED: _ANY_TIME | {State.QUEUED, State.DROPPED, State.SUPERSEDED},
    State.QUEUED: _ANY_TIME | {State.MEASURING, State.MEASURED},
    State.MEASURING: _ANY_TIME | {State.MEASURED},
    State.MEASURED: _ANY_TIME | {State.KEPT, State.DROPPED, State.QUEUED},
    State.DROPPED: _ANY_TIME,
    # A person's merge of a keep is a merge like any other.
    State.KEPT: frozenset(
        {State.PROMOTED, State.HELD, State.PROPOSED, State.SUPERSEDED, State.CLOSED, State.MERGED}
    ),
    State.PROMOTED: frozenset(
        {State.MERGED, State.HELD, State.KEPT, State.PROPOSED, State.REFUSED, State.CLOSED}
    ),
    State.HELD: frozenset(
        {State.MERGED, State.PROMOTED, State.KEPT, State.PROPOSED, State.REFUSED, State.CLOSED}
    ),
    State.MERGED: frozenset(),
    State.CLOSED: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.REFUSED: frozenset(),
    State.OVERRIDDEN: frozenset(),
}
"""From each state those that one single event can lead to; a look that comes late may have missed some on the way."""
