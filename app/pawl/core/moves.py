"""What is to be done about each experiment, by its state: actions, and lines for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pawl.core.actions import (
    Action,
    CancelJob,
    Close,
    CutOff,
    DeleteBranch,
    KeepTraces,
    MarkMeasuring,
    Merge,
    Promote,
    Publish,
    Rebase,
    Redispatch,
    StartAttempt,
)
from pawl.core.calibration import calibration_of
from pawl.core.decision import Finding, Verdict
from pawl.core.digest import sha256
from pawl.core.draft import Draft
from pawl.core.judging import Judged, judge, write_incident, write_lost, write_orphan, write_verdict
from pawl.core.ledger import Outcome, OutcomeLine, RebasedLine, VerdictLine
from pawl.core.measurement import Arm, Record, Request, Stage
from pawl.core.merging import merge_edit
from pawl.core.planning import LETTING_GO, deadline, estimate_seconds, experiment_request, resumed
from pawl.core.policy import HoldReason, hold, paused, unpinned
from pawl.core.snapshot import Attempt, Calibrating, Experiment, Orphan, Snapshot
from pawl.core.states import SUPERSEDED_LABEL, State, recorded, state_of


class Moves:
    """One decision's moves. Handlers put actions into `now` or behind the append (`after`), and lines into the draft."""

    def __init__(self, snapshot: Snapshot, seed_key: bytes, at: str) -> None:
        self.snapshot = snapshot
        self.seed_key = seed_key
        self.draft = Draft(snapshot, at)
        self.states = {e.number: state_of(snapshot, e) for e in snapshot.experiments}
        self.jobs: list[Action] = []
        """Jobs that experiments in a lane are owed: they come before anybody else's."""
        self.now: list[Action] = []
        self.after: list[Action] = []
        self.urgent = False
        """Whether the draft holds more than lines that may ride along with a later append."""
        self.started: dict[int, str] = {}
        """The fleet of every experiment that this step starts."""
        self.awaited = ""
        """What a keep waits for before it can be merged, in a sentence."""
        self.base_moves = False
        """Whether a keep is on its way into the base, so that a job started now would measure a stale one."""

    def move(self, experiment: Experiment) -> None:
        """Everything about one experiment that is to be done now."""
        handlers = {
            State.PROPOSED: self._proposed,
            State.QUEUED: self._queued,
            State.MEASURING: self._measuring,
            State.MEASURED: self._measured,
            State.DROPPED: self._dropped,
            State.KEPT: self._kept,
            State.PROMOTED: self._promoted,
            State.HELD: self._held,
        }
        handlers.get(self.states[experiment.number], self._ended)(experiment)

    def _proposed(self, experiment: Experiment) -> None:
        if experiment.objections:
            reason = "; ".join(experiment.objections)
            self._object(experiment, reason)
        elif experiment.parent_inputs != self.snapshot.base.inputs and paused(self.snapshot) is None:
            self._rebase(experiment)

    def _object(self, experiment: Experiment, reason: str) -> None:
        """A head that is no edit is a violation before anything runs."""
        attempt = experiment.attempt.number + 1 if experiment.attempt else 1
        request = self._unmeasured(experiment, attempt)
        finding = Finding(Verdict.VIOLATION, Stage.SCREEN, reason)
        line = write_verdict(self.draft, experiment, request, None, finding)
        self.urgent = True
        self.after.append(Publish(experiment.number, line, finding, None, fresh=True))
        self.after.append(_close(experiment, line))

    def _unmeasured(self, experiment: Experiment, attempt: int) -> Request:
        """What a verdict without a measurement stands under: the head's own parent, so that it is found again."""
        request = experiment_request(
            self.snapshot, experiment, attempt, self.fleet(experiment), self.seed_key
        )
        inputs, parent = experiment.parent_inputs, experiment.parent
        known = calibration_of(self.snapshot.ledger, inputs, request.fleet)
        return request.model_copy(
            update={"base": parent, "baseline": parent, "inputs": inputs, "calibration": known}
        )

    def _queued(self, experiment: Experiment) -> None:
        attempt = experiment.attempt
        if attempt is None:
            return
        if paused(self.snapshot) is not None:
            if attempt.job is not None:
                self.now.append(CancelJob(attempt.job.id))  # or a runner would begin it
        elif experiment.parent_inputs != self.snapshot.base.inputs:
            self._rebase(experiment)  # nothing of it has run yet: it is measured on what the branch is now
        elif attempt.job is None and attempt.request is not None:
            request = attempt.request.model_copy(update={"check_run": attempt.check_run})
            self.jobs.append(Redispatch(request))
        elif attempt.job is None:
            # The check run's request cannot be read any more: nobody knows what would have been measured.
            request = experiment_request(
                self.snapshot, experiment, attempt.number + 1, self.fleet(experiment), self.seed_key
            )
            self._restart(experiment, request, attempt, self.jobs)

    def _measuring(self, experiment: Experiment) -> None:
        attempt = experiment.attempt
        if attempt is None or attempt.job is None:
            return
        if self.snapshot.stop:
            self.now.append(CancelJob(attempt.job.id))
        elif attempt.request is not None:
            self.running(attempt.request, attempt)

    def running(self, request: Request, attempt: Attempt | Calibrating) -> None:
        """A job that runs: it is shown so once, and ended behind its deadline."""
        job, now = attempt.job, self.snapshot.now
        if job is None:
            return
        if attempt.status == "queued":
            self.now.append(
                MarkMeasuring(job.check_run, job.id, job.url, request, estimate_seconds(request), now)
            )
        elif (at := deadline(attempt)) is not None and now >= at:
            late = (now - at).total_seconds()
            self.now.append(CancelJob(job.id, force=late >= LETTING_GO))

    def _measured(self, experiment: Experiment, cut_short: str = "") -> None:
        attempt = experiment.attempt
        if attempt is None or attempt.job is None:
            return
        request, job = attempt.request, attempt.job
        if request is None:
            request = self._unmeasured(experiment, attempt.number)
            reason = "the request of this attempt cannot be read any more, so nobody knows what its runs mean"
            judged = Judged(Finding(Verdict.INCONCLUSIVE, Stage.SCREEN, reason))
        else:
            judged = judge(request, job, cut_short)
        if judged.finding is None:
            if paused(self.snapshot) is None:
                runs = job.record.facts if job.record else ()
                news = write_lost(self.draft, experiment, request, job, judged.why)
                self.urgent = self.urgent or news
                # Behind the line: once another job goes on, this one is out of sight.
                self._restart(experiment, resumed(request, runs), attempt, self.after if news else self.jobs)
            return
        line = write_verdict(self.draft, experiment, request, job, judged.finding)
        self.urgent = True
        if job.trajectories:
            # Before the line: behind it the job is out of sight, and its artifact expires.
            self.now.append(KeepTraces(experiment.number, _below("trajectories", job.trajectories)))
        if judged.incident:
            write_incident(self.draft, line.key, judged.incident, experiment.number)
        if stranger := unpinned(request.rules, line.runs):
            write_incident(self.draft, f"model:{line.key}", stranger, experiment.number, stops="loop")
        log = _last_log(job.record)
        publish = Publish(
            experiment.number, line, judged.finding, attempt.check_run, experiment.open, log=log
        )
        if not experiment.open:
            # The outcome comes with the verdict, and then the experiment is out of sight: write it up before.
            self.now.append(publish)
            return
        self.after.append(publish)
        if line.verdict is not Verdict.KEEP:
            self.after.append(_close(experiment, line))
        else:
            self.base_moves = True
            if line.inputs == self.snapshot.base.inputs and self.snapshot.rules.merge != "shadow":
                base = self.snapshot.base.sha
                self.after.append(Promote(experiment.number, line, base, experiment.content))

    def _dropped(self, experiment: Experiment) -> None:
        line = self._line(experiment)
        self.now.append(Publish(experiment.number, line, None, _check_run(experiment), fresh=False))
        self.now.append(_close(experiment, line))

    def _kept(self, experiment: Experiment) -> None:
        line = self._line(experiment)
        base = self.snapshot.base
        if self.snapshot.rules.merge == "shadow":
            reason = "this loop runs in shadow mode: it measures and reports, and merges nothing"
            self.now.append(Publish(experiment.number, line, None, _check_run(experiment), fresh=False))
            self.now.append(Close(experiment.number, Outcome.CLOSED, "pawl:keep", reason))
        elif paused(self.snapshot) is not None:
            self.base_moves = True  # as soon as it may
        elif line.inputs == base.inputs:
            self.base_moves = True
            if not experiment.final:
                self.now.append(Publish(experiment.number, line, None, _check_run(experiment), fresh=False))
            self.now.append(Promote(experiment.number, line, base.sha, experiment.content))
        else:
            self._rebase(experiment)

    def _held(self, experiment: Experiment) -> None:
        reason = hold(self.snapshot, experiment)
        if reason is None:
            return
        if reason.reason is HoldReason.CHECKS_PENDING:
            self.base_moves = True
            self.awaited = f"experiment {experiment.number} is kept and waits for the check {reason.detail}"
        line = self._line(experiment)
        self.now.append(Publish(experiment.number, line, None, None, fresh=False, held=reason))

    def _promoted(self, experiment: Experiment) -> None:
        self.base_moves = True
        self.now.append(Merge(experiment.number, experiment.head, experiment.parent))

    def _ended(self, experiment: Experiment) -> None:
        """A pull request that is closed or merged, by Pawl or by a person, and whose outcome is not in the ledger."""
        if any(orphan.request.number == experiment.number for orphan in self.snapshot.orphans):
            return  # what ran on an earlier head of it is counted first: an outcome is the last word
        attempt = experiment.attempt
        if (
            attempt is not None
            and attempt.job is not None
            and not recorded(self.snapshot, experiment, attempt)
        ):
            if attempt.job.status != "completed":
                self.now.append(CancelJob(attempt.job.id))
                return
            self._measured(experiment, "the pull request was closed before the measurement ended")
        outcome = Outcome(self.states[experiment.number].value)
        if experiment.branch_exists and not experiment.unnoticed:
            self.now.append(DeleteBranch(experiment.number))
        ended: OutcomeLine = self.draft.add(
            OutcomeLine,
            f"outcome:{experiment.number}",
            experiment=experiment.number,
            outcome=outcome,
            commit=experiment.merge_commit or None,
            by=self.snapshot.asked_by(experiment.number) or experiment.ended_by,
        )
        self._tell_end(experiment, ended)
        self.urgent = self.urgent or outcome is not Outcome.CLOSED

    def _tell_end(self, experiment: Experiment, ended: OutcomeLine) -> None:
        """Let the comment say what became of a verdict, where that is not what it has announced."""
        number = experiment.number
        for place, each in enumerate(self.now):
            if isinstance(each, Publish) and each.experiment == number:  # judged in this very step
                self.now[place] = replace(each, outcome=ended)
                return
        line = self.snapshot.verdict_of(experiment)
        if line is None:
            return
        kept = line.verdict is Verdict.KEEP and line.rules.merge != "shadow"
        if ended.outcome in (Outcome.MERGED, Outcome.OVERRIDDEN) or (
            kept and ended.outcome is Outcome.CLOSED
        ):
            self.now.append(Publish(number, line, None, None, fresh=False, outcome=ended))

    def orphaned(self, orphan: Orphan) -> None:
        """A job on a head that somebody replaced: it is stopped, and what it ran is counted."""
        if orphan.job.status != "completed":
            self.now.append(CancelJob(orphan.job.id))
            return
        reason = "its head was replaced before the measurement ended, by another commit or onto a newer base"
        self.now.append(CutOff(orphan.job.check_run, orphan.request, reason))
        write_orphan(self.draft, orphan, reason)
        self.urgent = True

    def _rebase(self, experiment: Experiment) -> None:
        """Bring an edit onto a base whose inputs have changed; it is measured there as a new attempt."""
        base = self.snapshot.base
        merged = merge_edit(experiment.parent_content, base.content, experiment.content)
        if merged is None or merged == base.content:
            what = "conflicts with" if merged is None else "is already contained in"
            reason = f"the edit {what} what has reached {self.snapshot.rules.branch} since it was made"
            self.now.append(Close(experiment.number, Outcome.SUPERSEDED, SUPERSEDED_LABEL, reason, say=True))
        else:
            carried = not self.snapshot.was_kept(experiment) or self._carried(
                experiment.number, sha256(merged)
            )
            (self.now if carried else self.after).append(Rebase(experiment.number, base.sha, merged))

    def _carried(self, number: int, content: str) -> bool:
        """Whether the ledger says that this content is a kept edit's, to be sealed again and not screened; it will."""
        inputs = self.snapshot.base.inputs
        key = f"rebased:{number}:{content[:12]}:{inputs[:12]}"
        news = self.draft.add_once(RebasedLine, key, experiment=number, content=content, inputs=inputs)
        self.urgent = self.urgent or news
        return not news

    def _restart(
        self, experiment: Experiment, request: Request, before: Attempt, among: list[Action]
    ) -> None:
        """Measure an experiment by a new attempt, in the lane that the one before had."""
        self.states[experiment.number] = State.QUEUED
        self.started[experiment.number] = request.fleet
        among.append(StartAttempt(experiment.number, experiment.head, request, before.check_run))

    def fleet(self, experiment: Experiment) -> str:
        """The runners that an experiment's attempt is for, as far as that is known."""
        if experiment.number in self.started:
            return self.started[experiment.number]
        attempt = experiment.attempt
        asked = attempt.request if attempt is not None else None
        return asked.fleet if asked is not None else next(iter(self.snapshot.rules.lanes_by_fleet))

    def _line(self, experiment: Experiment) -> VerdictLine:
        line = self.snapshot.verdict_of(experiment)
        if line is None:
            raise AssertionError(f"experiment {experiment.number} has no verdict on this base")
        return line


def _check_run(experiment: Experiment) -> int | None:
    return experiment.attempt.check_run if experiment.attempt else None


def _close(experiment: Experiment, line: VerdictLine) -> Close:
    return Close(experiment.number, Outcome.CLOSED, f"pawl:{line.verdict}", line.reason)


def _below(folder: str, files: Mapping[str, str]) -> dict[str, str]:
    return {f"{folder}/{name}.json": text for name, text in files.items()}


def _last_log(record: Record | None) -> str:
    """Tail of the last candidate run's log, the one that decided."""
    runs = [run for run in (record.runs if record else ()) if run.arm is Arm.CANDIDATE]
    return runs[-1].log if runs else ""
