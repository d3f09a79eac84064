"""`/setup`: the pages on which a person registers the App with GitHub. Served only while there is no App."""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, render_template, request
from werkzeug.exceptions import HTTPException

from pawl.web.headers import guarded

STATE_SECONDS = 3600.0
"""GitHub's own limit for the whole flow."""
STATES = 16
"""Forms that may be open at once; the oldest is forgotten first."""
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,34}")


class SetupFailed(Exception):
    """A step that did not succeed; the text says why, and what to do, for the person at the browser."""


@dataclass(frozen=True)
class Wish:
    """What the person has filled in."""

    name: str
    organisation: str
    """Empty for the person's own account."""
    webhooks: str
    """Where GitHub reaches this server; empty for polling alone."""
    here: str
    """Where the person's browser reaches it."""


@dataclass(frozen=True)
class Setup:
    """What the pages need of the App to be."""

    token: str = field(repr=False)
    """Opens the pages: whoever starts the server sees it, and nobody else."""
    site: str
    """GitHub's address for people."""
    public_address: str
    """Where GitHub reaches this server, as far as it is known."""
    form: Callable[[Wish, str], tuple[str, str]]
    """Takes a wish and a state; gives where the form is posted to, and the manifest as JSON. Raises `SetupFailed`."""
    created: Callable[[str], tuple[str, str]]
    """Takes GitHub's code; gives where to install the App, and what became of the credentials. Raises `SetupFailed`."""
    clock: Callable[[], float]
    """Seconds that only go forward."""


def create_setup_app(setup: Setup) -> Flask:
    """The Flask application of a server that is not registered yet."""
    app = Flask("pawl.web")
    app.config["MAX_CONTENT_LENGTH"] = 16 * 1024
    states = _States(setup.clock)

    def page(template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        return Response(
            render_template(f"{template}.html", **values), status=int(status), mimetype="text/html"
        )

    def form(status: HTTPStatus, given: Mapping[str, str], problem: str = "") -> Response:
        filled = {name: given.get(name, "")[:300] for name in ("name", "organisation", "webhooks")}
        return page("setup", status, token=setup.token, site=setup.site, filled=filled, problem=problem)

    def allowed(given: str) -> None:
        if not hmac.compare_digest(given.encode(), setup.token.encode()):
            abort(HTTPStatus.FORBIDDEN)

    @app.get("/setup")
    def start() -> Response:
        """The form."""
        allowed(request.args.get("token", ""))
        return form(HTTPStatus.OK, {"webhooks": setup.public_address})

    @app.post("/setup")
    def confirm() -> Response:
        """What will be registered, and the button that takes the person to GitHub."""
        allowed(request.form.get("token", ""))
        try:
            wish = _wish(request.form, request.host_url.rstrip("/"))
            target, manifest = setup.form(wish, states.new())
        except SetupFailed as problem:
            return form(HTTPStatus.BAD_REQUEST, request.form, str(problem))
        return page("confirm", target=target, manifest=manifest, wish=wish)

    @app.get("/setup/created")
    def created() -> Response:
        """Where GitHub sends the browser back to. The state says that it was this server that sent it."""
        if not states.take(request.args.get("state", "")):
            problem = (
                "This is not the answer to a form of this server, or it came too late. Begin again at /setup."
            )
            return page("failed", HTTPStatus.FORBIDDEN, problem=problem)
        try:
            install, kept = setup.created(request.args.get("code", ""))
        except SetupFailed as problem:
            return page("failed", HTTPStatus.BAD_GATEWAY, problem=str(problem))
        return page("created", install=install, kept=kept)

    @app.get("/healthz")
    def healthz() -> Response:
        """Whether the process answers."""
        return Response('{"message": "ok"}\n', mimetype="application/json")

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        """Everything else: the App is not there yet."""
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        if status is HTTPStatus.NOT_FOUND:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        problem = "Open the address that `pawl serve` has printed where it was started."
        return page("failed", status, problem=problem)

    @app.after_request
    def headers(response: Response) -> Response:
        forms = f"form-action 'self' {setup.site}; base-uri 'none'; frame-ancestors 'none'"
        return guarded(response, f"style-src 'unsafe-inline'; {forms}")

    return app


def _wish(form: Mapping[str, str], here: str) -> Wish:
    name, webhooks = form.get("name", "").strip(), form.get("webhooks", "").strip().rstrip("/")
    if not _NAME.fullmatch(name):
        raise SetupFailed("The name of an App has 1 to 34 characters.")
    if webhooks:
        parts = urlsplit(webhooks)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise SetupFailed(
                f"{webhooks[:100]!r} is no address. It looks like https://pawl.example.com; leave it empty to poll alone."
            )
    return Wish(name, form.get("organisation", "").strip(), webhooks, here)


class _States:
    """States of open forms: each is good for one answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}
        self._guard = threading.Lock()

    def new(self) -> str:
        """A state that nobody can guess."""
        state = secrets.token_urlsafe(32)
        with self._guard:
            while len(self._until) >= STATES:
                del self._until[next(iter(self._until))]
            self._until[state] = self._clock() + STATE_SECONDS
        return state

    def take(self, state: str) -> bool:
        """Whether it is one of these, and not too old. It is none any more."""
        with self._guard:
            until = self._until.pop(state, None)
        return until is not None and self._clock() <= until
