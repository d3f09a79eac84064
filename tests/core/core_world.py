"""GitHub, a runner and people as plain values, so that whole loops run in milliseconds and without HTTP.

A `World` shows itself as a `Snapshot`, and each `Action` changes it the way its docstring promises: what is there already
is found and not made again. Every change goes through `_effect`, where a fuse can end the process in the middle of a step.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random
from typing import Any

from pawl.core import actions as act
from pawl.core.asks import Labelled, Level
from pawl.core.canary import claim_of
from pawl.core.chain import head_of, parse_lines
from pawl.core.config import SEAL, SELECT, Loop
from pawl.core.decide import Circumstances, decide
from pawl.core.decision import Verdict, advance
from pawl.core.digest import TreeEntry, git_blob_sha, inputs_digest
from pawl.core.edit import objections, scope_objection
from pawl.core.lanes import slots
from pawl.core.ledger import NUMBERED, AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import (
    Arm,
    Environment,
    Purpose,
    Record,
    Request,
    RunRecord,
    RunStatus,
    Step,
)
from pawl.core.policy import HOLD_LABEL, PAUSED_LABEL, RESUME_LABEL
from pawl.core.snapshot import Attempt, Base, Calibrating, Check, Experiment, Job, Orphan, Snapshot, Tracking
from pawl.core.states import State, state_of

EDIT = "lab/train.py"
PROGRAM = "lab/program.md"
NOW = datetime(2031, 5, 4, tzinfo=UTC)
KEY = b"nobody knows"
KNOBS = 6


class Crash(Exception):
    """The process died in the middle of a step."""


class Stale(Exception):
    """GitHub refused an action because what it rests on has moved: the step ends, and the next one looks again."""


def rules_of(**changes: Any) -> Loop:
    """The rules of a loop that merges by itself."""
    plain: dict[str, Any] = {
        "edit": EDIT,
        "metric": {"name": "score", "goal": "maximize"},
        "program": PROGRAM,
        "budget": "1s",
        "merge": "auto",
        "accept": ["process-sandbox", "self-reported-metric", "unearned-auto"],
    }
    return Loop.model_validate({**plain, **changes})


def first_content() -> str:
    """An editable file whose metric is the sum of its knobs; they stand apart, so that edits of two of them merge."""
    return "".join(f"# knob {knob}\n\n\ngain_{knob} = 0\n\n\n" for knob in range(KNOBS))


def worth(content: bytes) -> float:
    """The true metric of a file."""
    lines = [line for line in content.decode(errors="replace").splitlines() if line.startswith("gain_")]
    return sum(float(line.split("=")[1]) for line in lines)


@dataclass(frozen=True)
class Commit:
    sha: str
    parent: str
    files: Mapping[str, bytes]
    final: bool = False

    @property
    def entries(self) -> tuple[TreeEntry, ...]:
        return tuple(TreeEntry(path, "100644", git_blob_sha(data)) for path, data in self.files.items())


@dataclass
class Pull:
    number: int
    head: str
    open: bool = True
    merged: bool = False
    merge_commit: str = ""
    ended_by: str = ""
    labels: set[str] = field(default_factory=set)
    branch: bool = True
    comment: str = ""
    hypothesis: str = ""


@dataclass
class CheckRun:
    id: int
    head: str
    key: str
    request: Request | None
    status: str = "queued"


@dataclass
class World:
    """One repository with one loop, one runner, and whoever else does something to it."""

    rules: Loop = field(default_factory=rules_of)
    seed: int = 0
    noise: float = 1.0
    edits: Callable[[World, int], bytes] | None = None
    """What the meta-agent proposes as its n-th edit; by default a random one."""

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.commits: dict[str, Commit] = {}
        self.ledger: list[AnyLine] = []
        self.files: dict[str, str] = {}
        self.pulls: dict[int, Pull] = {}
        self.check_runs: list[CheckRun] = []
        self.jobs: list[Job] = []
        self.tracking: Tracking | None = None
        self.notices: tuple[str, ...] = ()
        self.stop = False
        self.proposing: dict[int, str] = {}
        """The base that each proposal which is being made rests on, by number."""
        self.other_checks: dict[str, list[Check]] = {}
        self.required_checks: tuple[str, ...] = ()
        self.devices: dict[str, str] = {}
        """The kind of machine of each fleet; a plain one by default."""
        self.shifts: dict[str, float] = {}
        """By how much a fleet's machines measure everything differently."""
        self.answers: dict[str, str] = {}
        self.hollow = False
        """Whether the evaluator believes what a candidate claims."""
        self.instead = b""
        """What the runners measure instead of the file that they are given, if they do."""
        self.now = NOW
        self.resumer: Labelled | None = Labelled("ada", Level.ADMIN)
        self.fuse: int | None = None
        self.crash_at: int | None = None
        """The number of the one change, counted from the beginning, at which the process dies for once."""
        self.effects = 0
        self.watched = True
        """Whether the states of experiments are noted; it takes half of the time."""
        self.transitions: set[tuple[State, State]] = set()
        self.states: dict[int, State] = {}
        self.merges: list[int] = []
        self._inputs: dict[tuple[tuple[str, bytes], ...], str] = {}
        self._inputs_of = self.rules
        self._wrong: dict[tuple[str, str], tuple[str, ...]] = {}
        first = {
            EDIT: first_content().encode(),
            "lab/evaluate.py": b"print('score')\n",
            PROGRAM: b"try things\n",
            "README.md": b"# us\n",
        }
        self.tip = self._commit("", first).sha

    # What Pawl sees.

    def snapshot(self) -> Snapshot:
        concluded = {line.experiment for line in self.ledger if isinstance(line, OutcomeLine)}
        return Snapshot(
            repository="us/loop",
            loop="loop",
            rules=self.rules,
            base=self._base(),
            ledger=tuple(self.ledger),
            experiments=tuple(
                self._experiment(number, pull)
                for number, pull in sorted(self.pulls.items())
                if number not in concluded
            ),
            calibrating=tuple(self._calibrating()),
            orphans=tuple(self._orphans(concluded)),
            tracking=self.tracking,
            stop=self.stop,
            now=self.now,
            resumer=self.resumer,
            last_number=max(self.pulls, default=0),
            proposing=tuple(sorted(self.proposing)),
        )

    def _base(self) -> Base:
        tip = self.commits[self.tip]
        return Base(
            self.tip,
            self.inputs(tip.files),
            tip.files[EDIT],
            required_checks=self.required_checks,
            protected=True,
            surroundings=self.inputs({path: data for path, data in tip.files.items() if path != EDIT}),
        )

    def inputs(self, files: Mapping[str, bytes]) -> str:
        rules, key = self.rules, tuple(sorted(files.items()))
        if self._inputs_of is not rules:
            self._inputs, self._inputs_of = {}, rules
        if key not in self._inputs:
            entries = Commit("", "", files).entries
            digest = inputs_digest(entries, rules.input_globs, rules.ignored_globs, rules.rules_digest)
            self._inputs[key] = digest
        return self._inputs[key]

    def _objections(self, parent: Commit, head: Commit) -> tuple[str, ...]:
        if (parent.sha, head.sha) not in self._wrong:
            scope = scope_objection(parent.entries, head.entries, EDIT)
            old, new = parent.files[EDIT], head.files.get(EDIT, b"")
            limit = self.rules.limits.changed_lines
            self._wrong[parent.sha, head.sha] = (scope,) if scope else objections(EDIT, old, new, limit)
        return self._wrong[parent.sha, head.sha]

    def _experiment(self, number: int, pull: Pull) -> Experiment:
        head = self.commits[pull.head]
        parent = self.commits[head.parent]
        old, new = parent.files[EDIT], head.files.get(EDIT, b"")
        return Experiment(
            number=number,
            pull=pull.number,
            head=pull.head,
            parent=head.parent,
            parent_inputs=self.inputs(parent.files),
            parent_content=old,
            content=new,
            inputs_after=self.inputs({**parent.files, EDIT: new}),
            open=pull.open,
            merged=pull.merged,
            ended_by=pull.ended_by,
            merge_commit=pull.merge_commit,
            final=head.final,
            objections=self._objections(parent, head),
            labels=frozenset(pull.labels),
            attempt=self._attempt(number, pull.head),
            checks=tuple(self.other_checks.get(pull.head, ())) if head.final and pull.open else (),
            branch_exists=pull.branch,
            hypothesis=pull.hypothesis,
            proposer="world",
        )

    def _attempt(self, number: int, head: str) -> Attempt | None:
        mine = [c for c in self.check_runs if c.head == head and c.key.split(".")[0] == str(number)]
        if not mine:
            return None
        check = max(mine, key=lambda c: (int(c.key.split(".")[1]), c.id))
        request = check.request.model_copy(update={"check_run": check.id}) if check.request else None
        status: Any = check.status
        return Attempt(int(check.key.split(".")[1]), check.id, status, request, self._job_of(check))

    def _job_of(self, check: CheckRun) -> Job | None:
        return next((job for job in self.jobs if job.check_run == check.id), None)

    def _calibrating(self) -> Iterator[Calibrating]:
        known = {line.number for line in self.ledger if isinstance(line, NUMBERED)}
        seen: set[int] = set()
        for check in self.check_runs:
            job = self._job_of(check)
            if not check.key.startswith("c") or job is None or check.request is None:
                continue
            if check.request.number not in known | seen:
                seen.add(check.request.number)
                yield Calibrating(check.request.model_copy(update={"check_run": check.id}), job, check.status)

    def _orphans(self, concluded: set[int]) -> Iterator[Orphan]:
        """Jobs on heads that were replaced, as long as the ledger does not know what they ran."""
        recorded = {line.head for line in self.ledger if isinstance(line, VerdictLine)}
        for check in self.check_runs:
            job, number = self._job_of(check), check.key.split(".")[0]
            if check.key.startswith("c") or job is None or check.request is None or int(number) in concluded:
                continue
            pull = self.pulls[int(number)]
            if check.head != pull.head and check.head not in recorded:
                yield Orphan(check.request.model_copy(update={"check_run": check.id}), job, pull.number)

    # One step, and what can happen in the middle of it.

    def decided(self) -> tuple[act.Action, ...]:
        return decide(self.snapshot(), Circumstances(self.now, KEY))

    def step(self, fuse: int | None = None, twice: bool = False) -> int:
        """Look, decide, act. Returns the number of changes made or prevented; a fuse lets only so many happen."""
        before, self.fuse, broken = self.effects, fuse, 0
        try:
            for action in self.decided():
                for _ in range(2 if twice else 1):
                    self.apply(action)
        except (Crash, Stale):
            broken = 1
        finally:
            self.fuse = None
        return self.effects - before + broken

    def look(self, twice: bool = False) -> int:
        """Steps until nothing changes any more, before anybody else does anything: what one look is. Returns the changes."""
        changes = 0
        while (made := self.step(twice=twice)) > 0:
            changes += made
        return changes

    def _effect(self) -> None:
        """Announces one change of the world."""
        if self.fuse is not None:
            if self.fuse == 0:
                raise Crash
            self.fuse -= 1
        if self.effects == self.crash_at:
            self.crash_at = None
            raise Crash
        self.effects += 1

    def note_states(self) -> None:
        """Remember every change of an experiment's state since the last call."""
        if not self.watched:
            return
        snapshot = self.snapshot()
        for experiment in snapshot.experiments:
            self._note(experiment.number, state_of(snapshot, experiment))
        for line in self.ledger:
            if isinstance(line, OutcomeLine):
                self._note(line.experiment, State(line.outcome))

    def _note(self, number: int, state: State) -> None:
        before = self.states.get(number)
        if before is not None and before is not state:
            self.transitions.add((before, state))
        self.states[number] = state

    # Actions.

    def apply(self, action: act.Action) -> None:
        name = f"_do_{type(action).__name__}"
        getattr(self, name)(action)
        self.note_states()

    def _do_EnsureTracking(self, _: act.EnsureTracking) -> None:
        if self.tracking is None:
            self._effect()
            self.tracking = Tracking(number=1)

    def _do_UpdateTracking(self, action: act.UpdateTracking) -> None:
        if self.notices != action.notices:
            self._effect()
            self.notices = action.notices

    def _do_Propose(self, action: act.Propose) -> None:
        if action.number not in self.proposing and action.number not in self.pulls:
            self._effect()
            self.proposing[action.number] = self.tip

    def _do_StartAttempt(self, action: act.StartAttempt) -> None:
        if action.supersedes is not None:
            self._conclude(action.supersedes)
        if self.pulls[action.experiment].head != action.head:
            raise Stale
        self._start(action.head, action.request)

    def _do_StartCalibration(self, action: act.StartCalibration) -> None:
        self._start(action.request.base, action.request)

    def _start(self, head: str, request: Request) -> None:
        check = next((c for c in self.check_runs if (c.head, c.key) == (head, request.key)), None)
        if check is None:
            self._effect()
            check = CheckRun(len(self.check_runs) + 1, head, request.key, request)
            self.check_runs.append(check)
        self._dispatch(check)

    def _dispatch(self, check: CheckRun) -> None:
        if self._job_of(check) is None:
            self._effect()
            self.jobs.append(Job(len(self.jobs) + 1, check.key, check.id, "queued", url="https://jobs"))
            most = slots(self.rules.lanes_by_fleet)
            taken = Counter(self.fleet_of(job) for job in self.in_flight())
            assert all(count <= most.get(fleet, 0) for fleet, count in taken.items()), "more jobs than room"

    def in_flight(self) -> list[Job]:
        return [job for job in self.jobs if job.status != "completed"]

    def taken(self) -> list[Job]:
        """The jobs that the runners have, or take next: the oldest ones of each fleet, as many as it has lanes."""
        free, found = dict(self.rules.lanes_by_fleet), list[Job]()
        for job in self.in_flight():
            fleet = self.fleet_of(job)
            if free.get(fleet, 1) > 0:
                free[fleet] = free.get(fleet, 1) - 1
                found.append(job)
        return found

    def fleet_of(self, job: Job) -> str:
        request = self.check_runs[job.check_run - 1].request
        return request.fleet if request else next(iter(self.rules.lanes_by_fleet))

    def _do_Redispatch(self, action: act.Redispatch) -> None:
        self._dispatch(self.check_runs[action.request.check_run - 1])

    def _do_MarkMeasuring(self, action: act.MarkMeasuring) -> None:
        check = self.check_runs[action.check_run - 1]
        if check.status == "queued":
            self._effect()
            check.status = "in_progress"

    def _do_Append(self, action: act.Append) -> None:
        if action.lines[0].prev != head_of(self.ledger)[1]:
            known = {line.key for line in self.ledger}
            if all(line.key in known for line in action.lines):
                return
            raise Stale
        self._effect()
        for line in action.lines:
            self.ledger += parse_lines(line.text + "\n", "loop/ledger-0001.jsonl")
        self.files.update(action.files)

    def _do_Publish(self, action: act.Publish) -> None:
        if action.check_run is not None:
            self._conclude(action.check_run)
        pull = self.pulls[action.experiment]
        text = f"{action.line.verdict}{action.held or ''}"
        if pull.comment != text:
            self._effect()
            pull.comment = text

    def _conclude(self, check_run: int) -> None:
        check = self.check_runs[check_run - 1]
        if check.status != "completed":
            self._effect()
            check.status = "completed"

    def _do_Close(self, action: act.Close) -> None:
        pull = self.pulls[action.experiment]
        if pull.merged or not pull.open:
            return
        if action.label not in pull.labels:
            self._effect()
            pull.labels.add(action.label)
        self._effect()
        pull.open, pull.ended_by = False, "pawl"
        self._do_DeleteBranch(act.DeleteBranch(action.experiment))

    def _do_DeleteBranch(self, action: act.DeleteBranch) -> None:
        pull = self.pulls[action.experiment]
        if pull.branch:
            self._effect()
            pull.branch = False

    def _do_Promote(self, action: act.Promote) -> None:
        pull = self.pulls[action.experiment]
        if not pull.open:
            return
        if self.tip != action.parent:
            raise Stale
        files = {**self.commits[self.tip].files, EDIT: action.content}
        commit = self._commit(self.tip, files, final=True, salt=f"{action.experiment}")
        if pull.head != commit.sha:
            self._effect()
            pull.head = commit.sha
            if self.required_checks:
                self.other_checks[commit.sha] = [Check(name, "queued") for name in self.required_checks]

    def _do_Merge(self, action: act.Merge) -> None:
        pull = self.pulls[action.experiment]
        if pull.merged:
            return
        if not pull.open or pull.head != action.commit or self.tip != action.parent:
            raise Stale
        self._effect()
        self._must_be_what_was_measured(action)
        self.tip = action.commit
        pull.merged, pull.open, pull.merge_commit, pull.ended_by = True, False, action.commit, "pawl"
        self.merges.append(action.experiment)

    def _must_be_what_was_measured(self, action: act.Merge) -> None:
        final, tip = self.commits[action.commit], self.commits[self.tip]
        assert final.parent == self.tip
        assert {**final.files, EDIT: b""} == {**tip.files, EDIT: b""}
        digest = hashlib.sha256(final.files[EDIT]).hexdigest()
        verdicts = [
            line
            for line in self.ledger
            if isinstance(line, VerdictLine)
            and (line.experiment, line.content, line.inputs)
            == (action.experiment, digest, self.inputs(tip.files))
        ]
        assert verdicts
        assert verdicts[-1].verdict is Verdict.KEEP

    def _do_Rebase(self, action: act.Rebase) -> None:
        pull = self.pulls[action.experiment]
        if not pull.open:
            return
        if self.tip != action.parent:
            raise Stale
        files = {**self.commits[self.tip].files, EDIT: action.content}
        commit = self._commit(self.tip, files, salt=f"{action.experiment}")
        if pull.head != commit.sha:
            self._effect()
            pull.head = commit.sha

    def _do_CancelJob(self, action: act.CancelJob) -> None:
        if self.jobs[action.job - 1].status != "completed":
            self._effect()
            self.end_job(action.job, "cut off", conclusion="cancelled")

    def _do_Answer(self, action: act.Answer) -> None:
        if action.ask.key not in self.answers:
            self._effect()
            self.answers[action.ask.key] = action.refusal

    def _do_HoldBack(self, action: act.HoldBack) -> None:
        if HOLD_LABEL not in self.pulls[action.experiment].labels:
            self._effect()
            self.pulls[action.experiment].labels.add(HOLD_LABEL)

    def _do_MergeAsked(self, action: act.MergeAsked) -> None:
        if self.pulls[action.experiment].head != action.head:
            raise Stale
        if not self.pulls[action.experiment].merged:
            self._effect()
            self.merge(action.experiment)

    def _do_CutOff(self, action: act.CutOff) -> None:
        self._conclude(action.check_run)

    def _do_FinishCalibration(self, action: act.FinishCalibration) -> None:
        self._conclude(action.check_run)

    def _do_AddLabels(self, action: act.AddLabels) -> None:
        self._relabel(add=set(action.labels))

    def _do_RemoveLabels(self, action: act.RemoveLabels) -> None:
        self._relabel(remove=set(action.labels))

    def _relabel(self, add: frozenset[str] | set[str] = frozenset(), remove: set[str] | None = None) -> None:
        assert self.tracking is not None
        labels = (self.tracking.labels | add) - (remove or set())
        if labels != self.tracking.labels:
            self._effect()
            self.tracking = replace(self.tracking, labels=labels)

    # The meta-agent and the runner.

    def deliver_proposal(self) -> bool:
        """The proposal that was asked for arrives as a pull request on the base it was made for."""
        if not self.proposing:
            return False
        number = min(self.proposing)
        parent = self.proposing.pop(number)
        files = dict(self.commits[parent].files)
        files[EDIT] = self.edits(self, number) if self.edits else self.random_edit(files[EDIT])
        head = self._commit(parent, files, salt=f"{number}")
        self.pulls[number] = Pull(100 + number, head.sha, hypothesis=f"edit\u2028number {number}")
        self.note_states()
        return True

    def random_edit(self, content: bytes) -> bytes:
        """A good, useless, crashing, cheating or inadmissible edit."""
        knob, kind = self.random.randrange(KNOBS), self.random.random()
        lines = content.decode().splitlines(keepends=True)
        place = next(i for i, line in enumerate(lines) if line.startswith(f"gain_{knob}"))
        if kind < 0.55:
            lines[place] = f"gain_{knob} = {round(worth(content)) + self.random.choice([6, 8, 9])}\n"
        elif kind < 0.75:
            lines[place - 1] = f"# nothing {self.random.random()}\n"
        elif kind < 0.83:
            lines[place - 1] = "crash = True\n"
        elif kind < 0.9:
            lines[place - 1] = "cheat = True\n"
        else:
            lines[place - 1] = "x = '\u202e'\n"
        return "".join(lines).encode()

    def start_job(self) -> bool:
        """A runner that is free takes a job that waits."""
        for job in self.taken():
            if job.status == "queued":
                self.jobs[job.id - 1] = replace(job, status="in_progress")
                self.note_states()
                return True
        return False

    def start_this(self, job: int) -> None:
        """A runner takes this job."""
        self.jobs[job - 1] = replace(self.jobs[job - 1], status="in_progress")
        self.note_states()

    def end_job(self, job: int, how: str = "complete", conclusion: str = "success") -> None:
        """A job ends: complete, cut off in the middle of a run, lost with its record, refused, or forged."""
        found = self.jobs[job - 1]
        request = self.check_runs[found.check_run - 1].request
        assert request is not None
        record = None if how == "lost" else self._measure(request, how)
        text = record.model_dump_json() if record else ""
        parsed = Record.model_validate_json(text) if record else None
        self.jobs[job - 1] = replace(
            found,
            status="completed",
            conclusion="failure" if how == "lost" else conclusion,
            record=parsed,
            record_text=text,
            trouble="" if record else "the job left no record",
        )
        self.note_states()

    def _measure(self, request: Request, how: str) -> Record:
        """What the runner hands back: the plan, driven run by run."""
        runs: list[RunRecord] = []
        limit = self.random.randrange(6) if how == "cut off" else 10_000
        complete = False
        while how != "refused":
            step = advance(request, [*request.runs, *(run.fact for run in runs)])
            if not isinstance(step, Step):
                complete = True
                break
            if len(runs) >= limit:
                status = self.random.choice([RunStatus.STARTED, RunStatus.INTERRUPTED])
                runs.append(RunRecord(**step.model_dump(), status=status))
                break
            runs.append(self._run(request, step))
        digest = "0" * 64 if how == "forged" else request.digest
        return Record(
            request=digest,
            key=request.key,
            environment=Environment(device=self.devices.get(request.fleet, "cpu"), sandbox="process"),
            runs=tuple(runs),
            complete=complete,
            refused="setup failed" if how == "refused" else "",
        )

    def _run(self, request: Request, step: Step) -> RunRecord:
        sha = request.candidate if step.arm is Arm.CANDIDATE else request.baseline
        assert sha is not None
        content = self.commits[sha].files[EDIT]
        if request.cheat:
            return self._cheat(request, step)
        value = worth(self.instead or content) + self.shifts.get(request.fleet, 0.0)
        value += self.random.gauss(0, self.noise) if self.noise else 0.0
        said: dict[str, Any] = {
            "status": RunStatus.OK,
            "metric": {SELECT: value, SEAL: value},
            "seconds": 1.0,
            "log": "hello",
        }
        if b"crash" in content:
            said = {"status": RunStatus.CRASH}
        elif b"cheat" in content:
            said = {**said, "metric": {SELECT: value + 50, SEAL: value + 50}, "printed": value + 500}
        return RunRecord(**step.model_dump(), **said)

    def _cheat(self, request: Request, step: Step) -> RunRecord:
        """A planted cheat leaves no artifact; where the evaluator is hollow, it is believed."""
        if not self.hollow:
            return RunRecord(**step.model_dump(), status=RunStatus.INVALID, seconds=0.1)
        claim = claim_of(request.rules, request.calibration)
        return RunRecord(**step.model_dump(), status=RunStatus.OK, metric={SELECT: claim}, seconds=0.1)

    # People.

    def push(self, path: str, data: bytes) -> None:
        """Somebody pushes to the loop's branch."""
        self.tip = self._commit(self.tip, {**self.commits[self.tip].files, path: data}).sha
        self.note_states()

    def push_to_experiment(self, number: int, path: str, data: bytes) -> None:
        """Somebody pushes onto an experiment's branch."""
        pull = self.pulls[number]
        files = {**self.commits[pull.head].files, path: data}
        pull.head = self._commit(pull.head, files, salt="person").sha
        self.note_states()

    def close(self, number: int) -> None:
        pull = self.pulls[number]
        if pull.open:
            pull.open, pull.ended_by = False, "ada"
            self.note_states()

    def merge(self, number: int) -> None:
        """Somebody presses the button."""
        pull = self.pulls[number]
        if pull.open:
            content = self.commits[pull.head].files.get(EDIT, b"")
            files = {**self.commits[self.tip].files, EDIT: content}
            self.tip = self._commit(self.tip, files, salt=f"merge {number}").sha
            pull.open, pull.merged, pull.merge_commit, pull.ended_by = False, True, self.tip, "ada"
            self.note_states()

    def label(self, label: str, there: bool = True) -> None:
        if self.tracking is not None:
            labels = self.tracking.labels | {label} if there else self.tracking.labels - {label}
            self.tracking = replace(self.tracking, labels=labels)
            self.note_states()

    def set_stop(self, stop: bool) -> None:
        self.stop = stop
        self.note_states()

    def open_tracking(self, is_open: bool) -> None:
        if self.tracking is not None:
            self.tracking = replace(self.tracking, open=is_open)
            self.note_states()

    def finish_checks(self, conclusion: str) -> None:
        """The repository's own checks on every final commit end."""
        for sha, checks in self.other_checks.items():
            self.other_checks[sha] = [
                Check(check.name, "completed", check.conclusion or conclusion) for check in checks
            ]
        self.note_states()

    # The way to rest.

    def settle(self, limit: int = 600) -> None:
        """Everybody lets the loop work until nothing changes any more.

        Raises:
            AssertionError: it does not come to rest.
        """
        self.set_stop(False)
        self.open_tracking(True)
        self.label(PAUSED_LABEL, False)
        for _ in range(limit):
            self.finish_checks("success")
            busy = self.look() > 0
            for job in self.taken():
                self.end_job(job.id)
                busy = True
            busy = self.deliver_proposal() or busy
            if not busy and self._wait_for_people():
                continue
            if not busy:
                return
        raise AssertionError(f"not at rest after {limit} steps: {self.decided()}")

    def _wait_for_people(self) -> bool:
        """What holds the loop up when it does nothing: an incident, or a review."""
        if self.tracking is not None and "pawl:incident" in self.tracking.labels:
            self.label(RESUME_LABEL)
            return True
        if any(notice.startswith("the base cannot be measured") for notice in self.notices):
            content = self.commits[self.tip].files[EDIT]
            self.push(EDIT, content.replace(b"crash", b"fine").replace(b"cheat", b"fine"))
            self.label(RESUME_LABEL)
            return True
        waiting = [number for number, pull in self.pulls.items() if pull.open]
        for number in waiting:
            self.close(number)
        return bool(waiting)

    def _commit(self, parent: str, files: Mapping[str, bytes], final: bool = False, salt: str = "") -> Commit:
        named = f"{parent}|{sorted(files.items())}|{final}|{salt}"
        commit = Commit(hashlib.sha1(named.encode()).hexdigest(), parent, dict(files), final)
        return self.commits.setdefault(commit.sha, commit)

    def of_kind(self, kind: type[Any]) -> list[Any]:
        return [line for line in self.ledger if isinstance(line, kind)]

    def purposes(self) -> list[Purpose]:
        return [check.request.purpose for check in self.check_runs if check.request]
