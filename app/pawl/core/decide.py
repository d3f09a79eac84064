"""From what is seen of a loop to what is to be done: a pure function.

The order of the actions matters: the next job is dispatched before the last one is written up, so that the runner never
waits for prose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from pawl.core.actions import (
    Action,
    AddLabels,
    Answer,
    Append,
    CancelJob,
    EnsureTracking,
    FinishCalibration,
    FinishOpening,
    Propose,
    RemoveLabels,
    StartAttempt,
    StartCalibration,
    TellUntaken,
    UpdateTracking,
)
from pawl.core.asking import answered
from pawl.core.asks import AFTER_INCIDENT, Ask, Level, Verb
from pawl.core.finding import Fence
from pawl.core.judging import write_calibration, write_late
from pawl.core.lanes import emptiest, room, slots
from pawl.core.ledger import AuditLine, Brake, BrakeLine, CalibrationLine, CanaryLine, ResumeLine
from pawl.core.measurement import Purpose
from pawl.core.moves import Moves
from pawl.core.planning import calibration_request, estimate_seconds, experiment_request, measuring, untaken
from pawl.core.policy import (
    INCIDENT_LABEL,
    RESUME_LABEL,
    HoldReason,
    brakes,
    brakes_told,
    changed_model,
    failing_base,
    open_incident,
    paused,
)
from pawl.core.quotas import no_job, no_proposal
from pawl.core.snapshot import Calibrating, Experiment, Orphan, Snapshot
from pawl.core.spending import cap_reached
from pawl.core.states import State
from pawl.core.waiting import Untaken, settings_page, why_untaken


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


class _Decision(Moves):
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
        self.late = tuple(self._untaken())
        yield from self.jobs
        yield from self._next_jobs()
        yield from self.now
        if self.draft.lines and (self.urgent or not self._in_flight()):
            yield Append(tuple(self.draft.lines), dict(self.draft.files))
            yield from self.after
        yield from self._marked()
        for number in set(self.snapshot.unopened) - set(self.snapshot.proposing):
            yield FinishOpening(number)
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

    def _in_flight(self) -> list[str]:
        """The fleet of every job that has not ended; one that waits to be dispatched, or is being cancelled, is one."""
        flying = [
            self._fleet(experiment) for experiment in self.snapshot.experiments if self._flies(experiment)
        ]
        others: list[Calibrating | Orphan] = [*self.snapshot.calibrating, *self.snapshot.orphans]
        flying += [item.request.fleet for item in others if item.job.status != "completed"]
        return flying

    def _flies(self, experiment: Experiment) -> bool:
        attempt = experiment.attempt
        job = attempt.job if attempt is not None else None
        waits = self.states[experiment.number] is State.QUEUED
        return waits or (job is not None and job.status != "completed")

    def _next_jobs(self) -> Iterator[Action]:
        """Give free lanes their next jobs: calibrations that are due, and the experiments that wait, oldest first."""
        if self.base_moves or paused(self.snapshot) or failing_base(self.snapshot):
            return
        calibrating = self.snapshot.calibrating
        if any(item.job.status == "completed" for item in calibrating):
            return  # what it measured decides what comes next: look again once it is in the ledger
        fleets = self.snapshot.rules.lanes_by_fleet
        free = room(fleets, self._in_flight())
        waiting = self._waiting()
        begun = bool(calibrating)
        for fleet in [name for name in free if free[name]]:
            calibration = calibration_request(self.snapshot, fleet, self.seed_key)
            if calibration is None:
                continue
            due = calibration.purpose is Purpose.AUDIT or waiting or not self._exhausted()
            if due and not begun and not self._spent(estimate_seconds(calibration)):
                # One at a time, since they are numbered by what the ledger has.
                begun = True
                free[fleet] -= 1
                yield StartCalibration(calibration)
            if calibration.purpose is Purpose.POOL:
                free[fleet] = 0  # without a pool there is nothing to screen against
        for experiment in waiting:
            emptied = emptiest(fleets, free)
            if emptied is None or self._spent(self.snapshot.rules.budget):
                return
            free[emptied] -= 1
            yield self._start(experiment, emptied)

    def _spent(self, seconds: float) -> str:
        """Why no job of so many likely seconds is started today any more, in a sentence; empty if one may be."""
        snapshot = self.snapshot
        flying = [each for each in snapshot.experiments if self._flies(each)]
        begun = sum(
            estimate_seconds(each.attempt.request)
            if each.attempt is not None
            and each.attempt.request is not None
            and each.number not in self.started
            else snapshot.rules.budget
            for each in flying
        )
        begun += sum(
            estimate_seconds(each.request) for each in snapshot.calibrating if each.job.status != "completed"
        )
        lines = (*snapshot.ledger, *self.draft.lines)  # what has just ended is in neither otherwise
        return no_job(snapshot.rules.limits, lines, snapshot.now, begun + seconds)

    def _full(self) -> str:
        """Why nothing new is proposed while so many pull requests are open; empty if it may be."""
        snapshot = self.snapshot
        opened = sum(each.open for each in snapshot.experiments) + len(snapshot.proposing)
        return no_proposal(snapshot.rules.limits, opened)

    def _start(self, experiment: Experiment, fleet: str) -> Action:
        attempt = experiment.attempt.number + 1 if experiment.attempt else 1
        request = experiment_request(self.snapshot, experiment, attempt, fleet, self.seed_key)
        self.states[experiment.number] = State.QUEUED
        self.started[experiment.number] = fleet
        return StartAttempt(experiment.number, experiment.head, request)

    def _waiting(self) -> list[Experiment]:
        """Experiments that could be measured now: those that were to keep on an earlier base, then the oldest."""
        inputs = self.snapshot.base.inputs
        ready = [
            experiment
            for experiment in self.snapshot.experiments
            if self.states[experiment.number] is State.PROPOSED
            and not experiment.objections
            and experiment.parent_inputs == inputs
        ]
        return sorted(ready, key=lambda experiment: not self.snapshot.was_kept(experiment))

    def _exhausted(self) -> bool:
        limit = self.snapshot.rules.limits.experiments
        return limit is not None and self.snapshot.last_number >= limit

    def _propose(self) -> Iterator[Action]:
        snapshot = self.snapshot
        if snapshot.proposer_rests or self._exhausted():
            return
        if paused(snapshot) or failing_base(snapshot) or self.base_moves or self._capped() or self._full():
            return
        waiting = sum(state is State.PROPOSED for state in self.states.values())
        fleets, making = snapshot.rules.lanes_by_fleet, len(snapshot.proposing)
        wanted = sum(slots(fleets).values()) - len(self._in_flight()) - waiting
        fresh = max(0, min(wanted, sum(fleets.values())) - making)
        last = max((snapshot.last_number, *snapshot.proposing))
        limit = snapshot.rules.limits.experiments
        for number in range(last + 1, last + 1 + fresh):
            if limit is None or number <= limit:
                yield Propose(number)

    def _capped(self) -> str:
        money = self.snapshot.rules.agent.money
        return cap_reached(money, self.snapshot.ledger, datetime.fromisoformat(self.draft.at))

    def _untaken(self) -> Iterator[str]:
        """The job of each fleet that has waited longest, where that is long; every such job's check run says it, too."""
        told = set[str]()
        due = untaken(self.snapshot, self.draft.lines)
        for each in measuring(self.snapshot):
            request, job = each.request, each.job
            if request is None or job is None or job.id not in due or self.snapshot.now < due[job.id]:
                continue
            known = self.snapshot.untaken.get(job.id, Untaken())
            labels = known.labels or self.snapshot.rules.runner_labels(request.fleet)
            why, page = why_untaken(replace(known, labels=labels)), settings_page(job.url)
            self.now.append(TellUntaken(job.check_run, request, why, page))
            if request.fleet in told:
                continue
            told.add(request.fleet)
            what = (
                f"experiment {request.number}" if request.purpose is Purpose.EXPERIMENT else "the calibration"
            )
            where = f" Runners are listed under {page}" if page else ""
            yield f"no runner has taken the job of {what} since {job.since:%H:%M} UTC: {why}.{where}"

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
        if spent := self._spent(snapshot.rules.budget):
            yield f"nothing is measured: {spent}"
        if changed := changed_model(snapshot.ledger):
            yield changed
        if self._exhausted() and not snapshot.experiments and not failing:
            yield f"the limit of {snapshot.rules.limits.experiments} experiments is reached"
