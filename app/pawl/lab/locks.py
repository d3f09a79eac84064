"""Locks on files: held by an open descriptor, so a process that dies gives them back."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pawl.lab.errors import Stopped
from pawl.lab.sandbox import Stop

WAIT_SECONDS = 0.1


def try_lock(path: Path) -> int | None:
    """A descriptor that holds the lock until it is closed; None while somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle


@contextmanager
def locked(path: Path, stop: Stop) -> Iterator[None]:
    """Hold a lock, waiting for it as long as it takes.

    Raises:
        Stopped: stop was asked for while waiting.
    """
    while (handle := try_lock(path)) is None:
        if stop:
            raise Stopped
        time.sleep(WAIT_SECONDS)
    try:
        yield
    finally:
        os.close(handle)
