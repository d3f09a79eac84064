"""An RSGI application on granian, in an event loop on a thread of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

from granian import _granian
from granian.constants import HTTPModes
from granian.http import HTTP1Settings
from granian.server.embed import Server

from pawl.commands.server import CONNECTIONS, listen

SECONDS_TO_START, SECONDS_TO_STOP = 10, 5
SECONDS_OF_SILENCE = 5
"""After which a connection that has sent no request's head is closed: GitHub waits ten for an answer."""


class GranianServer:
    """Serves one application.

    Args:
        application: the RSGI application.
        host: address to listen on.
        port: 0 for any that is free.
        name: of its thread.

    Raises:
        SettingsError: nobody can listen there.
    """

    def __init__(self, application: Any, host: str, port: int, name: str) -> None:
        self._application = application
        self._listening = listen(host, port)
        self.port: int = self._listening.getsockname()[1]
        self.address = f"http://{host}:{self.port}"
        self._loop = asyncio.new_event_loop()
        self._server: Any = None
        self._others = set[int]()
        """Threads that were there before granian's."""
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._others = foreign_threads()
        self._thread.start()
        self._begun.wait(SECONDS_TO_START)

    def stop(self) -> None:
        """Answer what is being asked, and nothing more."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(SECONDS_TO_STOP + 5)
            self._wait_for_its_threads()
        else:
            self._listening.close()
        self._application.close()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def _wait_for_its_threads(self) -> None:
        """Granian's own are not Python's, and end a moment later. One that is alive when Python ends aborts the process."""
        until = time.monotonic() + SECONDS_TO_STOP
        while foreign_threads() - self._others and time.monotonic() < until:
            time.sleep(0.005)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._server = _Embedded(
            self._application, http=HTTPModes.http1, websockets=False, log_enabled=False, backlog=CONNECTIONS,
            backpressure=CONNECTIONS, http1_settings=HTTP1Settings(header_read_timeout=SECONDS_OF_SILENCE * 1000),
        )  # fmt: skip
        self._server.workers_kill_timeout = SECONDS_TO_STOP
        self._server.listening = self._listening
        serving = asyncio.create_task(self._server.serve())
        for _ in range(2):  # its own turn, and that of the task which it leaves the connections to
            await asyncio.sleep(0)
        self._begun.set()
        await serving


class _Embedded(Server):
    """Granian's, on a socket of ours: its own lets two servers listen in one place by mistake."""

    listening: Any

    def _init_shared_socket(self) -> None:
        holder: Any = _granian.SocketHolder
        self._ssp, self._shd = None, holder(self.listening.detach(), False, CONNECTIONS)


def foreign_threads() -> set[int]:
    """Threads of this process that Python has not started; none where the system does not list them."""
    try:
        every = {int(entry.name) for entry in Path("/proc/self/task").iterdir()}
    except OSError:
        return set()
    return every - {thread.native_id for thread in threading.enumerate()}
