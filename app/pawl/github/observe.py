"""Reads GitHub into a snapshot of one loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

from pawl.core.asks import Ask, command_line
from pawl.core.config import Loop
from pawl.core.digest import TreeEntry, git_blob_sha, inputs_digest, matches
from pawl.core.edit import objections, scope_objection
from pawl.core.judging import late_key
from pawl.core.ledger import NUMBERED, AskLine, Brake, LateLine, LostLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Request
from pawl.core.policy import RESUME_LABEL, brakes, brakes_told
from pawl.core.snapshot import (
    Attempt,
    Base,
    Calibrating,
    Check,
    Experiment,
    Job,
    Late,
    Orphan,
    Snapshot,
    Tracking,
)
from pawl.github.artifacts import Handed
from pawl.github.errors import NotFound, Unobservable
from pawl.github.experiments import left_edit
from pawl.github.facts import (
    CheckRun,
    Dispatched,
    Issue,
    Pull,
    check_name,
    experiment_branch,
    experiment_of,
)
from pawl.github.tracking import tracking_issue
from pawl.github.view import RepositoryView
from pawl.messages.commits import SKIP, EditNotes, read_edit_commit
from pawl.messages.request_text import read_request

LEAP = 100
"""Numbers by which a branch alone may be ahead of every experiment that is known: more than there are lanes. Whoever may
push can make one of any number, and behind the last one with nine digits there is none that Pawl would know again."""


def observe(view: RepositoryView, loop: str, rules: Loop) -> Snapshot:
    """A loop as GitHub shows it now, as far as the view has not seen it already. What its proposer does is not known here.

    Args:
        view: the loop's repository.
        loop: the loop's name.
        rules: its rules, from the default branch.

    Raises:
        Unobservable: a person has to change something first.
        LedgerError: the ledger is not what Pawl wrote.
        GitHubError: GitHub did not answer.
    """
    with view.lock:
        return _Look(view, loop, rules).snapshot()


class _Look:
    """One look at one loop."""

    def __init__(self, view: RepositoryView, loop: str, rules: Loop) -> None:
        self.view, self.loop, self.rules = view, loop, rules
        self.lines = view.ledger.lines(loop)

    def snapshot(self) -> Snapshot:
        base = self._base()  # first, since it says what to do where the branch is gone
        issue = tracking_issue(self.view, self.loop)
        experiments = tuple(self._experiments())
        seen = Snapshot(
            repository=self.view.name,
            loop=self.loop,
            rules=self.rules,
            base=base,
            ledger=self.lines,
            experiments=experiments,
            calibrating=tuple(self._calibrating()),
            orphans=tuple(self._orphans(experiments)),
            late=tuple(self._late(experiments)),
            tracking=Tracking(issue.number, issue.open, issue.labels) if issue else None,
            stop=self.view.refs.stop(),
            asks=tuple(self._asks(issue)),
            resumer=self.view.people.labelled_by(issue.number, RESUME_LABEL)
            if issue is not None and RESUME_LABEL in issue.labels
            else None,
            public=self.view.home().public,
            last_number=self._last_number,
            unopened=tuple(self._unopened()),
        )
        if issue is None or brakes(seen)[Brake.PAUSED] == brakes_told(self.lines)[Brake.PAUSED]:
            return seen
        return replace(seen, braked_by=self.view.people.braked_by(issue.number))

    def _base(self) -> Base:
        rules = self.rules
        try:
            branch = self.view.refs.branch(rules.branch)
        except NotFound:
            raise Unobservable(
                f"{self.view.name} has no branch {rules.branch}; create it, or name another one as `branch` of the "
                f"loop {self.loop} in .github/pawl.yml"
            ) from None
        entries = self._entries(branch.sha)
        paths = {entry.path: entry for entry in entries}
        for path, key in ((rules.edit, "edit"), (rules.program_path, "program")):
            if path not in paths:
                raise Unobservable(
                    f"{path} is not on {rules.branch}; add it, or correct `{key}` of the loop {self.loop} in "
                    ".github/pawl.yml"
                )
        return Base(
            sha=branch.sha,
            inputs=self._inputs(entries),
            content=self.view.objects.blob(paths[rules.edit].sha),
            entries_digest={entry.path: entry.sha for entry in entries if self._is_input(entry.path)},
            required_checks=branch.required_checks,
            protected=branch.protected,
        )

    def _entries(self, commit: str) -> tuple[TreeEntry, ...]:
        return self.view.objects.entries(self.view.objects.commit(commit).tree)

    def _is_input(self, path: str) -> bool:
        return matches(path, self.rules.input_globs) and not matches(path, self.rules.ignored_globs)

    def _inputs(self, entries: tuple[TreeEntry, ...], content: bytes | None = None) -> str:
        rules = self.rules
        replaced = None if content is None else {rules.edit: git_blob_sha(content)}
        return inputs_digest(entries, rules.input_globs, rules.ignored_globs, rules.rules_digest, replaced)

    # Experiments.

    def _experiments(self) -> Iterator[Experiment]:
        concluded = {line.experiment for line in self.lines if isinstance(line, OutcomeLine)}
        by_number: dict[int, Pull] = {}
        for _, pull in sorted(self.view.pulls.known().items()):
            number = experiment_of(pull.branch, self.loop)
            if number is None or number in concluded:
                continue
            if number not in by_number or pull.open or not by_number[number].open:
                by_number[number] = pull
        for number, pull in sorted(by_number.items()):
            yield self._experiment(number, pull)

    def _experiment(self, number: int, pull: Pull) -> Experiment:
        if pull.open and pull.head == self.view.refs.branch(self.rules.branch).sha:
            # The branch was moved to its head: GitHub takes a moment to notice that this merged it.
            pull = replace(pull, open=False, merged=True, merge_commit=pull.head)
        objects, path = self.view.objects, self.rules.edit
        commit = objects.commit(pull.head)
        parent = commit.parents[0] if commit.parents else pull.head
        before, after = self._entries(parent), self._entries(pull.head)
        old, new = self._content(before), self._content(after)
        scope = scope_objection(before, after, path)
        wrong = (scope,) if scope else objections(path, old, new, self.rules.limits.changed_lines)
        final = SKIP not in commit.message
        notes = self._notes(number, commit.message)
        return Experiment(
            number=number,
            pull=pull.number,
            head=pull.head,
            parent=parent,
            parent_inputs=self._inputs(before),
            parent_content=old,
            content=new,
            inputs_after=self._inputs(before, new),
            open=pull.open,
            merged=pull.merged,
            ended_by="" if pull.open else self.view.pulls.ended_by(pull),
            merge_commit=pull.merge_commit,
            final=final,
            objections=wrong,
            labels=pull.labels,
            attempt=self._attempt(number, pull.head),
            checks=tuple(self._checks(pull.head)) if final and pull.open else (),
            branch_exists=experiment_branch(self.loop, number) in self.view.refs.own(),
            hypothesis=notes.hypothesis,
            proposer=notes.proposer,
            predicted=notes.predicted,
            parameters=notes.parameters,
            models=notes.models,
        )

    def _content(self, entries: tuple[TreeEntry, ...]) -> bytes:
        """The editable file's bytes; nothing where it is no file, which the scope objects to."""
        found = next((entry for entry in entries if entry.path == self.rules.edit), None)
        return self.view.objects.blob(found.sha) if found and found.mode.startswith("100") else b""

    def _notes(self, number: int, message: str) -> EditNotes:
        """What the head's commit says of its edit; a final commit leaves that to the ledger."""
        notes = read_edit_commit(message)
        if notes.proposer:
            return notes
        for line in reversed(self.lines):
            if isinstance(line, VerdictLine) and line.experiment == number:
                parameters = dict(line.parameters)
                return EditNotes(line.hypothesis, line.proposer, line.predicted, parameters, line.models)
        return notes

    def _attempt(self, number: int, head: str) -> Attempt | None:
        """The newest of Pawl's own check runs that names this experiment; anybody else's are not looked at."""
        mine = [
            (check.attempt[1], check.id, check)
            for check in self.view.checks.on(head)
            if self._own(check) and check.attempt is not None and check.attempt[0] == str(number)
        ]
        if not mine:
            return None
        attempt, _, check = max(mine, key=lambda item: item[:2])
        request = read_request(check.text)
        if request is not None:
            request = request.model_copy(update={"check_run": check.id})
        concluded = any(
            isinstance(line, VerdictLine)
            and (line.experiment, line.head, line.attempt) == (number, head, attempt)
            for line in self.lines
        )
        job = self._job(f"{number}.{attempt}", check.id, wanted=not concluded)
        return Attempt(attempt, check.id, check.status, request, job, check.began)

    def _own(self, check: CheckRun, key: str = "") -> bool:
        return check.own and check.name == check_name(self.loop, key)

    def _job(self, key: str, check_run: int, wanted: bool) -> Job | None:
        """The first job that was started for an attempt: a second one with the same title never counts.

        Its record is not wanted once the ledger has the verdict that it led to.
        """
        for job in self.view.jobs.recent():
            if (job.loop, job.key, job.check_run) == (self.loop, key, check_run):
                return self._with_record(job, wanted)
        return None

    def _with_record(self, job: Dispatched, wanted: bool = True) -> Job:
        handed = self.view.jobs.handed(job.id) if wanted and job.status == "completed" else Handed()
        trouble = handed.trouble
        if trouble and job.conclusion not in ("", "success"):
            trouble = f"{trouble} ({job.conclusion})"
        return Job(
            id=job.id,
            key=job.key,
            check_run=job.check_run,
            status=job.status,
            conclusion=job.conclusion,
            url=job.url,
            since=job.since,
            record=handed.record,
            trouble=trouble,
            record_text=handed.text,
            trajectories=handed.trajectories,
        )

    def _checks(self, head: str) -> Iterator[Check]:
        """What others say of a final commit: the newest check run of each name, and every status."""
        newest = {check.name: check for check in self.view.checks.on(head) if not check.own}
        for check in newest.values():
            yield Check(check.name, check.status, check.conclusion)
        for status in self.view.checks.statuses(head):
            pending = status.state == "pending"
            conclusion = "" if pending else "success" if status.state == "success" else "failure"
            yield Check(status.context, "queued" if pending else "completed", conclusion)

    # People.

    def _asks(self, issue: Issue | None) -> Iterator[Ask]:
        """Commands in the tracking issue and in experiments' pull requests that have no line in the ledger."""
        if issue is None:
            return
        known = {line.key for line in self.lines if isinstance(line, AskLine)}
        places: dict[int, int | None] = {issue.number: None}
        for pull in self.view.pulls.known().values():
            number = experiment_of(pull.branch, self.loop)
            if number is not None:
                places[pull.number] = number
        for comment in self.view.people.comments():
            text = command_line(comment.body)
            # An edited comment may have become a command by somebody else's hand: whoever may write can edit it.
            if not text or not comment.person or comment.edited or comment.number not in places:
                continue
            if f"ask:{comment.id}" not in known:
                yield Ask(
                    id=str(comment.id),
                    by=comment.author,
                    level=self.view.people.level(comment.author),
                    text=text,
                    number=comment.number,
                    experiment=places[comment.number],
                    comment=comment.id,
                )

    # The loop.

    def _calibrating(self) -> Iterator[Calibrating]:
        known = {f"c{line.number}" for line in self.lines if isinstance(line, NUMBERED)}
        started: set[str] = set()
        for job in self.view.jobs.recent():
            if job.loop != self.loop or job.key[0] != "c" or job.key.split(".")[0] in known | started:
                continue
            asked = self._asked(job, job.key)
            if asked is None:
                continue
            check, request = asked
            started.add(job.key.split(".")[0])
            yield Calibrating(request, self._with_record(job), check.status, check.began)

    def _orphans(self, experiments: tuple[Experiment, ...]) -> Iterator[Orphan]:
        """Jobs on heads that are none any more, of experiments that are not over.

        Jobs that were cut off, and whose attempt goes on behind them, are none.
        """
        recorded = {job for line in self.lines if isinstance(line, VerdictLine) for job in line.jobs}
        for experiment in experiments:
            now = experiment.attempt
            for job in self.view.jobs.recent():
                number, _, attempt = job.key.partition(".")
                if job.loop != self.loop or number != str(experiment.number) or job.id in recorded:
                    continue
                if now is not None and (job.check_run == now.check_run or int(attempt) < now.number):
                    continue
                orphan = self._orphan(experiment, job)
                if orphan is not None:
                    yield orphan

    def _orphan(self, experiment: Experiment, job: Dispatched) -> Orphan | None:
        asked = self._asked(job)
        if asked is None:
            return None
        check, request = asked
        if check.head == experiment.head:
            return None
        if any(isinstance(line, VerdictLine) and line.head == check.head for line in self.lines):
            return None
        return Orphan(request, self._with_record(job), experiment.pull)

    def _asked(self, job: Dispatched, key: str = "") -> tuple[CheckRun, Request] | None:
        """Pawl's own check run that a job was started for, and the request in it; none where it was for none.

        Args:
            job: the job.
            key: what the check run's name says beside the loop's; nothing for an experiment.
        """
        try:
            check = self.view.checks.run(job.check_run)
        except NotFound:
            return None
        request = read_request(check.text)
        if request is None or not self._own(check, key) or check.external_id != job.key:
            return None
        return check, request.model_copy(update={"check_run": check.id})

    def _late(self, experiments: tuple[Experiment, ...]) -> Iterator[Late]:
        """Records of jobs that were lost without one: an upload may be listed after its job's end, or a runner come back."""
        flying = {experiment.number for experiment in experiments}
        known = {line.key for line in self.lines if isinstance(line, LateLine)}
        jobs = {job.id: job for job in self.view.jobs.recent()}
        for line in self.lines:
            if not isinstance(line, LostLine) or line.experiment not in flying or late_key(line) in known:
                continue
            job = jobs.get(line.job)
            late = self._came_late(line, job) if job is not None and job.status == "completed" else None
            if late is not None:
                yield late

    def _came_late(self, line: LostLine, job: Dispatched) -> Late | None:
        asked = self._asked(job)
        if asked is None:
            return None
        _, request = asked
        if len(request.runs) != line.known_runs:
            return None  # it had handed a record in, whose runs are known
        handed = self.view.jobs.handed(job.id)
        record = handed.record
        if record is None or record.request != request.digest or not record.runs:
            return None
        return Late(line, record, handed.text)

    @cached_property
    def _concluded(self) -> set[int]:
        return {line.experiment for line in self.lines if isinstance(line, (VerdictLine, OutcomeLine))}

    @cached_property
    def _last_number(self) -> int:
        """A bare branch at the base's tip is what is left of an opening that died at once: its number is free."""
        tip = self.view.refs.branch(self.rules.branch).sha
        opened = [experiment_of(pull.branch, self.loop) or 0 for pull in self.view.pulls.known().values()]
        last = max((*opened, *self._concluded), default=0)
        for number in sorted(self._branches(but=tip)):
            last = max(last, number if number - last <= LEAP else 0)
        return last

    def _branches(self, but: str) -> Iterator[int]:
        for branch, tip in self.view.refs.own().items():
            number = experiment_of(branch, self.loop)
            if number is not None and tip != but:
                yield number

    def _unopened(self) -> Iterator[int]:
        """Experiments whose opening died between their edit and their pull request."""
        pulls = {pull.branch for pull in self.view.pulls.known().values()}
        for branch, tip in self.view.refs.own().items():
            number = experiment_of(branch, self.loop)
            if number is None or number > self._last_number or number in self._concluded or branch in pulls:
                continue
            if left_edit(self.view, self.loop, number, tip) is not None:
                yield number
