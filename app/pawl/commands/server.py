"""A WSGI application on waitress, on threads of this process."""

from __future__ import annotations

import threading
from typing import Any

from waitress.server import create_server

from pawl.control.errors import SettingsError
from pawl.web import MAX_BODY

THREADS = 8
CONNECTIONS = 500
"""Connections at once. Waitress' own hundred are taken by a hundred that say nothing."""


class WebServer:
    """Serves one application.

    Args:
        application: the WSGI application.
        host: address to listen on.
        port: 0 for any that is free.
        name: of its thread.

    Raises:
        SettingsError: nobody can listen there.
    """

    def __init__(self, application: Any, host: str, port: int, name: str) -> None:
        try:
            server: Any = create_server(
                application,
                host=host,
                port=port,
                threads=THREADS,
                ident="pawl",
                connection_limit=CONNECTIONS,
                asyncore_use_poll=True,  # select() knows no more than 1024 files
                max_request_body_size=MAX_BODY,  # refused before it is written to disk, whoever sends it
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {host}:{port}: {error}; set PAWL_HOST and PAWL_PORT"
            ) from None
        self._server = server
        self.port: int = getattr(server, "effective_port", port)
        self.address = f"http://{host}:{self.port}"
        self._thread = threading.Thread(target=server.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being asked, and nothing more."""
        # First the requests under way end, then the loop over the sockets: a worker wakes that loop when it is done, and
        # must still find what wakes it.
        self._server.task_dispatcher.shutdown(timeout=5)
        if not self._thread.is_alive():
            self._close()
            return
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(self._close)
            trigger._physical_pull()
        self._thread.join(5)

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.close_when_flushed = True
        self._server.close()
