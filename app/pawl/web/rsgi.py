"""The front door by RSGI, granian's own protocol: deliveries by the gate itself, every other request by the WSGI pages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
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

    from pawl.web.gate import Gate

THREADS = 8
SECONDS_TO_SEND = 60.0
"""Within which a body has to arrive."""
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
        if body is None:
            return TOO_LARGE
        if len(body) < length:
            return CUT_SHORT
        if len(body) <= SMALL and self._idle():
            return self._gate.lets_in(head, body)
        return await self._on_a_thread(self._gate.lets_in, head, body)

    async def _on_a_thread(self, what: Callable[..., T], *given: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, what, *given)

    def _page(self, scope: Any) -> tuple[int, list[tuple[str, str]], bytes]:
        """Asked without its body: no page reads one."""
        environ = EnvironBuilder(
            scope.path, query_string=scope.query_string, method=scope.method
        ).get_environ()
        answer = Response.from_app(self._pages, environ, buffered=True)
        return answer.status_code, list(answer.headers.items()), answer.get_data()


async def _capped(protocol: Any) -> bytes | None:
    """The body; none if it is too large, however long it is said to be."""
    body = bytearray()
    async for part in protocol:
        body += part
        if len(body) > MAX_BODY:
            return None
    return bytes(body)
