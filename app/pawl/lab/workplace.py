"""Where a measuring job keeps its files: a cache for all jobs of this user, and a private folder for each."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pawl.lab.locks import try_lock
from pawl.lab.tree import remove


def default_cache() -> Path:
    """Where setups and working folders live: ``$XDG_CACHE_HOME/pawl``, by default ``~/.cache/pawl``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "pawl"


@contextlib.contextmanager
def workplace(top: Path) -> Iterator[Path]:
    """A private folder for one measuring job. Those of dead jobs are cleared away first."""
    top.mkdir(parents=True, exist_ok=True, mode=0o700)
    for found in top.glob("*.lock"):
        if (handle := try_lock(found)) is not None:
            remove(found.with_suffix(""))
            found.unlink(missing_ok=True)
            os.close(handle)
    work = Path(tempfile.mkdtemp(prefix="job-", dir=top)).resolve()
    lock = work.with_name(work.name + ".lock")
    handle = try_lock(lock)
    try:
        yield work
    finally:
        remove(work)
        lock.unlink(missing_ok=True)
        if handle is not None:
            os.close(handle)
