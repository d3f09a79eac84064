"""What becomes of a delivery: its signature before anything else, then one insert, then 202. No server is known here."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import structlog

from pawl.control.errors import DatabaseUnusable
from pawl.control.events import Delivered
from pawl.web.flood import SMALL, Flood, source_of

log = structlog.get_logger(__name__)

MAX_BODY = 5 * 2**20
"""Bytes of a webhook's body; GitHub's own payloads are capped at 25 MB, and none that Pawl reads comes near this."""
LONGEST = 64
"""Characters of an event's name and of a delivery's id."""
WRONG = "the signature does not match the body and the webhook secret"


HEADERS = ("X-Forwarded-For", "X-Hub-Signature-256", "X-GitHub-Event", "X-GitHub-Delivery")
"""What a `Knock` takes of a request's headers, in its order."""


@dataclass(frozen=True, slots=True)
class Knock:
    """The head of a request to `/webhooks`; nothing of it is believed yet."""

    peer: str
    """The address that the connection comes from."""
    forwarded: str
    """X-Forwarded-For."""
    signature: str
    """X-Hub-Signature-256."""
    event: str
    """X-GitHub-Event."""
    delivery: str
    """X-GitHub-Delivery."""
    length: int
    """Bytes that the body is said to have; 0 if nothing is said."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a delivery is answered."""

    status: HTTPStatus
    message: str
    headers: tuple[tuple[str, str], ...] = ()
    """Beside those that every answer has."""


ACCEPTED = Answer(HTTPStatus.ACCEPTED, "accepted")
SEEN = Answer(HTTPStatus.ACCEPTED, "seen before")
ONLY_POST = Answer(
    HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.METHOD_NOT_ALLOWED.phrase.lower(), (("Allow", "POST"),)
)
UNSIGNED = Answer(HTTPStatus.UNAUTHORIZED, WRONG)
TOO_LARGE = Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE.phrase.lower())
NAMELESS = Answer(HTTPStatus.BAD_REQUEST, "X-GitHub-Event and X-GitHub-Delivery are required")
NO_JSON = Answer(
    HTTPStatus.BAD_REQUEST,
    "the body is no JSON; set the webhook's content type to application/json",
)
CUT_SHORT = Answer(HTTPStatus.BAD_REQUEST, "the body ends before it is as long as its header says")
UNAVAILABLE = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE, "the delivery could not be noted; its sender is asked for it again later"
)
FAULT = Answer(HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.INTERNAL_SERVER_ERROR.phrase.lower())
NO_OBJECT = Answer(HTTPStatus.BAD_REQUEST, "the body is no JSON object")


class Gate:
    """Lets GitHub's deliveries in, and nobody else's.

    Args:
        secret: the webhook secret that the App shares with GitHub.
        receive: takes deliveries, all or none of them; false for each that was received before.
        seconds: that only go forward.

    Raises:
        ValueError: without a webhook secret anybody could speak as GitHub, so none is no option.
    """

    def __init__(
        self,
        secret: str,
        receive: Callable[[Sequence[Delivered]], Sequence[bool]],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        if not secret:
            raise ValueError(
                "a webhook secret is required: set PAWL_WEBHOOK_SECRET to the one in the App's settings"
            )
        self._secret, self._receive = secret, receive
        self._flood = Flood(seconds)

    def turns_away(self, knock: Knock) -> Answer | None:
        """The answer to a delivery whose body is not worth reading; none if it is."""
        if knock.length > MAX_BODY:
            return TOO_LARGE
        if knock.length > SMALL and (wait := self._flood.wait(source_of(knock.peer, knock.forwarded))):
            return _later(wait)
        return None

    def lets_in(self, *senders: tuple[Knock, bytes]) -> list[Answer]:
        """The answers to deliveries whose bodies were read; what is accepted has been noted.

        Those that came together are noted together: most of the time that one takes goes into making sure that it is kept.
        """
        read = [self._read(knock, body) for knock, body in senders]
        noted = iter(self._note([each for each in read if isinstance(each, Delivered)]))
        return [next(noted) if isinstance(each, Delivered) else each for each in read]

    def _read(self, knock: Knock, body: bytes) -> Delivered | Answer:
        """A delivery that is GitHub's; the answer to one that is not, or says nothing."""
        if not signed(self._secret, body, knock.signature):
            return self._mistake(source_of(knock.peer, knock.forwarded))
        event, delivery = knock.event, knock.delivery
        if not event or not delivery or len(delivery) > LONGEST or len(event) > LONGEST:
            return NAMELESS
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return NO_JSON
        return Delivered(event, delivery, payload) if isinstance(payload, dict) else NO_OBJECT

    def _note(self, deliveries: Sequence[Delivered]) -> Sequence[Answer]:
        if not deliveries:
            return ()
        try:
            return [ACCEPTED if fresh else SEEN for fresh in self._receive(deliveries)]
        except DatabaseUnusable as error:
            for each in deliveries:
                log.error(
                    "a delivery could not be noted",
                    github_event=each.event,
                    delivery=each.guid,
                    why=str(error),
                )
            return [UNAVAILABLE] * len(deliveries)
        except Exception:
            for each in deliveries:
                log.exception("a delivery could not be taken", github_event=each.event, delivery=each.guid)
            return [FAULT] * len(deliveries)

    def _mistake(self, source: str) -> Answer:
        wait, begins = self._flood.mistake(source)
        if begins:
            log.warning("deliveries with a wrong signature", source=source)
        return _later(wait) if wait else UNSIGNED


def signed(secret: str, body: bytes, signature: str) -> bool:
    """Whether a signature header is the HMAC-SHA256 of the body under the secret; compared in constant time."""
    wanted = "sha256=" + hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", errors="replace"))


def _later(wait: float) -> Answer:
    """Too many mistakes of one source. What was genuine and is lost here GitHub is asked for again."""
    message = f"too many deliveries with a wrong signature; {WRONG}"
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, message, (("Retry-After", str(math.ceil(wait))),))
