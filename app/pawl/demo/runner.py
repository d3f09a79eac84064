"""A self-hosted runner of one machine: takes a dispatched job, checks the base out, measures, uploads the record."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.localhub import Hub

ARTIFACT = "pawl-record"
HANDED_IN = ("record.json", "trajectories.json")
PID = "pid"
"""The file beside a record that names the process which writes it."""
POLL = 0.05
"""Seconds between two looks at whether a running job was cancelled."""
STOPPING = 20.0
"""Seconds a job gets to write its record down when it is stopped."""


@dataclass(frozen=True)
class Stint:
    """A job that has ended: its title, and when it was taken and given back, in seconds of one clock."""

    title: str
    began: float
    ended: float


@dataclass(frozen=True)
class Running:
    """The job that runs now."""

    title: str
    out: Path
    request: str


class LocalRunner:
    """Takes one job after another in a thread of its own.

    Args:
        hub: whose jobs to take.
        home: folder for clones and records.
        path: the jobs' PATH, on which runs find their `python`.
    """

    def __init__(self, hub: Hub, home: Path, path: str, name: str = "local") -> None:
        self._hub, self._home, self._path, self._name = hub, home, path, name
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runner", daemon=True)
        self.running: Running | None = None
        self.stints: list[Stint] = []

    def start(self) -> None:
        """Finish what a killed predecessor left behind, then take jobs."""
        self._home.mkdir(parents=True, exist_ok=True)
        self._hub.service.register_runner(self._name, ["self-hosted"])
        for job in self._hub.service.lost_jobs(self._name):
            end_orphan(self._out(job))
            self._hand_in(job, "cancelled")
        self._thread.start()

    def stop(self) -> None:
        """Stop the running job, which writes its record down first. Stopping what was never started does nothing."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(STOPPING + 5)

    def _work(self) -> None:
        while not self._stopped.is_set():
            job = self._hub.service.acquire_job(self._name, timeout=0.5)
            if job is not None:
                self._run(job)

    def _run(self, job: Mapping[str, Any]) -> None:
        conclusion, began = "failure", time.monotonic()
        try:
            self._hub.service.start_job(job["job_id"])
            clone = self._checkout(job)
            conclusion = self._measure(job, clone)
        except (OSError, subprocess.SubprocessError) as error:
            self._hub.service.append_log(job["job_id"], f"the runner failed: {error}\n")
        finally:
            self.running = None
            self._hand_in(job, conclusion)
            self.stints.append(Stint(job["inputs"].get("title", ""), began, time.monotonic()))

    def _out(self, job: Mapping[str, Any]) -> Path:
        return self._home / "records" / str(job["job_id"])

    def _checkout(self, job: Mapping[str, Any]) -> Path:
        """What actions/checkout does: the commit the job was dispatched on, with the job's read-only token."""
        clone: Path = self._home / "work" / job["repository"]
        environment = _git_environment(job)
        if not (clone / ".git").is_dir():
            clone.parent.mkdir(parents=True, exist_ok=True)
            self._git(None, "clone", "--quiet", job["clone_url"], str(clone), environment=environment)
        else:
            self._git(clone, "remote", "set-url", "origin", job["clone_url"], environment=environment)
            self._git(clone, "fetch", "--quiet", "origin", job["head_branch"], environment=environment)
        self._git(clone, "checkout", "--quiet", "--force", job["head_sha"], environment=environment)
        return clone

    def _git(self, clone: Path | None, *arguments: str, environment: Mapping[str, str]) -> None:
        where = ["-C", str(clone)] if clone else []
        subprocess.run(
            ["git", *where, *arguments], env=dict(environment), check=True, capture_output=True, timeout=120
        )

    def _measure(self, job: Mapping[str, Any], clone: Path) -> str:
        out = self._out(job)
        out.mkdir(parents=True, exist_ok=True)
        request = out / "request.json"
        request.write_text(job["inputs"]["request"], encoding="utf-8")
        self.running = Running(job["inputs"].get("title", ""), out, job["inputs"]["request"])
        command = [sys.executable, "-m", "pawl", "measure", "--request", str(request), "--out", str(out)]
        with (out / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--repo", str(clone)],
                env=self._environment(job),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
            (out / PID).write_text(str(process.pid), encoding="utf-8")
            cancelled = self._wait(job, process)
        text = (out / "log.txt").read_text(encoding="utf-8", errors="replace")
        self._hub.service.append_log(job["job_id"], text)
        if cancelled:
            return "cancelled"
        return "success" if process.returncode == 0 else "failure"

    def _wait(self, job: Mapping[str, Any], process: subprocess.Popen[bytes]) -> bool:
        """Until the job has ended; true if it was cancelled or this runner was stopped."""
        while process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(POLL)
            if self._stopped.is_set() or self._hub.service.cancel_requested(job["job_id"]):
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(STOPPING)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
                return True
        return False

    def _environment(self, job: Mapping[str, Any]) -> dict[str, str]:
        """What a job on GitHub's runner finds in its environment, as far as Pawl reads it."""
        kept = {
            name: os.environ[name]
            for name in ("HOME", "LANG", "TMPDIR", "XDG_CACHE_HOME")
            if name in os.environ
        }
        return {
            **kept,
            "PATH": self._path,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": job["api_url"],
            "GITHUB_REPOSITORY": job["repository"],
            "GITHUB_RUN_ID": str(job["run_id"]),
            "GITHUB_TOKEN": job["token"],
        }

    def _hand_in(self, job: Mapping[str, Any], conclusion: str) -> None:
        """Upload the record, and trajectories, if there are any, whatever became of the job; then say that it is over."""
        files = {name: self._out(job) / name for name in HANDED_IN}
        found = {name: path.read_bytes() for name, path in files.items() if path.is_file()}
        if found:
            self._hub.artifacts.upload(job["job_id"], ARTIFACT, found, overwrite=True)
        self._hub.service.complete_job(job["job_id"], conclusion)


def end_orphan(out: Path) -> None:
    """End the measurement that a killed runner has left behind, so that its record holds every run it has started.

    A process that only has the same number by now is left alone: it does not name this folder.
    """
    try:
        pid = int((out / PID).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for number, patience in ((signal.SIGTERM, STOPPING), (signal.SIGKILL, STOPPING)):
        if not _measures(pid, out):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        until = time.monotonic() + patience
        while _measures(pid, out) and time.monotonic() < until:
            time.sleep(POLL)


def _measures(pid: int, out: Path) -> bool:
    """Whether a process lives that was told to measure into a folder."""
    if Path("/proc/self/cmdline").exists():  # not every Linux has ps
        with contextlib.suppress(OSError):
            return os.fsencode(out) in Path(f"/proc/{pid}/cmdline").read_bytes()  # a zombie's is empty
        return False
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return (
        str(out)
        in subprocess.run(asked, capture_output=True, text=True, check=False, errors="replace").stdout
    )


def _git_environment(job: Mapping[str, Any]) -> dict[str, str]:
    """Git's environment for one job: nothing of the user's configuration, and the token outside of any argument list."""
    credentials = base64.b64encode(f"x-access-token:{job['token']}".encode()).decode()
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraheader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {credentials}",
    }
