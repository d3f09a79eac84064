"""What a measuring job is told beside its request, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pawl.core.measurement import Record, Request
from pawl.lab.sandbox import Stop
from pawl.lab.workplace import default_cache


@dataclass(frozen=True)
class Options:
    """How and where to measure."""

    out: Path
    """Folder for ``record.json``."""
    repo: Path = Path()
    """The repository whose objects hold the commits."""
    sandbox: Literal["process", "docker"] | None = None
    """None for what the loop's rules ask for."""
    cache: Path = field(default_factory=default_cache)
    """Setups, and private folders of running jobs. Not below a folder that runs may not see."""
    job: str = ""
    """Names this job in its runs: the workflow run's URL, say."""
    claim: Callable[[Request], str] = lambda request: ""
    """Asked once, before the first run: empty to go on, else why this attempt is not for this job."""
    progress: Callable[[str], None] = lambda sentence: None
    """Told what happens, in plain sentences for a log."""
    stop: Stop | None = None
    """For callers outside the main thread; in it, SIGTERM and SIGINT stop the job by themselves."""
    hidden: tuple[Path, ...] = ()
    """More paths of this machine that no run may see: the request's file, say."""
    restored: tuple[str, ...] | None = None
    """For a comparison: the candidate arm runs in its own tree, but for these globs, which are as in the base."""


@dataclass(frozen=True)
class Measured:
    """What became of a request."""

    record: Record
    path: Path
    """The record's file."""
    signal: int = 0
    """The signal that ended the job before its plan was; 0 if none did."""

    @property
    def exit_code(self) -> int:
        """0 when the record stands, refused or complete; 128 + signal when the job was stopped."""
        return 128 + self.signal if self.signal else 0
