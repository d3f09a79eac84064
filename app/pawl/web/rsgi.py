"""The front door by RSGI, granian's own protocol: deliveries by the gate itself, every other request by the WSGI pages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Response

from pawl.web.flood import SMALL
from pawl.web.gate import CUT_SHORT, HEADERS, MAX_BODY, ONLY_POST, TOO_LARGE, Answer
from pawl.web.webhooks import PATH, headers, knock, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import WSGIApplication

    from pawl.web.gate import Gate, Knock

THREADS = 8
SECONDS_TO_SEND = 60.0
"""Within which a body has to arrive."""
PART = 1024
"""Bytes that a part of a large body counts as, at least: crumbs cost much more time than the bytes in them."""
T = TypeVar("T")

SLOW = Answer(HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_TIMEOUT.phrase.lower())
_SENT = tuple(name.lower() for name in HEADERS)


class FrontDoor:
    """Answers one request after the other in the event loop, and what may take long on threads of its own.

    Args:
        gate: decides about deliveries.
        pages: answers everything else.
        idle: whether a delivery could be noted at once.
    """

    def __init__(self, gate: Gate, pages: WSGIApplication, idle: Callable[[], bool]) -> None:
        self._gate, self._pages, self._idle = gate, pages, idle
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="page")
        self._together: list[tuple[Knock, bytes, asyncio.Future[Answer]]] = []
        """Deliveries that came since the event loop had its last turn."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """One request, as RSGI has it."""
        if scope.path != PATH:
            status, sent, body = await self._on_a_thread(self._page, scope)
            protocol.response_bytes(status, sent, body)
            return
        answer = await self._delivery(scope, protocol) if scope.method == "POST" else ONLY_POST
        body = shown(answer)
        protocol.response_bytes(answer.status.value, headers(answer, body), body)

    def close(self) -> None:
        """Start nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _delivery(self, scope: Any, protocol: Any) -> Answer:
        said = scope.headers.get("content-length", "")
        length = int(said) if said.isascii() and said.isdigit() else 0
        head = knock(scope.client.rpartition(":")[0].strip("[]"), scope.headers, _SENT, length)
        if (away := self._gate.turns_away(head)) is not None:
            return away
        try:
            async with asyncio.timeout(SECONDS_TO_SEND):
                body = await protocol() if 0 < length <= SMALL else await _capped(protocol)
        except TimeoutError:
            return SLOW
        except RuntimeError:  # what granian's ProtocolError is: the sender has gone
            return CUT_SHORT
        if body is None:
            return TOO_LARGE
        if len(body) < length:
            return CUT_SHORT
        if len(body) > length:  # in chunks: nothing was said of its length before
            away = self._gate.turns_away(replace(head, length=len(body)))
            if away is not None:
                return away
        if len(body) <= SMALL and self._idle():
            return await self._with_others(head, body)
        answers = await self._on_a_thread(self._gate.lets_in, (head, body))
        return answers[0]

    async def _with_others(self, head: Knock, body: bytes) -> Answer:
        loop = asyncio.get_running_loop()
        if not self._together:
            loop.call_soon(self._let_in)
        answer: asyncio.Future[Answer] = loop.create_future()
        self._together.append((head, body, answer))
        return await answer

    def _let_in(self) -> None:
        together, self._together = self._together, []
        answers = self._gate.lets_in(*((head, body) for head, body, _ in together))
        for (_, _, answered), answer in zip(together, answers, strict=True):
            if not answered.done():  # its sender may have gone
                answered.set_result(answer)

    async def _on_a_thread(self, what: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, what, *given)

    def _page(self, scope: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        """Asked without its body: no page reads one."""
        environ = EnvironBuilder(query_string=scope.query_string, method=scope.method).get_environ()
        # Not given to the builder, which takes it for an address: //there is a host, and what is behind %3F a query.
        environ["PATH_INFO"] = scope.path.encode().decode("latin-1")
        answer = Response.from_app(self._pages, environ, buffered=True)
        return answer.status_code, list(answer.headers.items()), answer.get_data()


async def _capped(protocol: Any) -> bytes | None:
    """The body; none if it is too large, however long it is said to be, or comes in crumbs."""
    body, counted = bytearray(), 0
    async for part in protocol:
        body += part
        counted += max(PART, len(part))
        if counted > MAX_BODY + PART:
            return None
    return bytes(body)
