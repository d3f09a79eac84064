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
    Answer,
    Append,
    CancelJob,
    DeleteBranch,
    EnsureTracking,
    FinishCalibration,
    FinishOpening,
    Propose,
    RemoveLabels,
    UpdateTracking,
)
from pawl.core.asking import answered
from pawl.core.asks import AFTER_INCIDENT, Ask, Level, Verb
from pawl.core.dispatching import Dispatching
from pawl.core.finding import Fence
from pawl.core.incidents import open_incident
from pawl.core.judging import write_calibration, write_late
from pawl.core.lanes import slots
from pawl.core.ledger import AuditLine, Brake, BrakeLine, CalibrationLine, CanaryLine, ResumeLine
from pawl.core.policy import (
    INCIDENT_LABEL,
    RESUME_LABEL,
    HoldReason,
    brakes,
    brakes_told,
    changed_model,
    failing_base,
    paused,
)
from pawl.core.quotas import no_proposal
from pawl.core.screening import doubted, screened
from pawl.core.snapshot import Calibrating, Snapshot
from pawl.core.spending import cap_reached
from pawl.core.states import State


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
    actions = tuple(_Decision(snapshot, circumstances.seed_key, at).actions())
    if snapshot.asks:  # people first; what follows from it is decided by the next look
        notices = next((each.notices for each in actions if isinstance(each, UpdateTracking)), ())
        return answered(snapshot, at, notices)
    return actions


class _Decision(Dispatching):
    """One decision about a loop: its experiments' moves, its calibrations, and what comes next."""

    late: tuple[str, ...] = ()
    """Jobs that no runner takes, in sentences."""

    def actions(self) -> Iterator[Action]:
        self._braked()
        self._resumed()  # first: a person cannot have looked at an incident that this step finds
        for late in self.snapshot.late:
            write_late(self.draft, late)
            self.urgent = True
        for experiment in self.snapshot.experiments:
            self.move(experiment)
        for calibrating in self.snapshot.calibrating:
            if calibrating.job.status == "completed":
                self._calibrated(calibrating)
            elif self.snapshot.stop or (paused(self.snapshot) and calibrating.job.status == "queued"):
                self.now.append(CancelJob(calibrating.job.id))
            elif calibrating.job.status == "in_progress":
                self.running(calibrating.request, calibrating)
        for orphan in self.snapshot.orphans:
            self.orphaned(orphan)
        self.late = tuple(self.tell_untaken())
        yield from self.jobs
        yield from self.next_jobs()
        yield from self.now
        if self.draft.lines and (self.urgent or not self.in_flight()):
            yield Append(tuple(self.draft.lines), dict(self.draft.files))
            yield from self.after
        yield from self._marked()
        for number in set(self.snapshot.unopened) - set(self.snapshot.proposing):
            yield FinishOpening(number)
        for number in self.snapshot.leftovers:
            yield DeleteBranch(number)
        yield from self._propose()
        yield UpdateTracking(tuple(self._notices()))

    def _calibrated(self, calibrating: Calibrating) -> None:
        line = write_calibration(self.draft, calibrating)
        self.urgent = True
        if isinstance(line, (CalibrationLine, AuditLine, CanaryLine)):
            fence = line.fence if isinstance(line, CanaryLine) else None
            ok = fence is Fence.HELD if isinstance(line, CanaryLine) else line.ok
            runs = len(line.runs)
            check_run = calibrating.job.check_run
            # Before the line: behind it the calibration is out of sight, and a lost conclusion would stay lost.
            self.now.append(FinishCalibration(check_run, ok, calibrating.request, line.reason, runs, fence))

    def _braked(self) -> None:
        """What people have stopped, and let go on, since the ledger last said so."""
        told = brakes_told(self.snapshot.ledger)
        for brake, on in brakes(self.snapshot).items():
            if told[brake] != on:
                seq = self.snapshot.ledger[-1].seq if self.snapshot.ledger else 0
                by = self.snapshot.braked_by if brake is Brake.PAUSED else ""
                self.draft.add(BrakeLine, f"brake:{brake}:{seq}", brake=brake, on=on, by=by)
                self.urgent = True

    def _resumed(self) -> None:
        """The label that resumes: heeded from those who may, and taken off in any case."""
        tracking, who = self.snapshot.tracking, self.snapshot.resumer
        if tracking is None or RESUME_LABEL not in tracking.labels:
            return
        incident = open_incident(self.snapshot.ledger)
        if incident is not None and (who is None or not who.level.reaches(AFTER_INCIDENT)):
            level = who.level if who is not None else Level.NONE
            ask = Ask(f"label-{incident.seq}", who.by if who else "", level, "/pawl resume", tracking.number)
            why = (
                f"after an incident it takes {AFTER_INCIDENT} access to let the loop go on; yours is {level}"
            )
            self.now += [Answer(ask, Verb.RESUME, why), RemoveLabels((RESUME_LABEL,))]
        elif incident is not None or failing_base(self.snapshot):
            seq = self.snapshot.ledger[-1].seq
            self.draft.add(ResumeLine, f"resume:{seq}", by=who.by if who else "")
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

    def _full(self) -> str:
        """Why nothing new is proposed while so many pull requests are open; empty if it may be."""
        snapshot = self.snapshot
        opened = sum(each.open for each in snapshot.experiments) + len(snapshot.proposing)
        return no_proposal(snapshot.rules.limits, opened)

    def _propose(self) -> Iterator[Action]:
        snapshot = self.snapshot
        if snapshot.proposer_rests or self.exhausted():
            return
        if paused(snapshot) or failing_base(snapshot) or self.base_moves or self._capped() or self._full():
            return
        waiting = sum(state is State.PROPOSED for state in self.states.values())
        fleets, making = snapshot.rules.lanes_by_fleet, len(snapshot.proposing)
        wanted = sum(slots(fleets).values()) - len(self.in_flight()) - waiting
        fresh = max(0, min(wanted, sum(fleets.values())) - making)
        last = max((snapshot.last_number, *snapshot.proposing))
        limit = snapshot.rules.limits.experiments
        for number in range(last + 1, last + 1 + fresh):
            if limit is None or number <= limit:
                yield Propose(number)

    def _capped(self) -> str:
        money = self.snapshot.rules.agent.money
        return cap_reached(money, self.snapshot.ledger, datetime.fromisoformat(self.draft.at))

    def _notices(self) -> Iterator[str]:
        """Why nothing happens, in sentences."""
        snapshot = self.snapshot
        halted, incident, failing = paused(snapshot), open_incident(snapshot.ledger), failing_base(snapshot)
        if halted is not None and halted.reason is not HoldReason.INCIDENT:
            yield {HoldReason.STOPPED: "stopped", HoldReason.PUBLIC: "public repository"}.get(
                halted.reason, "paused"
            )
        if incident is not None:
            yield f"incident: {incident.reason}"
        if failing:
            yield f"the base cannot be measured: {failing}"
        if self.awaited:
            yield self.awaited
        if snapshot.unread:
            yield snapshot.unread
        yield from self.late
        if snapshot.proposer_rests:
            yield f"no proposal: {snapshot.proposer_rests}"
        if capped := self._capped():
            yield f"no proposal: {capped}"
        if full := self._full():
            yield f"no proposal: {full}"
        if spent := self.spent(snapshot.rules.budget):
            yield f"nothing is measured: {spent}"
        if changed := changed_model(snapshot.ledger):
            yield changed
        if doubt := doubted(screened(snapshot.ledger)):
            yield doubt
        if self.exhausted() and not snapshot.experiments and not failing:
            yield f"the limit of {snapshot.rules.limits.experiments} experiments is reached"
