"""Applies actions to a repository. Each may be applied twice, or again after a crash at any point."""

from __future__ import annotations

import time
from collections.abc import Callable

from pawl.core import actions as do
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Request
from pawl.core.snapshot import Snapshot
from pawl.github import answers, checks, experiments, merging, traces, tracking
from pawl.github.comments import Comments
from pawl.github.experiments import Opening
from pawl.github.jobs import Jobs
from pawl.github.view import RepositoryView
from pawl.messages.comments import closing_comment, comment_marker, experiment_comment
from pawl.messages.labels import HELD
from pawl.messages.report import Report


class Actor:
    """Whoever changes a repository.

    Args:
        view: the repository, as it was looked at; it stays true through what is done.
        clock: seconds that only go forward.
    """

    def __init__(self, view: RepositoryView, clock: Callable[[], float] = time.monotonic) -> None:
        self.view = view
        self._jobs = Jobs(view, clock)
        self._comments = Comments(view)
        self._standing = tracking.Standing(view)

    def apply(self, action: do.Action, snapshot: Snapshot) -> bool:
        """Do what an action says, as far as it is not done; whether that changed anything.

        If it raises, the view is forgotten, as nobody knows what had its effect: look again.

        Raises:
            Moved: what the action rests on has changed.
            Refused: GitHub's rules keep a commit out of the branch.
            GitHubError: a request did not succeed.
        """
        with self.view.lock:
            try:
                return self._apply(action, snapshot)
            except BaseException:
                self.view.forget_all()
                raise

    def tell_trouble(self, loop: str, why: str) -> bool:
        """Say in the loop's tracking issue why it cannot be looked at; whether that was news.

        Raises:
            GitHubError: a request did not succeed.
        """
        with self.view.lock:
            return self._standing.trouble(loop, why)

    def tell_every_loop(self, why: str) -> bool:
        """Say in the tracking issue of every loop why none can be looked at; whether that was news.

        Raises:
            GitHubError: a request did not succeed.
        """
        with self.view.lock:
            return self._standing.trouble_everywhere(why)

    def open_experiment(self, opening: Opening) -> bool:
        """Open the pull request of an edit, or what is still missing of it; whether it was not open before.

        Raises:
            Moved: the branch has moved while it was made.
            GitHubError: a request did not succeed.
        """
        with self.view.lock:
            try:
                return experiments.open_experiment(self.view, opening)
            except BaseException:
                self.view.forget_all()
                raise

    def _apply(self, action: do.Action, snapshot: Snapshot) -> bool:
        view, loop = self.view, snapshot.loop
        match action:
            case do.EnsureTracking():
                return tracking.ensure(view, snapshot)
            case do.UpdateTracking():
                return self._standing.tell(snapshot, action.notices)
            case do.AddLabels():
                return tracking.add_labels(view, loop, action.labels)
            case do.RemoveLabels():
                return tracking.remove_labels(view, loop, action.labels)
            case do.FinishOpening():
                return experiments.finish_opening(view, loop, snapshot.rules, action.number)
            case do.StartAttempt():
                return self._start_attempt(action, snapshot)
            case do.StartCalibration():
                return self._start(action.request.base, action.request)
            case do.Redispatch():
                return self._jobs.start_missing(action.request)
            case do.MarkMeasuring():
                return checks.mark_measuring(view, action)
            case do.TellUntaken():
                return checks.tell_untaken(view, action)
            case do.CancelJob():
                return self._jobs.cancel(action.job, action.force)
            case do.CutOff():
                return checks.cut_off(view, action.check_run, action.request, action.reason)
            case do.FinishCalibration():
                return checks.finish_calibration(view, action)
            case do.Append():
                return view.ledger.append(
                    loop, action.lines, action.files, _ledger_message(loop, action.lines)
                )
            case do.Publish():
                return self._publish(action, snapshot)
            case do.Promote():
                return merging.promote(view, action, snapshot)
            case do.Rebase():
                return merging.rebase(view, action, snapshot)
            case do.Merge():
                return merging.merge(view, action, snapshot)
            case do.Close():
                return self._close(action, loop)
            case do.React():
                answers.react(view, action)
                return False
            case do.Answer():
                return answers.answer(view, action, snapshot)
            case do.HoldBack():
                return answers.hold_back(view, action, loop)
            case do.MergeAsked():
                return merging.merge_asked(view, action, snapshot)
            case do.KeepTraces():
                return traces.store(view, loop, action.experiment, action.files)
            case do.DeleteBranch():
                return experiments.delete_branch(view, loop, action.experiment)
            case _:
                raise TypeError(f"{type(action).__name__} is nothing that is done on GitHub")

    def _start_attempt(self, action: do.StartAttempt, snapshot: Snapshot) -> bool:
        if action.supersedes is not None:
            before = next((e.attempt for e in snapshot.experiments if e.number == action.experiment), None)
            request = before.request if before and before.request else action.request
            job = before.job if before else None
            reason = (job.trouble or job.conclusion) if job else ""
            checks.cut_off(self.view, action.supersedes, request, reason)
        return self._start(action.head, action.request)

    def _start(self, commit: str, request: Request) -> bool:
        """The check run first: a job that finds its attempt taken by another one measures nothing."""
        check, made = checks.hold(self.view, commit, request)
        request = request.model_copy(update={"check_run": check.id})
        if made:
            self._jobs.start(request)
            return True
        return self._jobs.start_missing(request)

    def _publish(self, action: do.Publish, snapshot: Snapshot) -> bool:
        line = action.line
        known = snapshot.ledger if action.outcome is None else (*snapshot.ledger, action.outcome)
        told, page = _told(known, line), self.view.home().page
        report = Report(line, action.finding, told, action.held, action.log, page)
        changed = action.check_run is not None and checks.publish(self.view, action.check_run, report)
        marker = comment_marker(line.loop, line.experiment)
        changed |= self._comments.write(line.pull, marker, experiment_comment(report), action.fresh)
        pull = experiments.pull_of(self.view, line.loop, line.experiment)
        if action.held is not None and pull is not None and pull.open:
            changed |= experiments.relabel(self.view, pull, HELD.name)
        return changed

    def _close(self, action: do.Close, loop: str) -> bool:
        changed = False
        pull = experiments.pull_of(self.view, loop, action.experiment)
        if action.say and pull is not None:
            marker = comment_marker(loop, action.experiment)
            body = closing_comment(loop, action.experiment, action.outcome, action.reason)
            changed = self._comments.write(pull.number, marker, body, fresh=False)
        return experiments.close(self.view, loop, action.experiment, action.label) or changed


def _told(lines: tuple[AnyLine, ...], line: VerdictLine) -> tuple[AnyLine, ...]:
    """The history that a verdict's report shows: up to that verdict, so that later ones do not rewrite its comment."""
    before = [known for known in lines if known.seq < line.seq]
    after = [
        known for known in lines if isinstance(known, OutcomeLine) and known.experiment == line.experiment
    ]
    return (*before, line, *(known for known in after if known.seq > line.seq))


def _ledger_message(loop: str, lines: tuple[AnyLine, ...]) -> str:
    """What an append tells in the history of the ledger's branch."""
    return "\n".join(
        [f"{loop}: {', '.join(line.key for line in lines)}"[:72], "", *(line.key for line in lines)]
    )
