"""`pawl serve`: the App in one process, Flask on waitress or granian."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Protocol

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from pawl.commands.claim import claimed
from pawl.commands.logs import log_as_json
from pawl.commands.register import Registration, register, unregistered
from pawl.commands.server import WebServer
from pawl.control.app import PawlApp
from pawl.control.errors import SettingsError
from pawl.control.settings import Settings, credentials_file, read_place, read_settings
from pawl.web import Inside, create_app
from pawl.web.gate import Gate
from pawl.web.rsgi import FrontDoor
from pawl.web.webhooks import BriefWebhooks

SWITCH = 0.0005
"""Seconds that a look may compute before a delivery that waits has its turn; Python's own five milliseconds add up."""

NOT_ALONE = (
    "another server works with the database PAWL_DATABASE. Nothing is lost or doubled by that, but both do the same work, "
    "with the same requests to GitHub: stop one of them"
)


def front_door(app: PawlApp) -> tuple[Gate, Flask]:
    """What decides about deliveries to an App, and the WSGI application with that and its pages.

    Raises:
        ValueError: its settings have no webhook secret.
    """
    gate = Gate(app.settings.webhook_secret, app.receive)
    return gate, create_app(gate, Inside(app.ready, app.status, app.metrics))


class AppServer:
    """The App behind its front door, on threads of this process.

    Raises:
        ValueError: the settings make no App.
        SettingsError: nobody can listen where they say.
    """

    def __init__(self, settings: Settings) -> None:
        self.app = app = PawlApp(settings)
        self._server = _granian(app) if settings.server == "granian" else _waitress(app)
        self.port, self.address = self._server.port, self._server.address

    def start(self) -> None:
        """Take deliveries, and look at every repository once."""
        self._server.start()
        self.app.start()

    def stop(self) -> None:
        """Take no more deliveries, and let the looks that run end."""
        self._server.stop()
        self.app.stop()


class Server(Protocol):
    """Answers on a thread of its own."""

    port: int
    address: str

    def start(self) -> None:
        """Begin to answer."""

    def stop(self) -> None:
        """Answer what is being asked, and nothing more."""


def _waitress(app: PawlApp) -> Server:
    gate, pages = front_door(app)
    # While a look writes to the database, a delivery waits for it, and others shall not wait for that delivery.
    brief = BriefWebhooks(gate, app.database.idle, time.time)
    return WebServer(pages, app.settings.host, app.settings.port, "web", brief)


def _granian(app: PawlApp) -> Server:
    try:
        from pawl.commands.granian_server import GranianServer
    except ImportError:
        raise SettingsError(
            "PAWL_SERVER is granian, which is not installed: install '.[granian]' in a checkout of Pawl, or leave it out"
        ) from None
    gate, pages = front_door(app)
    return GranianServer(
        FrontDoor(gate, pages, app.database.idle), app.settings.host, app.settings.port, "web"
    )


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
            f"the database PAWL_DATABASE cannot be used: {str(error).splitlines()[0]}. Is its folder there, and may "
            "this user write to it? It is an inbox and a cache: a file that is damaged may be removed"
        ) from None
    except ImportError as error:
        raise SettingsError(
            f"the database PAWL_DATABASE needs a driver that is not installed ({error.name}): install it, or use "
            "sqlite:///pawl.db"
        ) from None
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()  # what was imported stays: to look through it again and again stops every thread for a tenth of a second
    log = structlog.get_logger(__name__)
    with ExitStack() as held:
        if not claimed(settings.database, held):
            log.warning("not alone", why=NOT_ALONE)
        server.start()
        log.info("serving", address=server.address, api=settings.api)
        ended.wait()
        server.stop()
