"""GitHub Actions around a hub: takes its jobs, and executes each of them with `act` as the workflow's file says.

A job runs in a process of its own, with its own token and its own empty workspace, as on GitHub. Its artifacts are uploaded
by GitHub's toolkit to act's server, and lie on the hub before the next job begins.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from action.act_tools import CHECKOUT_ACTION, act, pawl_action, upload_action
from pawl.localhub import HubServer

USES = "someone/pawl@0123456789abcdef0123456789abcdef01234567"
CHECKOUT = "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
UPLOAD = "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02"
RUNNERS = ("ubuntu-latest", "self-hosted")
TIMEOUT = 150


@dataclass(frozen=True)
class Done:
    """A job that has ended."""

    job: Mapping[str, Any]
    conclusion: str
    log: str
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The job's key in the workflow."""
        return str(self.job["job_name"])

    @property
    def summary(self) -> str:
        """What it added to its summary."""
        return "\n".join(re.findall(r"Summary - (.*?)(?=^\[)", self.log, re.DOTALL | re.MULTILINE))


class Act:
    """A fleet of runners for a hub's repositories.

    Args:
        server: the hub.
        home: an empty folder.
        secrets: what the repository keeps as secrets, by name.
    """

    def __init__(self, server: HubServer, home: Path, secrets: Mapping[str, str]) -> None:
        self.server, self.home, self.secrets = server, home, dict(secrets)
        self.service, self.artifacts = server.hub.service, server.hub.artifacts
        self.environment: dict[str, str] = {"PAWL_PYTHON": sys.executable}
        """Of every runner."""
        self._results: dict[int, dict[str, str]] = {}
        """Conclusions by workflow run and job."""
        self.heard: Callable[[int, str], None] = lambda act, line: None
        """Called with act's process id and every line of its log, as it comes."""
        home.mkdir(parents=True, exist_ok=True)
        self.checkout = home / "checkout"
        self.checkout.mkdir()
        (self.checkout / "action.yml").write_text(CHECKOUT_ACTION)
        for label in RUNNERS:
            self.service.register_runner(label, [label])

    def work(self) -> Done | None:
        """Execute the job that has waited longest; none if none waits."""
        for label in RUNNERS:
            job = self.service.acquire_job(label)
            if job is not None:
                return self.execute(job)
        return None

    def work_all(self, most: int = 40) -> list[Done]:
        """Execute jobs until none waits."""
        done: list[Done] = []
        while (job := self.work()) is not None:
            done.append(job)
            assert len(done) < most, [f"{item.name}: {item.conclusion}" for item in done]
        return done

    def execute(self, job: Mapping[str, Any]) -> Done:
        """Execute a job that was taken."""
        self.service.start_job(job["job_id"])
        folder = self.home / str(job["job_id"])
        work = folder / "work"
        work.mkdir(parents=True)
        hub = self.server.hub
        repository = hub.repository(job["repository"])
        entry = hub.git(repository).entry(job["head_sha"], job["workflow_path"])
        assert entry is not None
        workflow = folder / "workflow.yml"
        workflow.write_text(self._only(hub.git(repository).blob(entry.sha).decode(), job))
        event = folder / "event.json"
        event.write_text(json.dumps(self.event(job)))
        _pretend_clone(work, job)
        log, code = self._act(job, folder, workflow, event, work)
        self._hand_in(job, folder / "artifacts")
        cancelled = self.service.cancel_requested(job["job_id"])
        conclusion = "cancelled" if cancelled else "success" if code == 0 else "failure"
        self._results.setdefault(job["run_id"], {})[job["job_name"]] = conclusion
        self.service.append_log(job["job_id"], log)
        self.service.complete_job(job["job_id"], conclusion)
        return Done(job, conclusion, log, _outputs(log))

    def event(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The payload that started a job's workflow run."""
        return {
            "inputs": job["inputs"],
            "repository": {"full_name": job["repository"], "default_branch": "main"},
        }

    def _only(self, text: str, job: Mapping[str, Any]) -> str:
        """The workflow with this job alone, and what it needs from others filled in, as GitHub does."""
        yaml = YAML()
        found = yaml.load(text)
        mine = found["jobs"][job["job_name"]]
        for key in ("needs", "if", "concurrency"):
            mine.pop(key, None)
        found["jobs"] = {job["job_name"]: mine}
        out = io.StringIO()
        yaml.dump(found, out)
        results = self._results.get(job["run_id"], {})
        return re.sub(
            r"\$\{\{ needs\.([a-z]+)\.result \}\}",
            lambda match: results.get(match[1], "skipped"),
            out.getvalue(),
        )

    def _act(
        self, job: Mapping[str, Any], folder: Path, workflow: Path, event: Path, work: Path
    ) -> tuple[str, int]:
        home = folder / "home"
        (home / ".config/act").mkdir(parents=True)
        (home / ".config/act/actrc").touch()
        given = {
            "GITHUB_API_URL": self.server.api_url,
            "HUB_URL": self.server.url,
            "HUB_SHA": job["head_sha"],
            "GITHUB_RUN_ID": str(job["run_id"]),
            "GITHUB_RUN_ATTEMPT": str(job["run_attempt"]),
            "PAWL_SECONDS_BETWEEN_WRITES": "0",
            **self.environment,
        }
        local = {USES: pawl_action(), CHECKOUT: self.checkout, UPLOAD: upload_action()}
        secrets = {**self.secrets, "GITHUB_TOKEN": job["token"]}
        command = [
            act(), job["event"], "-W", str(workflow), "-C", str(work), "-e", str(event), "--pull=false",
            "--action-offline-mode", "--no-cache-server", "--no-skip-checkout",
            "--artifact-server-path", str(folder / "artifacts"), "--artifact-server-addr", "127.0.0.1",
            "--artifact-server-port", str(_free_port()),
            *[word for label in RUNNERS for word in ("-P", f"{label}=-self-hosted")],
            *[word for name, value in given.items() for word in ("--env", f"{name}={value}")],
            *[word for name, path in local.items() for word in ("--local-repository", f"{name}={path}")],
            *[word for name, value in secrets.items() for word in ("-s", f"{name}={value}")],
        ]  # fmt: skip
        # Its tool cache is below; nothing else of this machine reaches a job.
        outside = {"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CACHE_HOME": str(self.home / "cache")}
        with subprocess.Popen(
            command, env=outside, cwd=work, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as process:  # fmt: skip
            late = threading.Timer(TIMEOUT, process.kill)
            late.start()
            try:
                lines = []
                assert process.stdout is not None
                for line in process.stdout:
                    lines.append(line)
                    self.heard(process.pid, line)
            finally:
                late.cancel()
        return "".join(lines), process.returncode

    def _hand_in(self, job: Mapping[str, Any], artifacts: Path) -> None:
        for path in sorted(artifacts.rglob("*.zip")):
            self.artifacts.upload(job["job_id"], path.stem, path.read_bytes(), overwrite=True)
        shutil.rmtree(artifacts, ignore_errors=True)


def step_below(act: int) -> int:
    """The process of the step of act's that uses Pawl: what GitHub's runner signals where a job is cancelled."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[2:5] == [b"-m", b"pawl", b"action"] and act in _ancestors(int(folder.name)):
            return int(folder.name)
    raise AssertionError(f"no step runs below the process {act}")


def _ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        try:
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            break
        found.append(process)
    return found


def _pretend_clone(work: Path, job: Mapping[str, Any]) -> None:
    """A clone as `act` wants to see one where it is started: it reads the repository's name and commit there."""
    for words in (
        ["init", "--quiet", "--initial-branch=main"],
        ["remote", "add", "origin", f"https://github.com/{job['repository']}.git"],
        [
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "--quiet",
            "--allow-empty",
            "-m",
            "x",
        ],
    ):
        subprocess.run(["git", "-C", str(work), *words], check=True, capture_output=True)


def _outputs(log: str) -> dict[str, str]:
    return dict(re.findall(r"::set-output:: ([a-z-]+)=(.*)", log))


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
