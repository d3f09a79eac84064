"""Who may merge, and what stops a loop: every reason is a value with a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from pawl.core.config import Loop
from pawl.core.incidents import open_incident
from pawl.core.ledger import (
    AnyLine,
    Brake,
    BrakeLine,
    CalibrationLine,
    ResumeLine,
    SpendLine,
)
from pawl.core.levels import unearned
from pawl.core.measurement import RunFact, RunStatus
from pawl.core.quotas import no_merge
from pawl.core.snapshot import Experiment, Snapshot

PAUSED_LABEL = "pawl:paused"
HOLD_LABEL = "pawl:hold"
RESUME_LABEL = "pawl:resume"
INCIDENT_LABEL = "pawl:incident"
GOOD_CONCLUSIONS = frozenset({"success", "neutral", "skipped"})
MODELS_WATCHED = 30
"""Proposals, the newest, among which a change of model is told."""
CALIBRATION_TRIES = 2
"""Calibrations of one base that may fail before Pawl waits for a person."""
LOST_TRIES = 5
"""Calibrations in a row whose jobs may tell nothing: a runner that lacks something fails within seconds, again and again."""


class HoldReason(StrEnum):
    """Why a keep is not merged by Pawl now."""

    ASKED = "asked"
    QUOTA = "quota"
    REVIEW = "review"
    UNEARNED = "unearned-auto"
    INCIDENT = "incident"
    PAUSED = "paused"
    STOPPED = "stopped"
    PUBLIC = "public-repository"
    PROCESS_SANDBOX = "process-sandbox"
    SELF_REPORTED = "self-reported-metric"
    CHECKS_PENDING = "checks-pending"
    CHECK_FAILED = "check-failed"
    GITHUB = "github"


@dataclass(frozen=True)
class Hold:
    """A reason, and what it is about (a check's name, an incident's text, GitHub's refusal): data, never prose to trust."""

    reason: HoldReason
    detail: str = ""


def brakes(snapshot: Snapshot) -> dict[Brake, bool]:
    """Which brakes people have put on, as GitHub shows it now."""
    tracking = snapshot.tracking
    return {
        Brake.STOPPED: snapshot.stop,
        Brake.PAUSED: tracking is not None and (not tracking.open or PAUSED_LABEL in tracking.labels),
    }


def brakes_told(lines: Sequence[AnyLine]) -> dict[Brake, bool]:
    """Which brakes are on, as the ledger knows it."""
    told = dict.fromkeys(Brake, False)
    for line in lines:
        if isinstance(line, BrakeLine):
            told[line.brake] = line.on
    return told


def paused(snapshot: Snapshot) -> Hold | None:
    """Whether a person, or an incident that stops the whole loop, keeps it from starting anything new."""
    if snapshot.stop:
        return Hold(HoldReason.STOPPED)
    if snapshot.public and HoldReason.PUBLIC.value not in snapshot.rules.accept:
        return Hold(HoldReason.PUBLIC)
    incident = open_incident(snapshot.ledger)
    if incident is not None and incident.stops == "loop":
        return Hold(HoldReason.INCIDENT, incident.reason)
    return Hold(HoldReason.PAUSED) if brakes(snapshot)[Brake.PAUSED] else None


def hold(snapshot: Snapshot, experiment: Experiment) -> Hold | None:
    """Why a promoted keep may not be merged now; none if it may.

    The process sandbox, self-reported metrics and a loop that has not earned it yet mean review, unless the rules accept
    them in so many words. A person who may merge is that review: what they asked for waits for nothing but checks and
    GitHub.
    """
    rules = snapshot.rules
    halted = paused(snapshot)
    incident = open_incident(snapshot.ledger)
    if halted is not None:
        return halted
    if incident is not None:
        return Hold(HoldReason.INCIDENT, incident.reason)
    if HOLD_LABEL in experiment.labels:
        return Hold(HoldReason.ASKED)
    reviewed = snapshot.approved(experiment)
    if rules.merge != "auto" and not reviewed:
        return Hold(HoldReason.REVIEW)
    if rules.sandbox == "process" and "process-sandbox" not in rules.accept and not reviewed:
        return Hold(HoldReason.PROCESS_SANDBOX)
    if rules.self_reported and "self-reported-metric" not in rules.accept and not reviewed:
        return Hold(HoldReason.SELF_REPORTED)
    missing = unearned(rules, snapshot.ledger, snapshot.base.surroundings)
    if missing and not reviewed:
        return Hold(HoldReason.UNEARNED, missing)
    spent = no_merge(rules.limits, snapshot.ledger, snapshot.now)
    if spent and not reviewed:
        return Hold(HoldReason.QUOTA, spent)
    if experiment.head in snapshot.refusals:
        return Hold(HoldReason.GITHUB, snapshot.refusals[experiment.head])
    return _checks(snapshot, experiment)


def _checks(snapshot: Snapshot, experiment: Experiment) -> Hold | None:
    """The repository's own checks on the final commit: all that are there must pass, all that are required must be there."""
    for check in experiment.checks:
        if check.status == "completed" and check.conclusion not in GOOD_CONCLUSIONS:
            return Hold(HoldReason.CHECK_FAILED, check.name)
    pending = [check.name for check in experiment.checks if check.status != "completed"]
    present = {check.name for check in experiment.checks} | {f"pawl/{snapshot.loop}"}
    pending += [name for name in snapshot.base.required_checks if name not in present]
    return Hold(HoldReason.CHECKS_PENDING, pending[0]) if pending else None


def unpinned(rules: Loop, runs: Sequence[RunFact]) -> str:
    """Which other model than the pinned one has answered a task agent, in a sentence; empty if none has."""
    others = {name for run in runs for name in run.models} - {rules.agent.pin}
    if rules.agent.pin is None or not others:
        return ""
    return f"agent.pin is {rules.agent.pin}, and the task agent was answered by {', '.join(sorted(others))}"


def changed_model(lines: Sequence[AnyLine]) -> str:
    """Since when the meta-agent's provider answers as another model, in a sentence; empty if it always was the same."""
    told = [line for line in lines if isinstance(line, SpendLine) and line.models][-MODELS_WATCHED:]
    for before, after in reversed(list(pairwise(told))):
        if before.models != after.models and before.proposer == after.proposer:
            was, now = ", ".join(before.models), ", ".join(after.models)
            return f"since experiment {after.experiment} the meta-agent's model answers as {now}, before that as {was}"
    return ""


def _says_something(line: CalibrationLine) -> bool:
    """Whether a failed calibration tells of the base, and not only of a job that was stopped or lost."""
    told = any(
        run.status not in (RunStatus.OK, RunStatus.INTERRUPTED, RunStatus.STARTED) for run in line.runs
    )
    refused = line.record is not None and not line.runs
    return told or refused


def failing_base(snapshot: Snapshot) -> str:
    """Why the base cannot be measured, if its last calibrations all failed; empty otherwise."""
    failures: list[CalibrationLine] = []
    lost: list[CalibrationLine] = []
    for line in reversed(snapshot.ledger):
        if isinstance(line, ResumeLine):
            break
        if isinstance(line, CalibrationLine):
            if line.ok or line.inputs != snapshot.base.inputs:
                break
            (failures if _says_something(line) else lost).append(line)
    if len(failures) >= CALIBRATION_TRIES:
        return failures[0].reason
    if len(lost) >= LOST_TRIES:
        return f"{len(lost)} calibrations in a row were lost, the last one so: {lost[0].reason}"
    return ""
