"""`/webhooks` in front of Flask: its routing and its requests would take most of the time that a delivery has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge
from werkzeug.wsgi import get_content_length, get_input_stream

from pawl.web.flood import SMALL
from pawl.web.gate import CUT_SHORT, HEADERS, MAX_BODY, ONLY_POST, TOO_LARGE, Answer, Gate, Knock
from pawl.web.headers import GUARDS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PATH = "/webhooks"
_CGI = tuple(name.upper().replace("-", "_") for name in HEADERS)
_WSGI = tuple(f"HTTP_{name}" for name in _CGI)


class Webhooks:
    """Answers deliveries, and hands every other request on.

    Args:
        gate: decides.
        others: takes the rest.
    """

    def __init__(self, gate: Gate, others: WSGIApplication) -> None:
        self._gate, self._others = gate, others

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """One request, as WSGI has it."""
        if environ["PATH_INFO"] != PATH:
            return self._others(environ, start_response)
        answer = self._answer(environ) if environ["REQUEST_METHOD"] == "POST" else ONLY_POST
        body = shown(answer)
        start_response(f"{answer.status.value} {answer.status.phrase}", headers(answer, body))
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        length = get_content_length(environ) or 0
        head = knock(environ.get("REMOTE_ADDR", ""), environ, _WSGI, length)
        if (away := self._gate.turns_away(head)) is not None:
            return away
        try:
            body = get_input_stream(environ, max_content_length=MAX_BODY).read()
        except RequestEntityTooLarge:
            return TOO_LARGE
        except ClientDisconnected:
            return CUT_SHORT
        return self._gate.lets_in((head, body))[0]


class BriefWebhooks:
    """Answers deliveries that are brief, by HTTP's own words: WSGI's would take a third of their time.

    Args:
        gate: decides.
        idle: whether a delivery could be noted at once.
        now: seconds since 1970.
    """

    def __init__(self, gate: Gate, idle: Callable[[], bool], now: Callable[[], float]) -> None:
        self._gate, self._idle, self._now = gate, idle, now

    def takes(self, method: str, path: str, length: int) -> bool:
        """Whether a request is one."""
        return method == "POST" and path == PATH and length <= SMALL and self._idle()

    def answer(self, peer: str, sent: Mapping[str, str], body: bytes) -> bytes:
        """All that is sent back.

        Args:
            peer: the address that the connection comes from.
            sent: the request's headers, named as CGI names them, without its `HTTP_`.
            body: the request's.
        """
        [answer] = self._gate.lets_in((knock(peer, sent, _CGI, len(body)), body))
        text = shown(answer)
        lines = [
            f"HTTP/1.1 {answer.status.value} {answer.status.phrase}",
            f"Date: {formatdate(self._now(), usegmt=True)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers(answer, text)]
        return "\r\n".join([*lines, "\r\n"]).encode("ascii") + text


def knock(peer: str, sent: Any, names: Sequence[str], length: int) -> Knock:
    """The head of a request.

    Args:
        peer: the address that the connection comes from.
        sent: the request's headers, with `get` as mappings have it.
        names: what the server calls those of `HEADERS`.
        length: bytes of the body, as far as is known.
    """
    forwarded, signature, event, delivery = (sent.get(name, "") for name in names)
    return Knock(peer, forwarded, signature, event, delivery, length)


@lru_cache(64)
def shown(answer: Answer) -> bytes:
    """The body of an answer."""
    return (json.dumps({"message": answer.message}) + "\n").encode()


def headers(answer: Answer, body: bytes) -> list[tuple[str, str]]:
    """The headers of an answer with its body."""
    kind = ("Content-Type", "application/json"), ("Content-Length", str(len(body)))
    return [*kind, *GUARDS.items(), *answer.headers]
