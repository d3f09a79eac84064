"""The states of an experiment and the ways between them. docs/design.md draws this table, and a test compares the two."""

from __future__ import annotations

from enum import StrEnum

from pawl.core.decision import Verdict
from pawl.core.judging import verdict_key
from pawl.core.ledger import Outcome
from pawl.core.policy import hold
from pawl.core.snapshot import Attempt, Experiment, Snapshot

SUPERSEDED_LABEL = f"pawl:{Outcome.SUPERSEDED}"


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
    State.QUEUED: _ANY_TIME | {State.MEASURING, State.MEASURED, State.SUPERSEDED},
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


def state_of(snapshot: Snapshot, experiment: Experiment) -> State:
    """Where an experiment is, read from what GitHub shows."""
    outcome = snapshot.outcomes().get(experiment.number)
    if outcome is not None:
        return State(outcome.outcome)
    verdict = snapshot.verdict_of(experiment)
    if not experiment.open:
        if experiment.merged:
            kept = verdict is not None and verdict.verdict is Verdict.KEEP
            return State.MERGED if kept else State.OVERRIDDEN
        return State.SUPERSEDED if SUPERSEDED_LABEL in experiment.labels else State.CLOSED
    if verdict is not None:
        if verdict.verdict is not Verdict.KEEP:
            return State.DROPPED
        if not (experiment.final and experiment.parent == snapshot.base.sha):
            return State.KEPT
        return State.HELD if hold(snapshot, experiment) else State.PROMOTED
    attempt = experiment.attempt
    if attempt is None or recorded(snapshot, experiment, attempt):
        return State.PROPOSED
    job = attempt.job
    if job is None or job.status == "queued":
        return State.QUEUED
    return State.MEASURING if job.status == "in_progress" else State.MEASURED


def recorded(snapshot: Snapshot, experiment: Experiment, attempt: Attempt) -> bool:
    """Whether the ledger has the verdict of this attempt."""
    key = verdict_key(experiment.number, experiment.head, attempt.number)
    return any(line.key == key for line in snapshot.ledger)
