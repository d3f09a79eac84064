"""From what is seen of a loop to what is to be done: a pure function.

The order of the actions matters: the next job is dispatched before the last one is written up, so that the runner never
waits for prose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from pawl.core.actions import (
    Action,
    AddLabels,
    Append,
    CancelJob,
    EnsureTracking,
    FinishCalibration,
    Propose,
    RemoveLabels,
    StartAttempt,
    StartCalibration,
    UpdateTracking,
)
from pawl.core.judging import write_calibration
from pawl.core.ledger import AuditLine, CalibrationLine, ResumeLine
from pawl.core.measurement import Purpose
from pawl.core.moves import Moves
from pawl.core.planning import calibration_request, experiment_request
from pawl.core.policy import (
    INCIDENT_LABEL,
    RESUME_LABEL,
    HoldReason,
    changed_model,
    failing_base,
    open_incident,
    paused,
)
from pawl.core.snapshot import Calibrating, Experiment, Snapshot
from pawl.core.spending import cap_reached
from pawl.core.states import State

AHEAD = 1
"""Pull requests that wait measured-next, so that no runner waits for a proposal."""


@dataclass(frozen=True)
class Circumstances:
    """What a decision needs beside the snapshot."""

    now: datetime
    seed_key: bytes = field(repr=False)


def decide(snapshot: Snapshot, circumstances: Circumstances) -> tuple[Action, ...]:
    """Everything that is to be done now, in order. Doing nothing is an empty tuple."""
    if snapshot.tracking is None:
        return (EnsureTracking(),)
    at = circumstances.now.isoformat(timespec="seconds")
    return tuple(_Decision(snapshot, circumstances.seed_key, at).actions())


class _Decision(Moves):
    """One decision about a loop: its experiments' moves, its calibrations, and what comes next."""

    def actions(self) -> Iterator[Action]:
        self._resumed()  # first: a person cannot have looked at an incident that this step finds
        for experiment in self.snapshot.experiments:
            self.move(experiment)
        for calibrating in self.snapshot.calibrating:
            if calibrating.job.status == "completed":
                self._calibrated(calibrating)
            elif self.snapshot.stop:
                self.now.append(CancelJob(calibrating.job.id))
        for orphan in self.snapshot.orphans:
            self.orphaned(orphan)
        yield from self._next_job()
        yield from self.now
        if self.draft.lines and (self.urgent or not self._busy()):
            yield Append(tuple(self.draft.lines), dict(self.draft.files))
            yield from self.after
        yield from self._marked()
        yield from self._propose()
        yield UpdateTracking(tuple(self._notices()))

    def _calibrated(self, calibrating: Calibrating) -> None:
        line = write_calibration(self.draft, calibrating)
        self.urgent = True
        if isinstance(line, (CalibrationLine, AuditLine)):
            runs = len(line.runs)
            check_run = calibrating.job.check_run
            # Before the line: behind it the calibration is out of sight, and a lost conclusion would stay lost.
            self.now.append(FinishCalibration(check_run, line.ok, calibrating.request, line.reason, runs))

    def _resumed(self) -> None:
        tracking = self.snapshot.tracking
        if tracking is None or RESUME_LABEL not in tracking.labels:
            return
        if open_incident(self.snapshot.ledger) is not None or failing_base(self.snapshot):
            seq = self.snapshot.ledger[-1].seq
            self.draft.add(ResumeLine, f"resume:{seq}", by=f"label {RESUME_LABEL}")
            self.urgent = True
            self.after.append(RemoveLabels((RESUME_LABEL,)))
        else:
            self.now.append(RemoveLabels((RESUME_LABEL,)))

    def _marked(self) -> Iterator[Action]:
        """The incident's label, on the tracking issue from the incident to its end."""
        tracking = self.snapshot.tracking
        there = tracking is not None and INCIDENT_LABEL in tracking.labels
        wanted = open_incident([*self.snapshot.ledger, *self.draft.lines]) is not None
        if wanted and not there:
            yield AddLabels((INCIDENT_LABEL,))
        elif there and not wanted:
            yield RemoveLabels((INCIDENT_LABEL,))

    def _busy(self) -> bool:
        """Whether the lane has a job that has not ended; one that waits to be dispatched, or is being cancelled, is one."""
        attempts = [e.attempt for e in self.snapshot.experiments if e.attempt is not None]
        jobs = [attempt.job for attempt in attempts] + [item.job for item in self.snapshot.calibrating]
        jobs += [orphan.job for orphan in self.snapshot.orphans]
        return State.QUEUED in self.states.values() or any(job and job.status != "completed" for job in jobs)

    def _next_job(self) -> Iterator[Action]:
        """Give the free lane its next job: a calibration that is due, else the oldest experiment that waits."""
        restarted = any(isinstance(action, StartAttempt) for action in self.now)
        if (
            self._busy()
            or self.base_moves
            or restarted
            or paused(self.snapshot)
            or failing_base(self.snapshot)
        ):
            return
        if any(item.job.status == "completed" for item in self.snapshot.calibrating):
            return  # what it measured decides what comes next: look again once it is in the ledger
        calibration = calibration_request(self.snapshot, self.seed_key)
        waiting = self._waiting()
        if calibration is not None:
            if calibration.purpose is Purpose.AUDIT or waiting or not self._exhausted():
                yield StartCalibration(calibration)
        elif waiting:
            experiment = waiting[0]
            attempt = experiment.attempt.number + 1 if experiment.attempt else 1
            request = experiment_request(self.snapshot, experiment, attempt, self.seed_key)
            self.states[experiment.number] = State.QUEUED
            yield StartAttempt(experiment.number, experiment.head, request)

    def _waiting(self) -> list[Experiment]:
        """Experiments that could be measured now, oldest first."""
        inputs = self.snapshot.base.inputs
        return [
            experiment
            for experiment in self.snapshot.experiments
            if self.states[experiment.number] is State.PROPOSED
            and not experiment.objections
            and experiment.parent_inputs == inputs
        ]

    def _exhausted(self) -> bool:
        limit = self.snapshot.rules.limits.experiments
        return limit is not None and self.snapshot.last_number >= limit

    def _propose(self) -> Iterator[Action]:
        snapshot = self.snapshot
        if snapshot.proposing or snapshot.proposer_rests or self._exhausted():
            return
        if paused(snapshot) or failing_base(snapshot) or self.base_moves or self._capped():
            return
        waiting = sum(state is State.PROPOSED for state in self.states.values())
        if waiting < AHEAD:
            yield Propose(snapshot.last_number + 1)

    def _capped(self) -> str:
        money = self.snapshot.rules.agent.money
        return cap_reached(money, self.snapshot.ledger, datetime.fromisoformat(self.draft.at))

    def _notices(self) -> Iterator[str]:
        """Why nothing happens, in sentences."""
        snapshot = self.snapshot
        halted, incident, failing = paused(snapshot), open_incident(snapshot.ledger), failing_base(snapshot)
        if halted is not None and halted.reason is not HoldReason.INCIDENT:
            yield "stopped" if halted.reason is HoldReason.STOPPED else "paused"
        if incident is not None:
            yield f"incident: {incident.reason}"
        if failing:
            yield f"the base cannot be measured: {failing}"
        if self.awaited:
            yield self.awaited
        if snapshot.proposer_rests:
            yield f"no proposal: {snapshot.proposer_rests}"
        if capped := self._capped():
            yield f"no proposal: {capped}"
        if changed := changed_model(snapshot.ledger):
            yield changed
        if self._exhausted() and not snapshot.experiments and not failing:
            yield f"the limit of {snapshot.rules.limits.experiments} experiments is reached"
