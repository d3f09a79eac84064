"""The process sandbox: jobs as processes of this machine, each under its own `keeper`.

With Linux namespaces (as root, or where ordinary users may make them) a job sees the host read-only, hidden paths covered,
no network, and its own processes alone. Without them it is held by limits and killed to the last process, but it can read
what the user can read: `caveats` says so.
"""

from __future__ import annotations

import contextlib
import functools
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
from pathlib import Path
from typing import IO, Any, Literal

from pawl.lab import keeper
from pawl.lab.output import Capture
from pawl.lab.sandbox import HOME, WORKSPACE, Ended, Job, Mount, Outcome, Stop

POLL_SECONDS = 0.05
"""How often memory, processes and disk are looked at. The end of a job is an event, and needs no polling."""
DISK_RESERVE = 512 * 2**20
"""Bytes that must stay free on the disk of the workspace."""
PATIENCE = 10.0
"""Seconds a keeper gets to kill what it keeps, before it is killed itself."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_INSTALLING = (
    "PIP_",
    "UV_",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
)


class ProcessSandbox:
    """Runs jobs as processes of this machine.

    Args:
        stop: ends the running job when it is set.
        cores: the cores that jobs are bound to; those this process may use if empty.
    """

    kind: Literal["process"] = "process"

    def __init__(self, stop: Stop, cores: tuple[int, ...] = (), isolated: bool | None = None) -> None:
        self._stop = stop
        self._cores = cores
        self.isolated = can_isolate() if isolated is None else isolated
        with contextlib.suppress(OSError):
            # Another process of the same user could else read this one's environment in /proc.
            keeper.prctl(keeper.PR_SET_DUMPABLE, 0)
            # Orphans of a keeper that was killed come here, and not to init.
            keeper.prctl(keeper.PR_SET_CHILD_SUBREAPER, 1)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is not enforced on this machine."""
        if self.isolated:
            return ()
        return (
            "This machine does not let Pawl make namespaces: a run can reach the network, write to data mounts, and read "
            "what this user can read. Use the docker sandbox, or run as a user who may make namespaces.",
        )

    def close(self) -> None:
        """Nothing to give back."""

    def objection(self, mount: Mount) -> str:
        """Only the tree and the home can hold links to other places."""
        if mount.inside == str(mount.host) or _below(mount.inside, WORKSPACE) or _below(mount.inside, HOME):
            return ""
        return (
            f"the process sandbox cannot show {mount.host} at {mount.inside}: use the same path on both sides, "
            "a path below ~ or relative to cwd, or the docker sandbox (run.image)"
        )

    def run(self, job: Job) -> Ended:
        """Run a job to its end.

        Raises:
            RuntimeError: the keeper could not start it.
            OSError: the folder or the processes could not be made.
        """
        for mount in job.mounts:
            _link(mount, job)
        keeping = _Keeping(job, self._stop, self._spec(job), environment(job))
        return keeping.run()

    def _spec(self, job: Job) -> dict[str, Any]:
        folder = job.folder
        writable = [folder.tree, folder.home, folder.temporary]
        writable += [mount.host for mount in job.mounts if mount.writable]
        return {
            "command": job.command,
            "cwd": str(folder.tree / job.cwd),
            "parent": os.getpid(),
            "isolated": self.isolated,
            "network": job.network,
            "writable": [str(path) for path in writable],
            "hidden": [str(path) for path in (*job.hidden, *_ENGINES)],
            "memory": job.limits.memory,
            "cores": list(self._cores) if job.limits.cores else [],
            "file_bytes": job.limits.file_bytes,
            "trusted": job.trusted,
        }


_ENGINES = (Path("/run/docker.sock"), Path("/run/containerd"), Path("/run/podman"))
"""Sockets behind which root of this machine is for the asking."""


def environment(job: Job) -> dict[str, str]:
    """A job's whole environment in the process sandbox: what it was given, and little of the host's."""
    binaries = [str(mount.host / "bin") for mount in job.packages]
    # The interpreter Pawl runs in comes last, for machines where no other python is on the PATH.
    path = os.pathsep.join([*binaries, os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    env = {
        "PATH": path,
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "HOME": str(job.folder.home),
        "TMPDIR": str(job.folder.temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CUDA_VISIBLE_DEVICES": job.gpu,
    }
    if job.limits.cores:
        env |= dict.fromkeys(THREADS, str(job.limits.cores))
    if job.packages:
        env["PYTHONPATH"] = os.pathsep.join(str(mount.host) for mount in job.packages)
    if job.network:
        env |= installing()
    return env | {name: seen(value, job) for name, value in job.env.items()}


def installing() -> dict[str, str]:
    """Variables of the host that say how packages are fetched here; for setups alone."""
    found = {name: value for name, value in os.environ.items() if name.upper().startswith(_INSTALLING)}
    user = Path("~/.config/pip/pip.conf").expanduser()
    if user.is_file():
        found.setdefault("PIP_CONFIG_FILE", str(user))
    return found


def seen(value: str | Mount, job: Job) -> str:
    """A variable's value as a job of the process sandbox sees it."""
    return value if isinstance(value, str) else str(_place(value, job))


def _below(path: str, top: str) -> bool:
    return path.startswith(top + "/")


def _place(mount: Mount, job: Job) -> Path:
    for top, folder in ((WORKSPACE, job.folder.tree), (HOME, job.folder.home)):
        if _below(mount.inside, top):
            return folder / mount.inside.removeprefix(top + "/")
    return mount.host


def _link(mount: Mount, job: Job) -> None:
    place = _place(mount, job)
    if place == mount.host:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)  # as a container's mount would cover it
    place.unlink(missing_ok=True)
    place.symlink_to(mount.host)


@dataclass
class _Keeping:
    """One job under its keeper, watched until both are gone."""

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


def resident(pids: list[int]) -> int:
    """Bytes of memory resident in these processes, shared pages counted once for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    return total * os.sysconf("SC_PAGESIZE")


def proportional(pids: list[int]) -> int:
    """Bytes of memory of these processes, shared pages divided among those who share them. Slow, and exact."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return total


@functools.cache
def can_isolate() -> bool:
    """Whether this user may make namespaces here. Tried once, with a job that does nothing."""
    if not keeper.LINUX:
        return False
    import tempfile

    with tempfile.TemporaryDirectory(prefix="pawl-probe-") as folder:
        spec = {
            "command": ":", "cwd": "/", "parent": os.getpid(), "isolated": True, "network": False,
            "writable": [folder], "hidden": [], "memory": 2**20, "cores": [], "file_bytes": 2**20, "trusted": False,
        }  # fmt: skip
        reader, writer = os.pipe()
        try:
            subprocess.run(
                [sys.executable, "-I", "-S", keeper.__file__, str(writer)],
                input=json.dumps(spec).encode(), pass_fds=[writer], capture_output=True, timeout=20, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        finally:
            os.close(writer)
            with os.fdopen(reader, "rb") as status:
                said = status.read()
        return b'"at": "ended", "code": 0' in said
