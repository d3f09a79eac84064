"""The labels Pawl uses, as people see them. They show what the check run and the ledger say; three of them people set."""

from __future__ import annotations

from dataclasses import dataclass

from pawl.core.decision import Verdict


@dataclass(frozen=True)
class Label:
    """A label. GitHub wants six hex digits, and at most 100 characters of description."""

    name: str
    color: str
    description: str


EXPERIMENT = Label("pawl", "5319e7", "An experiment of a Pawl loop")
TRACKING = Label("pawl:tracking", "5319e7", "The tracking issue of a Pawl loop")
KEEP = Label("pawl:keep", "0e8a16", "Measured: better, and sealed by fresh runs")
DISCARD = Label("pawl:discard", "cfd3d7", "Measured: no gain that holds")
INCONCLUSIVE = Label("pawl:inconclusive", "fef2c0", "Measured: the noise hides whether it is better")
CRASH = Label("pawl:crash", "d93f0b", "The candidate crashed, ran too long or left no metric")
VIOLATION = Label("pawl:violation", "b60205", "The candidate broke a rule of the measurement")
HELD = Label("pawl:held", "fbca04", "A keep that waits for people before it is merged")
SUPERSEDED = Label("pawl:superseded", "c5def5", "Its base moved on and the edit no longer fits")
PAUSED = Label("pawl:paused", "e99695", "Set on the tracking issue to pause the loop; take it off to go on")
INCIDENT = Label("pawl:incident", "b60205", "Nothing is merged until a person has looked and resumed")
HOLD = Label(
    "pawl:hold", "e99695", "Set on an experiment to keep it from being merged; take it off to let it go on"
)
RESUME = Label("pawl:resume", "0e8a16", "Set on the tracking issue to merge again after an incident")

LABELS = (
    EXPERIMENT,
    TRACKING,
    KEEP,
    DISCARD,
    INCONCLUSIVE,
    CRASH,
    VIOLATION,
    HELD,
    HOLD,
    SUPERSEDED,
    PAUSED,
    INCIDENT,
    RESUME,
)
"""Every label, in the order in which Pawl creates them."""

VERDICT_LABELS = {
    Verdict.KEEP: KEEP,
    Verdict.DISCARD: DISCARD,
    Verdict.INCONCLUSIVE: INCONCLUSIVE,
    Verdict.CRASH: CRASH,
    Verdict.VIOLATION: VIOLATION,
}
