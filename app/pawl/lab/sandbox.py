"""What a sandbox is: one job in, how it ended out. The two kinds are `process` and `container`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Literal, Protocol, Self

WORKSPACE = "/workspace"
"""Where a container sees the tree, and the name of the tree in `Mount.inside`."""
HOME = "/home/pawl"
"""Likewise, of the job's own home."""

POLL_SECONDS = 0.05
"""How often memory, processes and disk are looked at. The end of a job is an event, and needs no polling."""
DISK_RESERVE = 512 * 2**20
"""Bytes that must stay free on the disk of the workspace."""

Outcome = Literal["exited", "timeout", "memory", "disk", "processes", "stopped"]


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host that a job sees, read-only unless it says otherwise."""

    host: Path
    inside: str
    """Where a container sees it. The process sandbox shows it where it is, or as a link below the tree or the home."""
    writable: bool = False


@dataclass(frozen=True)
class Limits:
    """What one job may take."""

    seconds: float
    memory: int
    """Bytes of all its processes together."""
    cores: int = 1
    """0 for all there are."""
    file_bytes: int = 64 * 2**30
    """Size of the largest single file."""


@dataclass(frozen=True)
class Folder:
    """The private folder of one job: its tree, its home and its temporary files, gone when it ends."""

    top: Path

    @property
    def tree(self) -> Path:
        """The job's own copy of the tree."""
        return self.top / "tree"

    @property
    def home(self) -> Path:
        """The job's HOME."""
        return self.top / "home"

    @property
    def temporary(self) -> Path:
        """The job's TMPDIR."""
        return self.top / "tmp"


@dataclass(frozen=True)
class Job:
    """One command, and everything it may see."""

    name: str
    command: str
    """Run by ``/bin/sh -c``. It is base code: nothing of a candidate is ever part of it."""
    folder: Folder
    cwd: str
    """Relative to the tree."""
    limits: Limits
    env: Mapping[str, str | Mount] = field(default_factory=dict)
    """What it gets beside the sandbox's own variables; a mount stands for the path at which the job sees it."""
    mounts: tuple[Mount, ...] = ()
    packages: tuple[Mount, ...] = ()
    """Folders of Python packages, for PYTHONPATH and, their ``bin``, for PATH."""
    hidden: tuple[Path, ...] = ()
    """Paths of the host to cover where the sandbox does not start from nothing."""
    gpu: str = ""
    """UUID of the one GPU it may use."""
    network: bool = False
    trusted: bool = False
    """Keeps the user's powers. For setups, which unpack and compile as the user would."""
    apart: bool = False
    """Keeps standard error out of `Ended.output`."""


@dataclass(frozen=True)
class Ended:
    """How a job ended. By then every process it started is dead."""

    outcome: Outcome
    exit_code: int | None
    """None when it was killed from outside; negative for a signal."""
    seconds: float
    """Wall time from its start to its end, by the host's monotonic clock."""
    output: str
    errors: str = ""
    """Standard error, where the job keeps it apart."""
    peak_memory: int = 0
    """Bytes."""
    cpu_seconds: float = 0.0
    note: str = ""
    """Something else a person should know."""

    @property
    def log(self) -> str:
        """Everything that was printed."""
        return f"{self.output}\n{self.errors}" if self.errors else self.output


class Sandbox(Protocol):
    """Runs jobs, one at a time."""

    def beside(self, stop: Stop) -> Sandbox:
        """Another one just like this, for a job that runs at the same time and is stopped on its own."""
        ...

    @property
    def kind(self) -> Literal["process", "docker"]:
        """As the record's environment names it."""
        ...

    @property
    def caveats(self) -> tuple[str, ...]:
        """What this sandbox cannot enforce on this machine, as sentences."""
        ...

    def objection(self, mount: Mount) -> str:
        """Why this sandbox cannot show that mount; empty if it can."""
        ...

    def close(self) -> None:
        """Give back what it holds of the machine."""
        ...

    def run(self, job: Job) -> Ended:
        """Run a job to its end. Nothing of it is alive afterwards.

        Raises:
            OSError, RuntimeError: the sandbox itself failed; the job says nothing about its code.
        """
        ...


class Stop:
    """Tells a measuring job to stop, from a signal handler or another thread.

    As a context manager it stops on SIGTERM and SIGINT (main thread only, and the handlers are put back).
    """

    def __init__(self) -> None:
        self._reader, self._writer = (
            os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK) if hasattr(os, "pipe2") else os.pipe()
        )
        self.signal = 0
        """The signal's number; 0 while nobody asked to stop."""
        self._before: dict[int, Any] = {}

    def set(self, number: int = signal.SIGTERM) -> None:
        """Ask to stop."""
        if not self.signal:
            self.signal = int(number)
            os.write(self._writer, b"!")

    def fileno(self) -> int:
        """Becomes readable, and stays so, when stop is asked for."""
        return self._reader

    def __bool__(self) -> bool:
        return self.signal != 0

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.set(number)

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def __del__(self) -> None:
        os.close(self._reader)
        os.close(self._writer)
