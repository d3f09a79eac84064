"""Who gets the free lanes: the jobs that a decision starts, and those that no runner takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pawl.core.actions import Action, StartAttempt, StartCalibration, TellUntaken
from pawl.core.lanes import emptiest, room
from pawl.core.measurement import Purpose
from pawl.core.moves import Moves
from pawl.core.planning import calibration_request, estimate_seconds, experiment_request, measuring, untaken
from pawl.core.policy import failing_base, paused
from pawl.core.quotas import no_job
from pawl.core.snapshot import Calibrating, Experiment, Orphan
from pawl.core.states import State
from pawl.core.waiting import Untaken, settings_page, why_untaken


class Dispatching(Moves):
    """One decision's jobs, once its experiments have made their moves."""

    def next_jobs(self) -> Iterator[Action]:
        """Give free lanes their next jobs: calibrations that are due, and the experiments that wait, oldest first."""
        if self.base_moves or paused(self.snapshot) or failing_base(self.snapshot):
            return
        calibrating = self.snapshot.calibrating
        if any(item.job.status == "completed" for item in calibrating):
            return  # what it measured decides what comes next: look again once it is in the ledger
        fleets = self.snapshot.rules.lanes_by_fleet
        free = room(fleets, self.in_flight())
        waiting = self._waiting()
        begun = bool(calibrating)
        for fleet in [name for name in free if free[name]]:
            calibration = calibration_request(self.snapshot, fleet, self.seed_key)
            if calibration is None:
                continue
            due = calibration.purpose is Purpose.AUDIT or waiting or not self.exhausted()
            if due and not begun and not self.spent(estimate_seconds(calibration)):
                # One at a time, since they are numbered by what the ledger has.
                begun = True
                free[fleet] -= 1
                yield StartCalibration(calibration)
            if calibration.purpose is Purpose.POOL:
                free[fleet] = 0  # without a pool there is nothing to screen against
        for experiment in waiting:
            emptied = emptiest(fleets, free)
            if emptied is None or self.spent(self.snapshot.rules.budget):
                return
            free[emptied] -= 1
            yield self._start(experiment, emptied)

    def in_flight(self) -> list[str]:
        """The fleet of every job that has not ended; one that waits to be dispatched, or is being cancelled, is one."""
        flying = [
            self.fleet(experiment) for experiment in self.snapshot.experiments if self._flies(experiment)
        ]
        others: list[Calibrating | Orphan] = [*self.snapshot.calibrating, *self.snapshot.orphans]
        flying += [item.request.fleet for item in others if item.job.status != "completed"]
        return flying

    def _flies(self, experiment: Experiment) -> bool:
        attempt = experiment.attempt
        job = attempt.job if attempt is not None else None
        waits = self.states[experiment.number] is State.QUEUED
        return waits or (job is not None and job.status != "completed")

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

    def spent(self, seconds: float) -> str:
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

    def exhausted(self) -> bool:
        """Whether there are as many experiments as the rules allow."""
        limit = self.snapshot.rules.limits.experiments
        return limit is not None and self.snapshot.last_number >= limit

    def tell_untaken(self) -> Iterator[str]:
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
