"""Where a measuring job keeps its files: a cache for all jobs of this user, and a private folder for each."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pawl.lab.locks import try_lock
from pawl.lab.tree import remove


def default_cache() -> Path:
    """Where setups and working folders live: ``$XDG_CACHE_HOME/pawl``, by default ``~/.cache/pawl``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pawl"


@dataclass(frozen=True)
class Workplace:
    """The folders of one measuring job."""

    private: Path
    """The base's tree, artifacts and evaluators: below a folder that is hidden from all candidates."""
    runs: Path
    """Candidates' own folders."""


@contextlib.contextmanager
def workplace(cache: Path) -> Iterator[Workplace]:
    """Private folders for one measuring job. Those of dead jobs are cleared away first."""
    locks, tops = cache / "locks", (private_top(cache), cache / "runs")
    for top in tops:
        top.mkdir(parents=True, exist_ok=True, mode=0o700)
    for lock in locks.glob("job-*"):
        if (handle := try_lock(lock)) is not None:
            _clear(lock, tops)
            os.close(handle)
    work = Path(tempfile.mkdtemp(prefix="job-", dir=tops[0]))
    lock = locks / work.name
    handle = try_lock(lock)
    assert handle is not None  # the name is new
    try:
        yield Workplace(work, tops[1] / work.name)
    finally:
        _clear(lock, tops)
        os.close(handle)


def private_top(cache: Path) -> Path:
    """What no candidate may see of any measuring job."""
    return cache / "work"


def _clear(lock: Path, tops: Iterable[Path]) -> None:
    for top in tops:
        remove(top / lock.name)
    lock.unlink(missing_ok=True)
