"""`pawl serve`: the App in one process, Flask on waitress."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from typing import TextIO

import structlog
from sqlalchemy.exc import SQLAlchemyError
from waitress.server import create_server

from pawl.control.app import PawlApp
from pawl.control.settings import Settings, SettingsError
from pawl.web import MAX_BODY, Door, create_app

THREADS = 8


class AppServer:
    """The App behind its front door, on threads of this process.

    Args:
        settings: who the App is.
    """

    def __init__(self, settings: Settings) -> None:
        self.app = PawlApp(settings)
        door = Door(settings.webhook_secret, self.app.receive, self.app.ready, self.app.status)
        self._server = create_server(
            create_app(door),
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            ident="pawl",
            max_request_body_size=MAX_BODY,  # refused before it is written to disk, whoever sends it
        )
        self.port: int = getattr(self._server, "effective_port", settings.port)
        self.address = f"http://{settings.host}:{self.port}"
        self._thread = threading.Thread(target=self._server.run, name="web", daemon=True)

    def start(self) -> None:
        """Take deliveries, and look at every repository once."""
        self._thread.start()
        self.app.start()

    def stop(self) -> None:
        """Take no more deliveries, and let the looks that run end."""
        self._server.close()
        self._thread.join(5)
        self.app.stop()


def serve(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM.

    Raises:
        SettingsError: it cannot start like this.
    """
    log_as_json()
    try:
        server = AppServer(settings)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; set PAWL_HOST and PAWL_PORT"
        ) from None
    except SQLAlchemyError as error:
        raise SettingsError(
            f"the database PAWL_DATABASE cannot be used: {str(error).splitlines()[0]}"
        ) from None
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    server.start()
    structlog.get_logger(__name__).info("serving", address=server.address, api=settings.api)
    ended.wait()
    server.stop()


def log_as_json(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Logs as JSON lines, with fixed keys."""
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(message)s", force=True)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
