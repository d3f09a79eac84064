"""The task agent's model for one run: an address, or base code that serves it apart from the candidate.

Started afresh for every run, so that nothing of one arm is left for the other.
"""

from __future__ import annotations

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pawl.lab.bench import Bench
from pawl.lab.output import last_complaint
from pawl.lab.relay import Notes, Upstream, relay
from pawl.lab.sandbox import Ended, Mount, Stop
from pawl.lab.tree import remove

START_SECONDS = 20.0
"""Wall time in which a model's server must listen."""
_LOOK_SECONDS = 0.02
_PLACE = "/pawl/model"


@dataclass(frozen=True)
class Reached:
    """A model within reach of one run."""

    socket: Mount
    notes: Notes
    hidden: tuple[Path, ...] = ()
    """What the run may not see: the way to the model that goes past the notes."""


@contextmanager
def task_model(bench: Bench, seed: int) -> Iterator[Reached | None]:
    """The model that the loop's rules name, while the block lasts; None if they name none.

    Raises:
        RuntimeError: it cannot be started, or was not there to its end.
    """
    model = bench.rules.tasks.model if bench.rules.tasks else None
    if model is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        hidden: tuple[Path, ...] = ()
        if model.address is not None:
            upstream = Upstream(address=model.address)
        else:
            upstream = stack.enter_context(_served(bench, seed))
            assert upstream.path is not None
            hidden = (upstream.path.parent,)
        path, notes = stack.enter_context(relay(upstream))
        yield Reached(Mount(path, "/pawl/model.sock"), notes, hidden)
        if notes.lost:
            raise RuntimeError(f"the task agent's model could not be reached ({notes.lost})")


@contextmanager
def _served(bench: Bench, seed: int) -> Iterator[Upstream]:
    # Paths of sockets are short by nature (108 bytes), and those of caches are not.
    place = Mount(Path(tempfile.mkdtemp(prefix="pawl-model-")), _PLACE, writable=True)
    path = Mount(place.host / "s", f"{_PLACE}/s")
    stop = Stop()
    try:
        with (
            contextlib.closing(bench.sandbox.beside(stop)) as sandbox,
            bench.folder("model", bench.overlay.own, private=True) as folder,
            ThreadPoolExecutor(1, thread_name_prefix="model") as pool,
        ):
            serving = pool.submit(sandbox.run, bench.model_job(folder, seed, place, path))
            try:
                _await(path.host, serving)
                yield Upstream(path=path.host)
                if serving.done():
                    raise RuntimeError(f"the task agent's model ended before the run did{_said(serving)}")
            finally:
                stop.set()
    finally:
        remove(place.host)


def _await(path: Path, serving: Future[Ended]) -> None:
    for _ in range(int(START_SECONDS / _LOOK_SECONDS)):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(path))
            return
        if wait([serving], _LOOK_SECONDS).done:
            raise RuntimeError(f"the task agent's model (tasks.model.command) did not start{_said(serving)}")
    raise RuntimeError(
        f"the task agent's model (tasks.model.command) does not listen on PAWL_MODEL_SOCKET after {START_SECONDS:g} seconds"
    )


def _said(serving: Future[Ended]) -> str:
    said = last_complaint(serving.result().log)
    return f": {said}" if said else ""
