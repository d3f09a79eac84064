"""`pawl serve`: the App in one process, Flask on waitress."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TextIO

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError
from structlog.typing import Processor

from pawl.commands.claim import claimed
from pawl.commands.register import Registration, register, unregistered
from pawl.commands.server import WebServer
from pawl.control.app import PawlApp
from pawl.control.errors import SettingsError
from pawl.control.settings import Settings, credentials_file, read_place, read_settings
from pawl.web import Door, create_app

NOT_ALONE = (
    "another server works with the database PAWL_DATABASE. Nothing is lost or doubled by that, but both do the same work, "
    "with the same requests to GitHub: stop one of them"
)


def front_door(app: PawlApp) -> Flask:
    """The WSGI application in front of an App.

    Raises:
        ValueError: its settings have no webhook secret.
    """
    return create_app(Door(app.settings.webhook_secret, app.receive, app.ready, app.status, app.metrics))


class AppServer:
    """The App behind its front door, on threads of this process.

    Raises:
        ValueError: the settings make no App.
        SettingsError: nobody can listen where they say.
    """

    def __init__(self, settings: Settings) -> None:
        self.app = PawlApp(settings)
        self._server = WebServer(front_door(self.app), settings.host, settings.port, "web")
        self.port, self.address = self._server.port, self._server.address

    def start(self) -> None:
        """Take deliveries, and look at every repository once."""
        self._server.start()
        self.app.start()

    def stop(self) -> None:
        """Take no more deliveries, and let the looks that run end."""
        self._server.stop()
        self.app.stop()


def start(environment: Mapping[str, str], given: Mapping[str, object], show: bool = False) -> None:
    """Run until SIGINT or SIGTERM. Where nothing says who the App is, `/setup` is served until there is one.

    Args:
        environment: variables.
        given: options of the command line, which win.
        show: print the credentials of a new App instead of keeping them, and end.

    Raises:
        SettingsError: it cannot start like this.
    """
    log_as_json()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    file = credentials_file(environment)
    if unregistered(environment, given) and not file.exists():
        place = read_place(environment, **given)
        if not register(Registration(place, file, show), ended.is_set) or show:
            return
    serve(read_settings(environment, **given), ended)


def serve(settings: Settings, ended: threading.Event) -> None:
    """Run the App until somebody ends it.

    Raises:
        SettingsError: it cannot start like this.
    """
    try:
        server = AppServer(settings)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    except SQLAlchemyError as error:
        raise SettingsError(
            f"the database PAWL_DATABASE cannot be used: {str(error).splitlines()[0]}. It is an inbox and a cache: "
            "a file that is damaged may be removed"
        ) from None
    except ImportError as error:
        raise SettingsError(
            f"the database PAWL_DATABASE needs a driver that is not installed ({error.name}): install it, or use "
            "sqlite:///pawl.db"
        ) from None
    log = structlog.get_logger(__name__)
    with ExitStack() as held:
        if not claimed(settings.database, held):
            log.warning("not alone", why=NOT_ALONE)
        server.start()
        log.info("serving", address=server.address, api=settings.api)
        ended.wait()
        server.stop()


def log_as_json(stream: TextIO = sys.stderr, level: int = logging.INFO) -> None:
    """Logs as JSON lines, with fixed keys; what libraries have to say is no other."""
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
    ]
    lines = structlog.processors.JSONRenderer()
    handler = logging.StreamHandler(stream)
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[strip, lines])
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    structlog.configure(
        processors=[*shared, lines],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
