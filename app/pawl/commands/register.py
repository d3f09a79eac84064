"""`pawl serve` before there is an App: serves `/setup` until somebody has registered one."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from pawl.commands.server import WebServer
from pawl.control.credentials import Credentials, keep_credentials
from pawl.control.errors import SettingsError
from pawl.control.events import SUBSCRIBED
from pawl.control.settings import Place
from pawl.github.errors import GitHubError
from pawl.github.manifest import convert, manifest, registration_page, site_of
from pawl.web.setup import Setup, SetupFailed, Wish, create_setup_app


@dataclass(frozen=True)
class Registration:
    """Where a server that has no App yet listens, and what becomes of the credentials."""

    place: Place
    file: Path
    """Keeps them."""
    show: bool = False
    """Print them instead, for a secret store; nothing is kept."""


class SetupServer:
    """Serves `/setup` on threads of this process.

    Args:
        registration: where, and what for.
        stream: where credentials are printed, if they shall be.
    """

    def __init__(self, registration: Registration, stream: TextIO = sys.stdout) -> None:
        self._registration, self._stream = registration, stream
        self._done = threading.Event()
        place, token = registration.place, secrets.token_urlsafe(32)
        site = site_of(place.api)
        setup = Setup(token, site, place.public_address, self._form, self._created, time.monotonic)
        self._server = WebServer(create_setup_app(setup), place.host, place.port, "setup")
        # Who listens on every address is reached by none called so: in a container, say, whose port is this machine's.
        here = self._server.address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        self.address = f"{here}/setup?token={token}"
        self.public = place.public_address and f"{place.public_address}/setup?token={token}"
        """The same by the address at which GitHub reaches the server, where that is known; empty otherwise."""

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def wait(self, ended: Callable[[], bool]) -> bool:
        """Until the App is registered, or `ended` says that the server shall end; whether it is registered."""
        while not self._done.wait(0.2):
            if ended():
                return False
        return True

    def stop(self) -> None:
        """Let the last answer out, and listen no more."""
        self._server.stop()

    def _form(self, wish: Wish, state: str) -> tuple[str, str]:
        try:
            target = registration_page(site_of(self._registration.place.api), wish.organisation, state)
        except ValueError as error:
            raise SetupFailed(f"{error}.") from None
        here = reached_at(wish.here, (wish.webhooks, self._registration.place.public_address))
        return target, json.dumps(manifest(wish.name, here, SUBSCRIBED, wish.webhooks), indent=2)

    def _created(self, code: str) -> tuple[str, str]:
        api = self._registration.place.api
        try:
            made = convert(api, code)
        except (GitHubError, ValueError) as error:
            raise SetupFailed(
                f"GitHub did not hand over the credentials: {error}. If the App is there now, remove it on its settings "
                "page, and begin again at /setup."
            ) from None
        credentials = Credentials.made(made.app_id, made.private_key, made.webhook_secret)
        kept = self._keep(credentials)
        self._done.set()
        return f"{site_of(api)}/apps/{made.slug}/installations/new", kept

    def _keep(self, credentials: Credentials) -> str:
        if self._registration.show:
            self._print(credentials)
            return (
                "Its credentials were printed where the server was started, which has ended: put them into your secret "
                "store, and start it with them."
            )
        path = self._registration.file
        try:
            keep_credentials(path, credentials)
        except OSError as error:
            # They are handed over once: whoever started the server sees them, rather than nobody.
            self._print(credentials)
            return (
                f"Its credentials could not be kept in {path} ({error.strerror}). They were printed where the server was "
                "started: set them as variables of its environment, and start it again."
            )
        return (
            f"Its credentials are in {path}, which only this user can read. Back that file up; nothing else needs a "
            "backup. Pawl starts now."
        )

    def _print(self, credentials: Credentials) -> None:
        print(credentials.variables(), file=self._stream, flush=True)


def reached_at(here: str, known: Iterable[str]) -> str:
    """Where GitHub shall send the browser back to.

    Args:
        here: where a request came in; behind a proxy with TLS that says http.
        known: addresses of this server that people gave, or nothing: one at the same host knows better.
    """
    host = urlsplit(here).netloc
    found = (urlsplit(address) for address in known)
    return next((f"{parts.scheme}://{host}" for parts in found if parts.netloc == host), here)


def register(registration: Registration, ended: Callable[[], bool]) -> bool:
    """Serve `/setup` until the App is registered; whether it is.

    Raises:
        SettingsError: it cannot listen there, or the file is there already or could not be written.
    """
    file = registration.file.absolute()
    if file.exists() and not registration.show:
        raise SettingsError(f"{registration.file} is there already; remove it to register another App")
    folder = next(folder for folder in file.parents if folder.exists())
    if not registration.show and not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(
            f"{file} (PAWL_CREDENTIALS) could not be written, and GitHub hands an App's credentials over once: let user "
            f"{os.getuid()} write in {folder}, name another file, or start with --print-credentials"
        )
    server = SetupServer(registration)
    server.start()
    elsewhere = f"On another machine it is\n\n    {server.public}\n" if server.public else ""
    print(  # noqa: T201 - for the person at the terminal, and not for the log
        f"Pawl is no GitHub App yet. Open this address in a browser; it opens the form for whoever has it:\n\n"
        f"    {server.address}\n\n{elsewhere}",
        file=sys.stderr,
        flush=True,
    )
    try:
        return server.wait(ended)
    finally:
        server.stop()


def unregistered(environment: Mapping[str, str], given: Mapping[str, object]) -> bool:
    """Whether nothing at all says who the App is: a half of it is a mistake, and no wish to register."""
    names = ("PAWL_APP_ID", "PAWL_PRIVATE_KEY", "PAWL_PRIVATE_KEY_FILE", "PAWL_WEBHOOK_SECRET")
    return not any(environment.get(name) for name in names) and not any(
        given.get(name) for name in ("app_id", "private_key_file")
    )
