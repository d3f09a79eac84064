"""A repository with a workflow whose job runs any script, and a supervisor whose runners take such jobs."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pawl.github.app import Token
from pawl.github.client import Repository
from pawl.github.requester import AT_ONCE
from pawl.lab.device import Gpu
from pawl.localhub import Hub, HubServer
from pawl.runner.enclosure import Grounds, User
from pawl.runner.plan import Patience
from pawl.runner.slots import Slot, slots_for
from pawl.runner.supervisor import Means, Supervisor

STANDIN = Path(__file__).parent / "standin"
REPO = "octo/aim"
WORKFLOW = """\
on: {workflow_dispatch: {inputs: {script: {required: true}}}}
jobs:
  work:
    runs-on: [self-hosted, pawl]
    steps: [{run: "true"}]
"""
AS_ROOT = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="three users need root, and setpriv of util-linux",
)
TWO_GPUS = (Gpu(0, "GPU-a", "NVIDIA H100 80GB HBM3"), Gpu(1, "GPU-b", "NVIDIA H100 80GB HBM3"))
QUICK = Patience(between=0.01, first=0.02, longest=0.05, give_up=3)


class Counted:
    """Randomness that a test can foretell."""

    def __init__(self) -> None:
        self._count = count(1)

    def random(self) -> float:
        return 0.5

    def name(self) -> str:
        return f"{next(self._count):08x}"


def repository(hub: Hub) -> Repository:
    hub.create_repository(REPO)
    hub.push_files(REPO, {".github/workflows/work.yml": WORKFLOW}, "Begin")
    return Token(hub.create_user("octo"), api=hub.api_url, pace=AT_ONCE).repository(REPO)


@dataclass
class Machine:
    """One supervisor, on a thread of its own."""

    client: Repository
    hub: Hub
    home: Path
    slots: tuple[Slot, ...] = field(default_factory=lambda: slots_for("box", (), None))
    said: list[str] = field(default_factory=list)
    error: str | None = None

    def __post_init__(self) -> None:
        self.program, self.secret = self.home / "program", self.home / "secret"
        shutil.copytree(STANDIN, self.program)
        self.secret.write_text("the supervisor's token\n")
        self.secret.chmod(0o644)  # so that only the wall keeps it
        users = User.named("daemon"), User.named("nobody")
        self.grounds = Grounds(self.program, self.home / "state", *users, hidden=(self.secret,))
        self.supervisor = self.made()

    def made(self) -> Supervisor:
        means = Means(self.client, self.grounds, time.time, Counted(), self.said.append, QUICK)
        return Supervisor("box", self.slots, means)

    def start(self) -> None:
        self.grounds.prepare([slot.index for slot in self.slots])

        def run() -> None:
            self.error = self.supervisor.run()

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def end(self) -> None:
        self.thread.join(60)
        assert not self.thread.is_alive()

    def dispatch(self, script: str) -> int:
        """Start a job; the id of its run."""
        body = {"ref": "main", "inputs": {"script": script}, "return_run_details": True}
        return int(self.client.post("actions/workflows/work.yml/dispatches", body)["workflow_run_id"])

    def job(self, run: int) -> Any:
        (job,) = self.client.get(f"actions/runs/{run}/jobs")["jobs"]
        return job

    def log(self, run: int) -> str:
        return str(self.hub.store.get("job", self.job(run)["id"])["logs"])  # type: ignore[index]

    def runners(self) -> list[Any]:
        return list(self.client.pages("actions/runners", "runners"))

    def wait(self, true: Callable[[], Any]) -> Any:
        """Until something of the hub is so."""
        found: list[Any] = []

        def check() -> bool:
            found[:] = [true()]
            return bool(found[0])

        with self.hub.store.changed:
            assert self.hub.store.changed.wait_for(check, 60), self.said
        return found[0]

    def ran(self, script: str) -> str:
        """What a job's script said, once it is over."""
        run = self.dispatch(script)
        repo = self.hub.repository(REPO)
        self.wait(lambda: self.hub.actions.run(repo, run)["status"] == "completed")
        return self.log(run)

    def online(self) -> list[str]:
        """Names of the runners that wait for a job, once there is one in each slot."""

        def waiting() -> list[str]:
            found = [item["name"] for item in self.hub.store.all("runner") if item.get("online")]
            return found if len(found) == len(self.slots) else []

        return list(self.wait(waiting))


@contextmanager
def machine(server: HubServer, slots: tuple[Slot, ...] | None = None) -> Iterator[Machine]:
    """A machine that has not begun; what is still alive at the end is ended."""
    # pytest's own folders can be entered by one user alone.
    home = Path(tempfile.mkdtemp(prefix="pawl-runner-test-"))
    home.chmod(0o711)
    made = Machine(repository(server.hub), server.hub, home, *([slots] if slots else []))
    try:
        yield made
    finally:
        if hasattr(made, "thread"):
            made.supervisor.ask_to_end()
            made.supervisor.ask_to_end()
            made.end()
        shutil.rmtree(home)
