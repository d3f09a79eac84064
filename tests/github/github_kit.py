"""A repository with one loop on a hub, with Pawl beside it, and a runner that measures whatever it is asked to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from pawl.core.actions import Action, Propose
from pawl.core.config import SELECT, Loop
from pawl.core.decide import Circumstances, decide
from pawl.core.decision import advance
from pawl.core.edit import Edit
from pawl.core.measurement import Arm, Environment, Purpose, Record, Request, RunRecord, RunStatus, Step
from pawl.core.snapshot import Snapshot
from pawl.github.act import Actor
from pawl.github.app import App
from pawl.github.experiments import Opening
from pawl.github.observe import observe
from pawl.github.requester import AT_ONCE
from pawl.github.view import RepositoryView
from pawl.localhub import HubServer

NAME = "octo/demo"
LOOP = "demo"
CONFIG = """\
version: 1
loops:
  demo:
    edit: loop/train.py
    metric: {name: loss, goal: minimize}
    budget: 5s
    merge: auto
    accept: [unearned-auto, process-sandbox, self-reported-metric]
"""
WORKFLOW = """\
name: Pawl
run-name: ${{ inputs.title }}
on:
  workflow_dispatch:
    inputs:
      title: {type: string, required: true}
      request: {type: string, required: true}
jobs:
  measure:
    runs-on: [self-hosted, pawl]
    steps:
      - run: "true"
"""
FILES = {
    ".github/pawl.yml": CONFIG,
    ".github/workflows/pawl.yml": WORKFLOW,
    "loop/train.py": "RATE = 1.0\nSTEPS = 10\n\nprint(RATE * STEPS)\n",
    "loop/program.md": "# Make it better\n",
    "README.md": "A demo.\n",
}
EDIT = Edit("RATE = 0.5\nSTEPS = 10\n\nprint(RATE * STEPS)\n", "halve the rate", "search", 0.1, {"RATE": 0.5})
A = TypeVar("A", bound=Action)


def edit(text: str) -> Edit:
    """An edit that no other one is like."""
    return Edit(
        EDIT.content.replace("0.5", text), f"set the rate to {text}", "search", None, {"RATE": float(text)}
    )


NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Worker:
    """A runner that makes up its measurements: a value for each seed, moved where it is the candidate's."""

    server: HubServer
    gain: float = 0.0
    """By which candidates are better than their base."""
    level: float = 1.0
    """What the base of today scores; the first one scored 1."""
    status: RunStatus = RunStatus.OK

    def take(self) -> dict[str, Any] | None:
        """The next job, begun."""
        service = self.server.hub.service
        job = service.acquire_job("bench")
        if job is not None:
            service.start_job(job["job_id"])
        return job

    def finish(self, job: dict[str, Any], conclusion: str = "success") -> None:
        """Hand in the record of a job."""
        request = Request.model_validate_json(job["inputs"]["request"])
        files = {"record.json": self.record(request).model_dump_json().encode()}
        self.server.hub.artifacts.upload(job["job_id"], "pawl-record", files)
        self.server.hub.service.complete_job(job["job_id"], conclusion)

    def work(self) -> Request:
        """Take the one job that waits and finish it."""
        job = self.take()
        assert job is not None, "no job waits"
        self.finish(job)
        return Request.model_validate_json(job["inputs"]["request"])

    def record(self, request: Request) -> Record:
        """What the plan leads to."""
        runs: list[RunRecord] = []
        while isinstance(step := advance(request, (*request.runs, *(run.fact for run in runs))), Step):
            candidate = step.arm is Arm.CANDIDATE
            value = self._level(request, candidate) + (step.seed % 1000) * 1e-5
            status = self.status if candidate else RunStatus.OK
            metric = {SELECT: value} if status is RunStatus.OK else {}
            runs.append(RunRecord(**step.model_dump(), status=status, metric=metric, seconds=1.0))
        return Record(
            request=request.digest,
            key=request.key,
            environment=Environment(device="cpu", sandbox="process"),
            runs=tuple(runs),
            complete=True,
        )

    def _level(self, request: Request, candidate: bool) -> float:
        if request.purpose is Purpose.AUDIT:
            return self.level if candidate else 1.0
        return self.level - (self.gain if candidate else 0.0)


@dataclass
class World:
    """Everything a test needs."""

    server: HubServer
    app: App = field(init=False)
    view: RepositoryView = field(init=False)
    actor: Actor = field(init=False)
    worker: Worker = field(init=False)

    def __post_init__(self) -> None:
        hub = self.server.hub
        hub.create_repository(NAME)
        hub.push_files(NAME, FILES, "Begin")
        hub.installations.install(NAME)
        hub.service.register_runner("bench", ["self-hosted", "pawl"])
        self.app = App(hub.app.id, hub.app.private_key_pem, self.server.api_url, AT_ONCE)
        self.worker = Worker(self.server)
        self.restart()

    def restart(self) -> None:
        """Pawl with nothing in its memory."""
        self.view = RepositoryView(self.app.repository(NAME))
        self.actor = Actor(self.view)

    @property
    def rules(self) -> Loop:
        """The loop's rules."""
        config = self.view.config()
        assert config is not None
        return config.loops[LOOP]

    def observe(self, *, fresh: bool = False) -> Snapshot:
        """Look."""
        if fresh:
            self.view.forget_all()
        return observe(self.view, LOOP, self.rules)

    def decide(self) -> tuple[Snapshot, tuple[Action, ...]]:
        """Look and decide."""
        snapshot = self.observe()
        return snapshot, decide(snapshot, Circumstances(NOW, b"seeds"))

    def wanted(self, kind: type[A]) -> tuple[A, Snapshot]:
        """The one action of a kind that is decided now."""
        snapshot, actions = self.decide()
        found = [action for action in actions if isinstance(action, kind)]
        assert len(found) == 1, [type(action).__name__ for action in actions]
        return found[0], snapshot

    def step(self) -> list[str]:
        """Look, decide and act until nothing changes; returns what was done."""
        done: list[str] = []
        for _ in range(12):
            snapshot, actions = self.decide()
            todo = [action for action in actions if not isinstance(action, Propose)]
            changed = [type(action).__name__ for action in todo if self.actor.apply(action, snapshot)]
            done += changed
            if not set(changed) - {"UpdateTracking"}:
                return done
        raise AssertionError(f"never came to rest: {done}")

    def open(self, edit: Edit = EDIT) -> int:
        """Open the next experiment on the present base; returns its number."""
        snapshot = self.observe()
        number = snapshot.last_number + 1
        self.actor.open_experiment(Opening(LOOP, self.rules, number, edit, snapshot.base.sha))
        return number

    def settle(self) -> None:
        """Step and measure until no job is left: every calibration that is due is done."""
        self.step()
        while (job := self.worker.take()) is not None:
            self.worker.finish(job)
            self.view.forget("jobs")
            self.step()

    def to_measured(self, gain: float = 0.0, edit: Edit = EDIT) -> int:
        """An experiment whose job has ended; returns its number."""
        number = self.open(edit)
        self.step()
        self.worker.gain = gain
        self.worker.work()
        self.view.forget("jobs")
        return number

    # What there is on the hub.

    def api(self, path: str, **parameters: Any) -> Any:
        """Ask the hub, past the view."""
        return self.view.client.get(path, **parameters)

    def comments(self, pull: int) -> list[str]:
        """The comments on a pull request."""
        return [item["body"] for item in self.api(f"issues/{pull}/comments")]

    def tip(self, branch: str) -> str | None:
        """Where a branch is."""
        hub = self.server.hub
        return hub.store.ref(hub.repository(NAME)["id"], f"refs/heads/{branch}")

    def file(self, branch: str, path: str = "loop/train.py") -> str:
        """A file on a branch."""
        hub = self.server.hub
        git, tip = hub.git(hub.repository(NAME)), self.tip(branch)
        assert tip is not None
        entry = git.entry(tip, path)
        assert entry is not None
        return git.blob(entry.sha).decode()

    def requests(self) -> list[str]:
        """The API requests so far, as verb and route."""
        return [
            f"{entry.method} {entry.template}" for entry in self.server.hub.request_log if entry.repository
        ]

    def ledger(self) -> list[dict[str, Any]]:
        """The loop's ledger as it stands on the branch."""
        if self.tip("pawl/ledger") is None:
            return []
        return [
            json.loads(line) for line in self.file("pawl/ledger", f"{LOOP}/ledger-0001.jsonl").splitlines()
        ]
