"""Runs a program that is trusted with nothing: bounded in time, output and size of files, and dead afterwards as a whole."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

OUTPUT = 64 * 1024
"""Bytes of output that are kept, from the end of it."""
LARGEST_FILE = 256 * 2**20
"""Bytes of a file that it may write."""
GRACE = 2.0
"""Seconds between asking a program to end and killing it."""
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Ran:
    """How a program ended."""

    output: str
    exit_code: int | None
    """None where it was killed because its time was over."""
    seconds: float


def run_program(
    words: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    said: str,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> Ran:
    """Run a program in a folder, in a process group of its own.

    Args:
        words: the command.
        folder: where it runs.
        environment: all the variables it has.
        said: its standard input.
        seconds: after which it is killed.
        clock: seconds that only go forward.

    Raises:
        OSError: it cannot be started.
    """
    began = clock()
    reader, writer = os.pipe()
    try:
        # The keeper becomes the parent of whatever the program leaves behind, and takes all of it down at the end.
        process = subprocess.Popen(
            [sys.executable, "-I", __file__, *words],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=writer,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        os.close(writer)
    assert process.stdin is not None
    os.set_blocking(reader, False)
    os.set_blocking(process.stdin.fileno(), False)
    kept, late = _drained(process, reader, said.encode(), began + seconds, clock)
    with contextlib.suppress(OSError):
        process.stdin.close()
    os.close(reader)
    if late:
        _end(process)
    process.wait()
    code = None if late else process.returncode
    return Ran(kept.decode("utf-8", errors="replace"), code, clock() - began)


def _drained(
    process: subprocess.Popen[bytes], reader: int, said: bytes, deadline: float, clock: Callable[[], float]
) -> tuple[bytes, bool]:
    """The end of its output, and whether its time was over before it was. Nothing here waits for a pipe alone."""
    assert process.stdin is not None
    kept = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        if said:
            selector.register(process.stdin, selectors.EVENT_WRITE)
        else:
            process.stdin.close()
        while process.poll() is None:
            left = deadline - clock()
            if left <= 0:
                return bytes(kept[-OUTPUT:]), True
            for key, _ in selector.select(min(left, 0.2)):
                if key.fd == reader:
                    data = _read(reader)
                    kept += data
                    del kept[:-OUTPUT]
                    if not data:
                        selector.unregister(reader)
                elif not (said := _written(process, said)):
                    selector.unregister(process.stdin)
                    with contextlib.suppress(OSError):
                        process.stdin.close()
        while data := _read(reader):
            kept += data
            del kept[:-OUTPUT]
    return bytes(kept[-OUTPUT:]), False


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except BlockingIOError:
        return b""


def _written(process: subprocess.Popen[bytes], said: bytes) -> bytes:
    """What is still to be said."""
    assert process.stdin is not None
    try:
        return said[os.write(process.stdin.fileno(), said[:4096]) :]
    except BlockingIOError:
        return said
    except OSError:
        return b""  # it does not listen


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tell the keeper to end everything; it is not killed itself before it had the time to."""
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(GRACE + 3)
    process.kill()


# --- What follows runs in the keeper, a process of its own. ---


def _keep(words: Sequence[str]) -> int:
    """Run the program, and end with its exit code once nothing of it is left."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True

    signal.signal(signal.SIGTERM, stop)
    try:
        process = subprocess.Popen(words, preexec_fn=_limit, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{words[0]} cannot be started: {error.strerror}\n")
        return 127
    while process.poll() is None and not told:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.05)
    code = process.returncode
    _sweep(process.pid)
    return code if code is not None and code >= 0 else 128 - (code or 0)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _sweep(group: int) -> None:
    """End the program's group, then every process that has become our child because its parent is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
    end = time.monotonic() + GRACE
    while _reap() and time.monotonic() < end:
        time.sleep(0.02)
    for _ in range(1000):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        for child in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        if not _reap():
            return
        time.sleep(0.01)


def _reap() -> bool:
    """Collect children that have ended; whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return False
    return True


def _children() -> list[int]:
    """Our children, as Linux lists them; elsewhere there is the group alone."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except (OSError, ValueError):
        return []


if __name__ == "__main__":
    sys.exit(_keep(sys.argv[1:]))
