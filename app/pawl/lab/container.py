"""The docker sandbox: every job in a container of its own, without network, powers or a writable system.

Containers see what is mounted and nothing else of this machine. They are removed in every case; those of a measuring process
that was killed are removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import platform
import selectors
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pawl.lab import keeper
from pawl.lab.errors import Refused
from pawl.lab.output import Capture, one_line
from pawl.lab.process import DISK_RESERVE, POLL_SECONDS, THREADS, resident
from pawl.lab.sandbox import HOME, WORKSPACE, Ended, Job, Mount, Outcome, Stop

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NOBODY = 65534
LABEL = "pawl.lab"
STATS_SECONDS = 0.5
PATIENCE = 30.0
"""Seconds the engine gets to kill a container."""


class ContainerSandbox:
    """Runs jobs as containers of the local Docker Engine.

    Args:
        stop: ends the running job when it is set.
        cores: the cores containers are bound to; all if empty.
        image: id of the image. It may be set later, before the first job.

    Raises:
        Refused: no engine answers.
    """

    kind: Literal["docker"] = "docker"
    caveats: tuple[str, ...] = ()

    def __init__(self, stop: Stop, cores: tuple[int, ...] = (), image: str = "") -> None:
        import docker
        from docker.errors import DockerException

        self._stop, self._cores, self.image = stop, cores, image
        try:
            self.client: DockerClient = docker.from_env(timeout=120)
            rootless = any("rootless" in option for option in self.client.info().get("SecurityOptions") or ())
            _remove_orphans(self.client)
        except (DockerException, OSError) as error:
            raise Refused(
                f"The loop runs in a container, but no Docker Engine answers here: {one_line(str(error), 200)}. "
                "Start Docker on the runner, and let its user reach it."
            ) from None
        # A rootless engine maps its root to this user, and nobody to somebody who may not write here.
        own = f"{os.getuid()}:{os.getgid()}" if os.getuid() else f"{NOBODY}:{NOBODY}"
        self._user = "0:0" if rootless else own

    def objection(self, mount: Mount) -> str:
        """A container can show anything anywhere."""
        return ""

    def close(self) -> None:
        """Give the connections to the engine back."""
        self.client.close()

    def run(self, job: Job) -> Ended:
        """Run a job to its end.

        Raises:
            RuntimeError: the engine failed.
            OSError: the folder could not be handed to the job.
        """
        from docker.errors import DockerException
        from requests.exceptions import RequestException

        self._hand_over(job)
        try:
            container = self.client.containers.create(**self._asked(job))
            try:
                return _Watch(self.client, container, job, self._stop).run()
            finally:
                container.remove(force=True, v=True)
        except (DockerException, RequestException) as error:
            raise RuntimeError(f"the Docker Engine failed: {one_line(str(error), 500)}") from None

    def _hand_over(self, job: Job) -> None:
        """The job's own user owns what it may write to."""
        if self._user != f"{NOBODY}:{NOBODY}":
            return
        folder = job.folder
        for top in (folder.tree, folder.home, folder.temporary, *(m.host for m in job.mounts if m.writable)):
            for path in (top, *top.rglob("*")):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)

    def _asked(self, job: Job) -> dict[str, Any]:
        """The container, as the engine is asked for it."""
        from docker.types import DeviceRequest, LogConfig, Ulimit

        limits, gpu = job.limits, [job.gpu] if job.gpu else []
        cores = self._cores if limits.cores else ()
        return {
            "image": self.image,
            "entrypoint": ["/bin/sh", "-c", job.command],
            "command": [],
            "name": f"pawl-{job.name}-{os.getpid()}-{time.monotonic_ns()}",
            "labels": {LABEL: _identity(os.getpid())},
            "user": self._user,
            "working_dir": f"{WORKSPACE}/{job.cwd}".rstrip("/"),
            "environment": self._environment(job),
            "mounts": list(_mounts(job)),
            "tmpfs": {} if job.trusted else {"/tmp": f"mode=1777,exec,size={limits.memory // 2}"},  # noqa: S108
            "shm_size": limits.memory // 2,
            "network_mode": "bridge" if job.network else "none",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "mem_limit": limits.memory,
            "memswap_limit": limits.memory,
            "pids_limit": keeper.PROCESSES,
            "nano_cpus": limits.cores * 10**9 or None,
            "cpuset_cpus": ",".join(map(str, cores)) or None,
            "ulimits": [
                Ulimit(name="core", soft=0, hard=0),
                Ulimit(name="fsize", soft=limits.file_bytes, hard=limits.file_bytes),
            ],
            "device_requests": [DeviceRequest(device_ids=gpu, capabilities=[["gpu"]])] if gpu else None,
            "log_config": LogConfig(type=LogConfig.types.NONE),
            "init": True,
            "stdin_open": False,
        }

    def _environment(self, job: Job) -> dict[str, str]:
        env = {
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "HOME": HOME,
            "TMPDIR": "/tmp",  # noqa: S108 - the container's own
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if not job.gpu:
            env["CUDA_VISIBLE_DEVICES"] = env["NVIDIA_VISIBLE_DEVICES"] = ""
        if job.limits.cores:
            env |= dict.fromkeys(THREADS, str(job.limits.cores))
        if job.packages:
            env["PYTHONPATH"] = ":".join(mount.inside for mount in job.packages)
            env["PATH"] = ":".join([*(f"{mount.inside}/bin" for mount in job.packages), self._path()])
        if job.network:
            env |= {name: value for name, value in os.environ.items() if name.upper().endswith("_PROXY")}
        given = {name: value if isinstance(value, str) else value.inside for name, value in job.env.items()}
        return env | given

    def _path(self) -> str:
        variables = self.client.images.get(self.image).attrs["Config"].get("Env") or []
        found = [line.removeprefix("PATH=") for line in variables if line.startswith("PATH=")]
        return found[0] if found else os.defpath


def _mounts(job: Job) -> Iterator[Any]:
    from docker.types import Mount as Bind

    folder = job.folder
    yield Bind(WORKSPACE, str(folder.tree), type="bind")
    yield Bind(HOME, str(folder.home), type="bind")
    if job.trusted:  # a setup may unpack more than memory holds
        yield Bind("/tmp", str(folder.temporary), type="bind")  # noqa: S108
    for mount in dict.fromkeys((*job.mounts, *job.packages)):
        yield Bind(mount.inside, str(mount.host), type="bind", read_only=not mount.writable)


@dataclass
class _Watch:
    """One container, from its start to its end."""

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
        wanted = {"stdout": 1, "stderr": 1, "stream": 1}
        stream = self.client.api.attach_socket(str(self.container.id), params=wanted)
        reading = threading.Thread(target=self._read, args=(stream,), daemon=True)
        reading.start()
        began = time.monotonic()
        self.container.start()
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
    inside = (end - start).total_seconds()
    return inside if outside - 5 < inside <= outside else outside


def _identity(pid: int) -> str:
    """Names a living process of this machine: a number alone is given again."""
    born = ""
    with contextlib.suppress(OSError, IndexError):
        born = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    return f"{platform.node()}/{pid}/{born}"


def _remove_orphans(client: DockerClient) -> None:
    """Containers whose measuring process, on this machine, is gone."""
    from docker.errors import DockerException

    for container in client.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True):
        node, pid, _ = container.labels[LABEL].rsplit("/", 2)
        if node == platform.node() and container.labels[LABEL] != _identity(int(pid)):
            with contextlib.suppress(DockerException):
                container.remove(force=True, v=True)
