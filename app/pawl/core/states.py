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


TRANSITIONS: dict[State, frozenset[State]] = {
    State.PROPOSED: frozenset({State.QUEUED, State.PROPOSED, State.SUPERSEDED, State.CLOSED}),
    State.QUEUED: frozenset({State.MEASURING, State.MEASURED, State.PROPOSED, State.CLOSED}),
    State.MEASURING: frozenset({State.MEASURED, State.PROPOSED, State.CLOSED}),
    State.MEASURED: frozenset({State.KEPT, State.DROPPED, State.PROPOSED}),
    State.DROPPED: frozenset({State.CLOSED, State.OVERRIDDEN}),
    State.KEPT: frozenset({State.PROMOTED, State.PROPOSED, State.SUPERSEDED, State.CLOSED}),
    State.PROMOTED: frozenset({State.MERGED, State.HELD, State.PROPOSED, State.REFUSED, State.CLOSED}),
    State.HELD: frozenset(
        {State.MERGED, State.PROMOTED, State.PROPOSED, State.SUPERSEDED, State.REFUSED, State.CLOSED}
    ),
    State.MERGED: frozenset(),
    State.CLOSED: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.REFUSED: frozenset(),
    State.OVERRIDDEN: frozenset(),
}
