"""The runner of a stranger's jobs in this process, so that a test decides what each of them hands in and how it ends."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from action.act_kit import RUNNERS
from action.stranger import NAME, SECRETS, TUNE, Stranger, job_environment
from pawl.commands.action import run_action
from pawl.core.measurement import Request
from pawl.localhub import HubServer

EDIT = {"content": TUNE.replace("STEP = 1.0", "STEP = 3.0"), "hypothesis": "Shorter", "proposer": "command"}


class Jobs:
    """A stranger's repository whose jobs this test is the runner of; each step that uses the Action runs in this process."""

    def __init__(self, server: HubServer, folder: Path) -> None:
        self.stranger, self.server, self.folder = Stranger(server), server, folder
        self.service, self.artifacts = server.hub.service, server.hub.artifacts
        self.waiting: list[Any] = []
        for label in RUNNERS:
            self.service.register_runner(label, [label])

    def next(self, name: str, run: int = 0) -> Any:
        """The next job of this name, of a workflow run if one is named, begun; others wait meanwhile."""
        found = self._waiting_for(name, run)
        while not found and (ahead := [job for job in self.waiting if job["job_name"] == name != "measure"]):
            # Jobs of its group come first, and no test asks for them: their runner is lost.
            self.waiting.remove(ahead[0])
            self.service.complete_job(ahead[0]["job_id"], "failure")
            found = self._waiting_for(name, run)
        assert found, f"{name} does not wait, but {[job['job_name'] for job in self.waiting]}"
        self.waiting.remove(found[0])
        self.service.start_job(found[0]["job_id"])
        return found[0]

    def _waiting_for(self, name: str, run: int) -> list[Any]:
        for label in RUNNERS:
            while (job := self.service.acquire_job(label)) is not None:
                self.waiting.append(job)
        return [job for job in self.waiting if job["job_name"] == name and run in (0, job["run_id"])]

    def use(self, job: Any, **inputs: str) -> int:
        """One step of a job that uses the Action; its exit code."""
        folder = self.folder / str(job["job_id"])
        environment = {**job_environment(job, self.server, folder, **inputs), **SECRETS}
        return run_action(environment)

    def conclude(self, run: int, **inputs: str) -> int:
        """The job that concludes a workflow run, whole."""
        job = self.next("conclude", run)
        code = self.use(job, command="step", **inputs)
        self.service.complete_job(job["job_id"], "success" if code == 0 else "failure")
        return code

    def propose(self, artifact: bytes | dict[str, bytes] | None = None) -> int:
        """A turn whose proposing job hands in what it likes."""
        job = self.next("propose", self.stranger.dispatch()["id"])
        if artifact is not None:
            self.artifacts.upload(job["job_id"], "pawl-proposal", artifact)
        self.service.complete_job(job["job_id"], "success")
        return self.conclude(job["run_id"], proposed="success")

    def begin(self) -> None:
        """To the point where the loop's first calibration waits for its runner."""
        assert self.propose({"proposal.json": handover()}) == 0

    def measuring(self) -> tuple[Any, Request]:
        """The next measuring job and its request."""
        job = self.next("measure")
        return job, Request.model_validate_json(job["inputs"]["request"])

    def measure(self, job: Any) -> dict[str, bytes]:
        """What a measuring job really measures; it is neither handed in nor is the job ended."""
        folder = self.folder / str(job["job_id"])
        environment = job_environment(
            job, self.server, folder, command="measure", request=job["inputs"]["request"]
        )
        address = job["clone_url"].replace("://", f"://x-access-token:{job['token']}@")
        subprocess.run(["git", "clone", "--quiet", address, str(folder / "work")], check=True)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():  # what measures asks GitHub by the job's own environment
                patch.setenv(name, value)
            run_action({**environment, "GITHUB_WORKSPACE": str(folder / "work")})
        return {"record.json": (folder / "pawl" / "record.json").read_bytes()}

    def end(self, job: Any, artifact: bytes | dict[str, bytes] | None, how: str = "success") -> int | None:
        """Let a measuring job hand in what it likes, and its run be concluded; gives the artifact's number."""
        handed = self.leave(job, artifact, how)
        assert self.conclude(job["run_id"], measured=how) == 0
        return handed

    def leave(self, job: Any, artifact: bytes | dict[str, bytes] | None, how: str = "success") -> int | None:
        """The same, with nobody who concludes yet."""
        handed = None
        if artifact is not None:
            handed = self.artifacts.upload(job["job_id"], "pawl-record", artifact)
        self.service.complete_job(job["job_id"], how)
        return handed

    def experiment(self) -> tuple[Any, Request]:
        """The measuring job of the first experiment, behind the calibration that it needs."""
        self.begin()
        job, _ = self.measuring()
        self.end(job, self.measure(job))
        proposal = {"loop": "tune", "number": 1, "base": self.stranger.tip(), "edit": EDIT}
        assert self.propose({"proposal.json": handover(proposals=[proposal])}) == 0
        job, request = self.measuring()
        assert request.key == "1.1"
        return job, request


def handover(**changed: Any) -> bytes:
    """A file of proposals."""
    return json.dumps({"version": 1, "repository": NAME, "proposals": [], **changed}).encode()
