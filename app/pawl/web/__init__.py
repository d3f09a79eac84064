"""The App's front door: webhooks in, health out. No request thread ever talks to GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pawl.web.gate import Gate
from pawl.web.headers import guarded
from pawl.web.webhooks import Webhooks


@dataclass(frozen=True)
class Inside:
    """What can be asked of the App behind the door."""

    ready: Callable[[], bool]
    status: Callable[[], Mapping[str, Any]]
    metrics: Callable[[], bytes]
    """Figures in Prometheus' text format."""


def create_app(gate: Gate, inside: Inside) -> Flask:
    """The Flask application."""
    app = Flask("pawl")
    app.url_map.merge_slashes = False  # or //a is sent on to /a, at an address that this server has by chance
    app.wsgi_app = Webhooks(gate, app.wsgi_app)  # type: ignore[method-assign]  # as Flask's documentation has it

    @app.get("/healthz")
    def healthz() -> Response:
        """Whether the process answers."""
        return _answer(HTTPStatus.OK, "ok")

    @app.get("/readyz")
    def readyz() -> Response:
        """Whether deliveries can be taken."""
        if inside.ready():
            return _answer(HTTPStatus.OK, "ready")
        return _answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database does not answer, or takes nothing new, or the App is not known to GitHub yet",
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(inside.metrics(), mimetype="text/plain; version=0.0.4")

    @app.get("/")
    def index() -> Response:
        """What this process does, for a person who finds it."""
        return _json(HTTPStatus.OK, inside.status())

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        """What Flask refuses by itself, in the shape of every other answer."""
        status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
        answer = _answer(status, status.phrase.lower())
        if isinstance(error, MethodNotAllowed) and error.valid_methods:
            answer.headers["Allow"] = ", ".join(sorted(error.valid_methods))
        return answer

    @app.after_request
    def headers(response: Response) -> Response:
        return guarded(response)

    return app


def _answer(status: HTTPStatus, message: str) -> Response:
    return _json(status, {"message": message})


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> Response:
    return Response(json.dumps(value) + "\n", status=int(status), mimetype="application/json")
