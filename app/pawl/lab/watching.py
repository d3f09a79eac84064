"""One container, watched from its start to its end."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pawl.lab import keeper
from pawl.lab.memory import resident
from pawl.lab.output import Capture
from pawl.lab.sandbox import DISK_RESERVE, POLL_SECONDS, Ended, Job, Outcome, Stop

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

STATS_SECONDS = 0.5
CLOCKS_APART = 5.0
"""Seconds by which the engine's clock, which can be set, may differ from the monotonic one and be believed."""
PATIENCE = 30.0
"""Seconds the engine gets to kill a container."""


@dataclass
class Watch:
    """One container that was made and not started. `run` may be called once."""

    client: DockerClient
    container: Container
    job: Job
    stop: Stop
    outcome: Outcome = "exited"
    peak: int = 0
    cpu_seconds: float = 0.0
    output: Capture = field(default_factory=Capture)
    errors: Capture = field(default_factory=Capture)
    answer: list[int] = field(default_factory=list)

    def run(self) -> Ended:
        """Start it, and wait for its end.

        Raises:
            DockerException, RequestException: the engine failed.
            RuntimeError: the engine did not kill it.
        """
        wanted = {"stdout": 1, "stderr": 1, "stream": 1}
        stream = self.client.api.attach_socket(str(self.container.id), params=wanted)
        reading = threading.Thread(target=self._read, args=(stream,), daemon=True)
        reading.start()
        self.container.start()
        began = (
            time.monotonic()
        )  # making a container takes the engine up to a second, and none of it is the job's
        self._wait(began)
        seconds = time.monotonic() - began
        reading.join(PATIENCE)
        self.container.reload()
        state = self.container.attrs["State"]
        code = int(state["ExitCode"])
        note = ""
        if state.get("OOMKilled") and self.outcome == "exited":
            if code != 0:
                self.outcome = "memory"
            else:
                note = "a process that the job had started was killed for want of memory; the job itself ended well"
        return Ended(
            outcome=self.outcome,
            exit_code=code if self.outcome == "exited" else None,
            seconds=_engine_seconds(state, seconds),
            output=self.output.text,
            errors=self.errors.text,
            peak_memory=self.peak,
            cpu_seconds=self.cpu_seconds,
            note=note,
        )

    def _read(self, stream: Any) -> None:
        from docker.utils.socket import STDERR, frames_iter

        try:
            for kind, data in frames_iter(stream, tty=False):  # type: ignore[no-untyped-call]
                (self.errors if kind == STDERR and self.job.apart else self.output).feed(data)
        except (OSError, ValueError):
            pass  # cut off: what came so far is there
        finally:
            # The SDK keeps the HTTP response in the socket; closing that one closes both.
            stream._response.close()

    def _wait(self, began: float) -> None:
        """Until the container has ended, or was killed for one of its limits."""
        reader, writer = os.pipe()
        waiting = threading.Thread(target=self._wait_for_engine, args=(writer,), daemon=True)
        waiting.start()
        self.container.reload()
        pid = int(self.container.attrs["State"].get("Pid") or 0)
        stats_at = killed_at = 0.0
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(reader, selectors.EVENT_READ)
                selector.register(self.stop, selectors.EVENT_READ)
                while waiting.is_alive():
                    for key, _ in selector.select(POLL_SECONDS):
                        if key.fileobj is self.stop:
                            selector.unregister(self.stop)
                            self.outcome = "stopped"
                    now = time.monotonic()
                    self._look(pid, now - began)
                    if now >= stats_at:
                        stats_at = now + STATS_SECONDS
                        self._ask_stats(has_pid=pid > 0)
                    if self.outcome != "exited" and not killed_at:
                        killed_at = now
                        self._kill()
                    if killed_at and now - killed_at > PATIENCE:
                        raise RuntimeError("the Docker Engine did not kill a container")
        finally:
            if not waiting.is_alive():
                os.close(writer)
            os.close(reader)

    def _wait_for_engine(self, writer: int) -> None:
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        deadline = time.monotonic() + self.job.limits.seconds + 2 * PATIENCE
        while time.monotonic() < deadline:
            # The engine's answer can be cut off, or time out (ConnectionError or ReadTimeout): then it is asked again.
            with contextlib.suppress(DockerException, RequestException):
                self.container.wait(timeout=60)
                break
        with contextlib.suppress(OSError):
            os.write(writer, b"!")

    def _kill(self) -> None:
        from docker.errors import APIError

        with contextlib.suppress(APIError):  # it ended by itself just now
            self.container.kill()

    def _look(self, pid: int, elapsed: float) -> None:
        if self.outcome == "exited":
            if elapsed > self.job.limits.seconds:
                self.outcome = "timeout"
            elif shutil.disk_usage(self.job.folder.top).free < DISK_RESERVE:
                self.outcome = "disk"
        if pid:
            self.peak = max(self.peak, resident(keeper.descendants(pid)))

    def _ask_stats(self, has_pid: bool) -> None:
        """CPU time; and memory, cache included, where the container's processes are not this machine's to see."""
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        with contextlib.suppress(DockerException, RequestException, KeyError, TypeError):
            stats = self.client.api.stats(str(self.container.id), stream=False, one_shot=True)
            self.cpu_seconds = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
            if not has_pid or not self.peak:
                self.peak = max(self.peak, int(stats["memory_stats"].get("usage", 0)))


def _engine_seconds(state: dict[str, Any], outside: float) -> float:
    """Wall time of the container by the engine, which leaves out what making and removing it took; ours if that is odd."""
    try:
        # Nanoseconds, which datetime cannot read: "2026-11-22T23:08:13.123456789Z"
        start, end = (
            datetime.fromisoformat(state[name].rstrip("Z")[:26].ljust(26, "0"))
            for name in ("StartedAt", "FinishedAt")
        )
    except ValueError:
        return outside
    # The engine stamps both from outside: a container that ends at once can have ended a moment before it started.
    inside = max(0.0, (end - start).total_seconds())
    return inside if abs(inside - outside) < CLOCKS_APART else outside
