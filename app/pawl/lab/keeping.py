"""One job of the process sandbox, watched from its start until it and all it started are dead."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from pawl.lab import keeper
from pawl.lab.memory import proportional, resident
from pawl.lab.output import Capture
from pawl.lab.sandbox import DISK_RESERVE, POLL_SECONDS, Ended, Job, Outcome, Stop

PATIENCE = 10.0
"""Seconds a keeper gets to kill what it keeps, before it is killed itself."""


@dataclass
class Keeping:
    """One job under its keeper. `run` may be called once."""

    job: Job
    stop: Stop
    spec: dict[str, Any]
    env: dict[str, str]
    started: float = 0.0
    ended: float = 0.0
    exit_code: int | None = None
    cpu_seconds: float = 0.0
    peak: int = 0
    failed: str = ""
    outcome: Outcome = "exited"
    seen: set[int] = field(default_factory=set)
    output: Capture = field(default_factory=Capture)
    errors: Capture = field(default_factory=Capture)

    def run(self) -> Ended:
        """Run it to its end.

        Raises:
            RuntimeError: the keeper could not start it.
        """
        reader, writer = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, str(writer)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if self.job.apart else subprocess.STDOUT,
                env=self.env,
                cwd="/",
                pass_fds=[writer],
                start_new_session=True,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        with process, os.fdopen(reader, "rb", buffering=0) as status:
            try:
                self._hand_over(process)
                self._watch(process, status)
            finally:
                self._bury(process)
            self._drain(process)
        if self.failed or not self.started:
            raise RuntimeError(
                f"the process sandbox could not start the job: {self.failed or 'its keeper died'}"
            )
        end = self.ended or time.monotonic()
        killed = self.outcome != "exited"
        return Ended(
            outcome=self.outcome,
            exit_code=None if killed else self.exit_code,
            seconds=max(0.0, end - self.started),
            output=self.output.text,
            errors=self.errors.text,
            peak_memory=self.peak,
            cpu_seconds=self.cpu_seconds,
        )

    def _hand_over(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps(self.spec).encode())

    def _watch(self, process: subprocess.Popen[bytes], status: IO[bytes]) -> None:
        """Until the keeper has closed its status: by then all it kept is dead."""
        with selectors.DefaultSelector() as selector:
            for stream, capture in self._streams(process):
                os.set_blocking(stream.fileno(), False)
                selector.register(stream, selectors.EVENT_READ, capture)
            selector.register(status, selectors.EVENT_READ, None)
            selector.register(self.stop, selectors.EVENT_READ, None)
            told_at = look_at = 0.0
            pending = b""
            while True:
                for key, _ in selector.select(POLL_SECONDS):
                    if key.fileobj is status:
                        data = os.read(status.fileno(), 65536)
                        if not data:
                            return
                        *complete, pending = (pending + data).split(b"\n")
                        for line in complete:
                            self._told(json.loads(line))
                    elif key.fileobj is self.stop:
                        selector.unregister(self.stop)
                        self._decide("stopped")
                    elif not _take(key.fd, key.data):
                        selector.unregister(key.fileobj)
                now = time.monotonic()
                if now >= look_at:
                    look_at = now + POLL_SECONDS
                    self._look(process.pid, now)
                if self.outcome != "exited":
                    # Again and again: the first signal may come before the keeper can handle it.
                    if not told_at:
                        told_at = now
                    if now - told_at > PATIENCE:
                        return
                    process.send_signal(signal.SIGTERM)

    def _streams(self, process: subprocess.Popen[bytes]) -> Iterator[tuple[IO[bytes], Capture]]:
        for stream, capture in ((process.stdout, self.output), (process.stderr, self.errors)):
            if stream is not None:
                yield stream, capture

    def _told(self, what: dict[str, Any]) -> None:
        match what["at"]:
            case "started":
                self.started = what["clock"]
            case "ended":
                self.ended, self.exit_code = what["clock"], what["code"]
            case "failed":
                self.failed = what["error"]
            case "dead":
                self.cpu_seconds = what["cpu"]
                self.peak = max(self.peak, what["peak"])

    def _decide(self, outcome: Outcome) -> None:
        """The first reason to kill a job counts, and none counts after its end."""
        if self.outcome == "exited" and not self.ended:
            self.outcome = outcome

    def _look(self, keeper_pid: int, now: float) -> None:
        if self.started and now > self.started + self.job.limits.seconds:
            self._decide("timeout")
        below = keeper.descendants(keeper_pid)
        self.seen.update(below)
        below = (
            below[1:] if self.spec["isolated"] else below
        )  # the first is the namespaces' init: the keeper's own
        if len(below) > keeper.PROCESSES:
            self._decide("processes")
        used = resident(below)
        if used > self.job.limits.memory:
            used = proportional(below)
        self.peak = max(self.peak, used)
        if used > self.job.limits.memory:
            self._decide("memory")
        if shutil.disk_usage(self.job.folder.top).free < DISK_RESERVE:
            self._decide("disk")

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        """A keeper that closed its status exits by itself. One that was killed, or hangs, leaves its orphans to us."""
        try:
            process.wait(1.0 if self.outcome == "exited" else 0.1)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.returncode == 0 or not keeper.LINUX:
            return
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            orphans = self._orphans()
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if not orphans:
                return
            time.sleep(0.002)

    def _orphans(self) -> list[int]:
        """Children of this process that its job left: in no session of ours, or seen below the keeper before."""
        own = os.getsid(0)
        found = []
        for pid in keeper.descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if pid in self.seen and os.getsid(pid) != own:
                    found.append(pid)
        return found

    def _drain(self, process: subprocess.Popen[bytes]) -> None:
        for stream, capture in self._streams(process):
            while _take(stream.fileno(), capture):
                pass


def _take(descriptor: int, capture: Capture) -> bool:
    """Read once; False at the end of the stream, or when there is nothing to read."""
    try:
        data = os.read(descriptor, 65536)
    except BlockingIOError:
        return False
    capture.feed(data)
    return bool(data)
