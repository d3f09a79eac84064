"""A world that stands still between steps: GitHub over HTTP, the App step by step, a runner that answers at once.

Nothing happens in a thread: deliveries, looks, proposals and jobs each take place when `turn` says so, so that a test can
put a fault between any two of them. What the edit says decides what the runner measures (``AIM = 2.0`` scores 2), moved a
little by the seed.
"""

from __future__ import annotations

import atexit
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask.testing import FlaskClient

from pawl.commands.history import disagreements, read_histories
from pawl.commands.serve import front_door
from pawl.control.app import PawlApp
from pawl.control.settings import Settings
from pawl.core.chain import LEDGER_BRANCH, check_chain, parse_lines
from pawl.core.config import SELECT
from pawl.core.decision import advance
from pawl.core.digest import sha256
from pawl.core.edit import Edit
from pawl.core.ledger import AnyLine, Outcome, OutcomeLine, VerdictLine
from pawl.core.measurement import Arm, Environment, Record, Request, RunRecord, RunStatus, Step
from pawl.localhub import Hub, HubServer
from pawl.localhub.faults import Faults
from pawl.messages.scaffold import workflow
from pawl.messages.tracking import tracking_title
from pawl.meta.proposer import Context, NoProposal, Proposal

OWNER, LOOP = "octo", "aim"
NAME = f"{OWNER}/{LOOP}"
PERSON = "ann"
QUIET = 20
"""Turns without a write after which a world rests, though something wakes it."""
SOURCE = "AIM = 1.0\n\nprint(AIM)\n\nSTEPS = 10\n"
EXPERIMENTS = 2
BETTER, WORSE = 2.0, 0.5
RULES = """\
    edit: {folder}/train.py
    metric: {{name: score, goal: maximize}}
    budget: 5s
    merge: auto
    accept: [unearned-auto, process-sandbox, self-reported-metric]
    limits: {{experiments: {experiments}}}
"""
WRITES = ("POST", "PATCH", "PUT", "DELETE")
LONG = 1000.0
"""Seconds after which every look that was put off is due."""


def config(experiments: int = EXPERIMENTS, **folders: str) -> str:
    """The configuration; by default of one loop."""
    rules = "".join(
        f"  {loop}:\n{RULES.format(folder=folder, experiments=experiments)}"
        for loop, folder in (folders or {LOOP: LOOP}).items()
    )
    return f"version: 1\nloops:\n{rules}"


def files(text: str, *folders: str) -> dict[str, str | None]:
    """A repository's files."""
    return {
        ".github/pawl.yml": text,
        ".github/workflows/pawl.yml": workflow(),
        "README.md": "A demo.\n",
        **{f"{folder}/train.py": SOURCE for folder in folders},
        **{f"{folder}/program.md": "# Raise the score\n" for folder in folders},
    }


class Later(Executor):
    """Runs what it is given when it is told to."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: fn(*args, **kwargs)))
        return future

    def run(self) -> bool:
        """Run what waits; whether anything did."""
        waiting, self._waiting = self._waiting, []
        for future, work in waiting:
            future.set_result(work())
        return bool(waiting)


@dataclass
class Script:
    """A proposer that offers what the test wrote down: by number, the value of ``AIM``."""

    aims: dict[int, float]
    name: str = "script"
    reads: bool = False

    def propose(self, context: Context) -> Proposal:
        aim = self.aims.get(context.number)
        if aim is None:
            raise NoProposal("the script ends here")
        lines = context.source.splitlines(keepends=True)
        text = "".join(f"AIM = {aim}\n" if line.startswith("AIM") else line for line in lines)
        return Proposal(Edit(text, f"aim at {aim}", self.name, None, {"AIM": aim}))


class FailingWrites(Faults):
    """Writes fail by the place they have in the order of all writes: after their effect, or before it.

    Args:
        kind: `after` or `before`.
        status: the answer in the place of GitHub's.
        only: which places fail, counted from 0.
    """

    def __init__(self, kind: str, status: int, only: Callable[[int], bool] = lambda place: True) -> None:
        super().__init__()
        self._kind, self._status, self._only = kind, status, only
        self._places = count()
        self.failed: list[str] = []

    def take(self, kind: str, method: str, path: str) -> int:
        status = super().take(kind, method, path)
        if status or kind != self._kind or method not in WRITES or "access_tokens" in path:
            return status
        if not self._only(next(self._places)):
            return 0
        self.failed.append(f"{method} {path}")
        return self._status


@dataclass
class Process:
    """One process of the App: its memory and its database."""

    app: PawlApp
    later: Later

    @cached_property
    def client(self) -> FlaskClient:
        """The App's front door."""
        _, pages = front_door(self.app)
        return pages.test_client()


@dataclass
class World:
    """Everything a test needs."""

    server: HubServer
    home: Path
    token: str
    script: Script
    now: float = 0.0
    processes: list[Process] = field(default_factory=list)
    webhooks: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda waiting: waiting
    """What becomes of the deliveries that wait: which are made, in which order."""
    timer: bool = False
    """Whether the timer wakes everything in each turn."""
    running: Callable[[Request], None] = lambda request: None
    """Called while a job runs."""
    forge: Callable[[Request, Record], Record | bytes | None] = lambda request, record: record
    """What a job uploads, and that it uploads anything."""
    conclude: Callable[[Request], str] = lambda request: "success"
    calls: int = 0

    @property
    def hub(self) -> Hub:
        """The GitHub."""
        return self.server.hub

    @property
    def app(self) -> PawlApp:
        """The one App."""
        return self.processes[-1].app

    # What there is.

    def start(self, database: str = "pawl.db") -> Process:
        """A process of the App, started."""
        known = self.hub.app
        settings = Settings(
            app_id=known.id,
            private_key=known.private_key_pem,
            webhook_secret=known.webhook_secret,
            api=self.server.api_url,
            database=f"sqlite:///{self.home / database}",
            seconds_between_writes=0.0,
        )
        later = Later()
        app = PawlApp(settings, seconds=lambda: self.now, proposals=later, reactions=later)
        app.workers.wake_all()
        self.processes.append(Process(app, later))
        return self.processes[-1]

    def kill(self) -> None:
        """The App's process ends, and another one starts with nothing in its memory."""
        self.processes.pop().app.database.close()
        self.start()

    # Turning the wheel.

    def settle(self, turns: int = 120) -> World:
        """Until nothing happens any more, however long the App waits before it tries again."""
        quiet = 0
        for _ in range(turns):
            written = len(self.writes())
            busy = self.turn()
            # A limit that ends within the hour lets the App look again and again, with nothing to do: that is rest, too.
            quiet = quiet + 1 if len(self.writes()) == written else 0
            if busy and quiet < QUIET:
                continue
            self.now += LONG  # looks that failed are due now
            written = len(self.writes())
            if not self.turn() or (quiet >= QUIET and len(self.writes()) == written):
                return self
        raise AssertionError("it never comes to rest:\n" + "\n".join(self.writes()[-30:]))

    def turn(self) -> bool:
        """Deliver, look, think, measure, once each; whether anything was done."""
        before = len(self.writes())
        busy = self.deliver()
        if self.timer:
            for process in self.processes:
                process.app.workers.wake_all()
        busy |= self.look()
        busy |= self.measure()
        return (busy and not self.timer) or len(self.writes()) != before

    def look(self) -> bool:
        """Let every process look at what it was told to, and think about what it wants to."""
        busy = False
        for process in self.processes:
            while process.app.workers.run_next() or process.later.run():
                busy = True
        return busy

    def deliver(self) -> bool:
        """Make the deliveries that wait, to the App's front door."""
        waiting = [item for item in self.hub.deliveries if item["key"] == "pending"]
        for item in waiting:
            # Long ago, so that nobody asks for them again: what is lost here is lost.
            self.hub.store.save({**item, "key": "done", "delivered_at": "2020-01-01T00:00:00Z"})
        for item in self.webhooks(waiting):
            data = json.dumps(item["payload"]).encode()
            process = self.processes[self.calls % len(self.processes)]
            self.calls += 1
            answer = process.client.post("/webhooks", data=data, headers=self.hub.events.headers(item, data))
            assert answer.status_code == 202, answer.text
        return bool(waiting)

    def measure(self) -> bool:
        """The runner takes one job and ends it; whether there was one."""
        service = self.hub.service
        job = service.acquire_job("bench")
        if job is None:
            return False
        service.start_job(job["job_id"])
        request = Request.model_validate_json(job["inputs"]["request"])
        self.running(request)
        handed = self.forge(request, self.record(request))
        if handed is not None:
            data = handed if isinstance(handed, bytes) else handed.model_dump_json().encode()
            self.hub.artifacts.upload(job["job_id"], "pawl-record", {"record.json": data})
        service.complete_job(job["job_id"], self.conclude(request))
        return True

    def record(self, request: Request) -> Record:
        """What the plan leads to, with the scores that both arms' files name."""
        runs: list[RunRecord] = []
        aims = {
            arm: self.aim(commit, request.rules.edit)
            for arm, commit in ((Arm.BASELINE, request.baseline), (Arm.CANDIDATE, request.candidate))
            if commit
        }
        while isinstance(step := advance(request, (*request.runs, *(run.fact for run in runs))), Step):
            metric = {SELECT: aims[step.arm] + (step.seed % 1000) * 1e-5}
            runs.append(RunRecord(**step.model_dump(), status=RunStatus.OK, metric=metric, seconds=1.0))
        environment = Environment(device="cpu", sandbox="process")
        return Record(
            request=request.digest, key=request.key, environment=environment, runs=tuple(runs), complete=True
        )

    # What people do.

    def api(self, method: str, path: str, body: Any = None, expect: bool = True) -> Any:
        """A request of a person with write access."""
        answer = requests.request(
            method,
            f"{self.server.api_url}/repos/{NAME}{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=30,
        )
        assert answer.ok or not expect, answer.text
        return answer.json() if answer.content else None

    def push(self, files: dict[str, str | None], branch: str = "main") -> str:
        """Push a commit."""
        return self.hub.push_files(NAME, files, "By hand", branch=branch, login=PERSON)

    def force(
        self, branch: str, base: str, path: str, text: str, message: str = "By hand\n\n[skip ci]"
    ) -> str:
        """Force a branch to one new commit on a base."""
        repository = self.hub.repository(NAME)
        git, who = self.hub.git(repository), self.hub.identity(PERSON)
        tree = git.write_tree(base, [(path, 0o100644, git.write_blob(text.encode()))])
        commit = git.write_commit(tree, [base], message, who, who)
        with self.hub.store.transaction():
            self.hub.refs.update(repository, f"refs/heads/{branch}", commit, PERSON, force=True)
        return commit

    def label(self, label: str) -> None:
        """Put a label on the tracking issue."""
        self.api("POST", f"/issues/{self.tracking()['number']}/labels", {"labels": [label]})

    def unlabel(self, label: str) -> None:
        """Take a label off the tracking issue."""
        self.api("DELETE", f"/issues/{self.tracking()['number']}/labels/{label}")

    # What there is on GitHub.

    def writes(self) -> list[str]:
        """The writes so far, as verb and route."""
        return [
            f"{entry.method} {entry.template}"
            for entry in self.hub.request_log
            if entry.method in WRITES and entry.repository
        ]

    def tip(self, branch: str) -> str | None:
        """Where a branch is."""
        return self.hub.store.ref(self.hub.repository(NAME)["id"], f"refs/heads/{branch}")

    def file(self, commit: str, path: str) -> str:
        """A file of a commit, or of a branch's tip."""
        git = self.hub.git(self.hub.repository(NAME))
        entry = git.entry(self.tip(commit) or commit, path)
        assert entry is not None, path
        return git.blob(entry.sha).decode()

    def aim(self, commit: str, path: str = f"{LOOP}/train.py") -> float:
        """What a commit's file aims at."""
        return float(self.file(commit, path).split("AIM = ")[1].split()[0])

    def lines(self, loop: str = LOOP) -> list[AnyLine]:
        """The ledger."""
        tip = self.tip(LEDGER_BRANCH)
        return parse_lines(self.file(tip, f"{loop}/ledger-0001.jsonl"), "ledger") if tip else []

    def outcomes(self, loop: str = LOOP) -> dict[int, str]:
        """What became of each experiment."""
        return {
            line.experiment: str(line.outcome) for line in self.lines(loop) if isinstance(line, OutcomeLine)
        }

    def verdicts(self, loop: str = LOOP) -> dict[int, list[str]]:
        """Every verdict of each experiment, in order."""
        found: dict[int, list[str]] = {}
        for line in self.lines(loop):
            if isinstance(line, VerdictLine):
                found.setdefault(line.experiment, []).append(str(line.verdict))
        return found

    def issues(self) -> list[dict[str, Any]]:
        """Issues and pull requests, as the hub keeps them."""
        return self.hub.store.all("issue", self.hub.repository(NAME)["id"])

    def pulls(self) -> list[dict[str, Any]]:
        """Pull requests."""
        return [issue for issue in self.issues() if issue["pull"]]

    def pull(self, number: int, loop: str = LOOP) -> dict[str, Any]:
        """The one pull request of an experiment."""
        (found,) = (item for item in self.pulls() if item["pull"]["head_ref"] == f"pawl/{loop}/{number}")
        return found

    def tracking(self, loop: str = LOOP) -> dict[str, Any]:
        """The one tracking issue."""
        (found,) = (item for item in self.issues() if item["title"] == tracking_title(loop))
        return found

    def comments(self, pull: int) -> list[str]:
        """Comments on a pull request."""
        return [item["body"] for item in self.api("GET", f"/issues/{pull}/comments?per_page=100")]

    def checks(self) -> list[dict[str, Any]]:
        """Check runs of Pawl's."""
        found = self.hub.store.all("check_run", self.hub.repository(NAME)["id"])
        return [check for check in found if check["name"].startswith("pawl/")]

    def jobs(self) -> list[dict[str, Any]]:
        """Dispatched workflow runs."""
        return self.hub.store.all("run", self.hub.repository(NAME)["id"])

    # What must hold however things went.

    def verified(self, loop: str = LOOP) -> list[str]:
        """What `pawl verify` says against a loop, from the ledger's branch and the files beside its lines."""
        git = self.hub.git(self.hub.repository(NAME))
        (history,) = read_histories(Path(git.path), loop, self.tip(LEDGER_BRANCH) or "")
        return [str(found) for found in disagreements(history)]

    def once(self, loop: str = LOOP) -> World:
        """Nothing was said, made or started twice, and everything that was begun has ended.

        Args:
            loop: which loop.
        """
        assert not self.hub.unknown_routes
        lines = self.lines(loop)
        check_chain(lines)
        assert self.verified(loop) == []
        heads = [item["pull"]["head_ref"] for item in self.pulls() if f"/{loop}/" in item["pull"]["head_ref"]]
        assert sorted(heads) == sorted(set(heads)), "two pull requests for one experiment"
        ended = Counter(line.experiment for line in lines if isinstance(line, OutcomeLine))
        assert set(ended.values()) <= {1}
        assert {f"pawl/{loop}/{number}" for number in ended} == set(heads)
        assert not [item["number"] for item in self.pulls() if item["state"] == "open"]
        for item in self.pulls():
            written = [text for text in self.comments(item["number"]) if text.startswith("<!-- pawl")]
            markers = [text.split("\n", 1)[0] for text in written]
            assert sorted(markers) == sorted(set(markers)), written
            assert len([marker for marker in markers if "pawl-answer:" not in marker]) <= 1, written
        names = [(check["name"], check["external_id"], check["head_sha"]) for check in self.checks()]
        assert sorted(names) == sorted(set(names)), "two check runs for one attempt"
        open_checks = [check["external_id"] for check in self.checks() if check["status"] != "completed"]
        assert open_checks == []
        titles = [job["display_title"] for job in self.jobs()]
        assert sorted(titles) == sorted(set(titles)), "two jobs for one attempt"
        assert all(job["status"] == "completed" for job in self.jobs())
        own = self.hub.store.refs(self.hub.repository(NAME)["id"], "refs/heads/pawl/")
        assert not [ref for ref in own if f"/{loop}/" in ref], "branches left behind"
        self.tracking(loop)
        measured = {line.experiment: line.content for line in lines if isinstance(line, VerdictLine)}
        for line in lines:
            if isinstance(line, OutcomeLine) and line.outcome is Outcome.MERGED:
                assert self.pull(line.experiment, loop)["pull"]["merged_at"]
                assert line.commit is not None
                assert sha256(self.file(line.commit, f"{loop}/train.py")) == measured[line.experiment]
        return self


@cache
def _key() -> str:
    """A short key: reading one of GitHub's length is the slowest part of a request under it."""
    made = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    plain = serialization.NoEncryption()
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain
    ).decode()


@cache
def _calibrated(text: str, folders: tuple[str, ...]) -> Path:
    """The folder of a hub whose loops are set up, tracked and calibrated; made once for all tests."""
    home = Path(mkdtemp(prefix="pawl-faults-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    hub = Hub.open(home / "hub", private_key_pem=_key())
    hub.events.start = lambda: None  # type: ignore[method-assign]  # deliveries are made by hand
    hub.create_repository(NAME)
    hub.add_collaborator(NAME, PERSON, "maintain")
    hub.push_files(NAME, files(text, *folders), "Begin")
    hub.service.register_runner("bench", ["self-hosted"])
    with HubServer(hub) as server:
        hub.set_webhook_url(server.url)
        hub.installations.install(NAME)
        world = World(server, home, "", Script({}))
        world.start()
        _propose_nothing(world)
        world.settle()
        world.app.database.close()
    hub.close()
    return home / "hub"


def _propose_nothing(world: World) -> None:
    world.processes[-1].later.run = lambda: False  # type: ignore[method-assign]


@contextmanager
def faulty_world(
    home: Path,
    aims: dict[int, float] | None = None,
    text: str | None = None,
    folders: tuple[str, ...] = (LOOP,),
    observer: Any = None,
) -> Iterator[World]:
    """A calibrated loop, and an App that has just started. Without `aims` experiment 1 is worse, and 2 is better."""
    shutil.copytree(_calibrated(text or config(), folders), home / "hub")
    script = Script(aims if aims is not None else {1: WORSE, 2: BETTER})
    hub = Hub.open(home / "hub")
    hub.events.start = lambda: None  # type: ignore[method-assign]
    world: World | None = None
    try:
        with pytest.MonkeyPatch.context() as patch, HubServer(hub, observer=observer) as server:
            patch.setattr("pawl.control.desk.proposer_for", lambda rules, means: script)
            world = World(server, home, hub.create_user(PERSON), script)
            world.start()
            yield world
    finally:
        for process in world.processes if world else ():
            process.app.database.close()
        hub.close()
