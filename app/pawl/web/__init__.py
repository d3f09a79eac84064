"""The App's front door: webhooks in, health out. No request thread ever talks to GitHub."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from pawl.web.flood import SMALL, Flood, source_of
from pawl.web.headers import guarded

log = structlog.get_logger(__name__)

MAX_BODY = 5 * 2**20
"""Bytes of a webhook's body; GitHub's own payloads are capped at 25 MB, and none that Pawl reads comes near this."""
WRONG = "the signature does not match the body and the webhook secret"


@dataclass(frozen=True)
class Door:
    """What the front door needs of the App behind it."""

    webhook_secret: str = field(repr=False)
    receive: Callable[[str, str, Mapping[str, Any]], bool]
    """Takes event name, delivery id and payload; false if the delivery was received before."""
    ready: Callable[[], bool]
    status: Callable[[], Mapping[str, Any]]
    metrics: Callable[[], bytes]
    """Figures in Prometheus' text format."""
    seconds: Callable[[], float] = time.monotonic
    """Seconds that only go forward."""


def create_app(door: Door) -> Flask:
    """The Flask application.

    Raises:
        ValueError: without a webhook secret anybody could speak as GitHub, so none is no option.
    """
    if not door.webhook_secret:
        raise ValueError(
            "a webhook secret is required: set PAWL_WEBHOOK_SECRET to the one in the App's settings"
        )
    app = Flask("pawl")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    flood = Flood(door.seconds)

    @app.post("/webhooks")
    def webhooks() -> Response:
        """One delivery: signature before anything else, then one insert, then 202."""
        source = source_of(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""))
        if (wait := flood.wait(source)) and (request.content_length or 0) > SMALL:
            return _later(wait)
        body = request.get_data(cache=False)
        if not signed(door.webhook_secret, body, request.headers.get("X-Hub-Signature-256", "")):
            wait, begins = flood.mistake(source)
            if begins:
                log.warning("deliveries with a wrong signature", source=source)
            return _later(wait) if wait else _answer(HTTPStatus.UNAUTHORIZED, WRONG)
        event, guid = request.headers.get("X-GitHub-Event", ""), request.headers.get("X-GitHub-Delivery", "")
        if not event or not guid or len(guid) > 64 or len(event) > 64:
            return _answer(HTTPStatus.BAD_REQUEST, "X-GitHub-Event and X-GitHub-Delivery are required")
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return _answer(
                HTTPStatus.BAD_REQUEST,
                "the body is no JSON; set the webhook's content type to application/json",
            )
        if not isinstance(payload, dict):
            return _answer(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
        fresh = door.receive(event, guid, payload)
        return _answer(HTTPStatus.ACCEPTED, "accepted" if fresh else "seen before")

    @app.get("/healthz")
    def healthz() -> Response:
        """Whether the process answers."""
        return _answer(HTTPStatus.OK, "ok")

    @app.get("/readyz")
    def readyz() -> Response:
        """Whether deliveries can be taken."""
        if door.ready():
            return _answer(HTTPStatus.OK, "ready")
        return _answer(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "the database does not answer, or the App is not known to GitHub yet",
        )

    @app.get("/metrics")
    def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(door.metrics(), mimetype="text/plain; version=0.0.4")

    @app.get("/")
    def index() -> Response:
        """What this process does, for a person who finds it."""
        return _json(HTTPStatus.OK, door.status())

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


def signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether a signature header is the HMAC-SHA256 of the body under the secret; compared in constant time."""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", errors="replace"))


def _later(wait: float) -> Response:
    """Too many mistakes of one source. What was genuine and is lost here GitHub is asked for again."""
    answer = _answer(HTTPStatus.TOO_MANY_REQUESTS, f"too many deliveries with a wrong signature; {WRONG}")
    answer.headers["Retry-After"] = str(math.ceil(wait))
    return answer


def _answer(status: HTTPStatus, message: str) -> Response:
    return _json(status, {"message": message})


def _json(status: HTTPStatus, value: Mapping[str, Any]) -> Response:
    return Response(json.dumps(value) + "\n", status=int(status), mimetype="application/json")
