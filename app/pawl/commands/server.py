"""A WSGI application on waitress, on threads of this process.

Waitress reads in one thread and answers in others. For a request that takes a fraction of a millisecond, handing it to
another thread and back is most of the work: such requests are answered by the thread that has read them.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Protocol

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import Task, ThreadedTaskDispatcher, WSGITask

from pawl.control.errors import SettingsError
from pawl.web.gate import MAX_BODY, Answer
from pawl.web.webhooks import headers, shown

THREADS = 8
CONNECTIONS = 500
"""Connections at once, before one that says nothing has to go for one that comes."""
BESIDE = 4
"""What waitress counts beside them: the socket that listens, what wakes its thread, one that comes and one that goes."""


_FOLDED = re.compile(rb"\n[ \t]")


class Brief(Protocol):
    """Requests that take so little time that no other has to wait for them."""

    def takes(self, method: str, path: str, length: int) -> bool:
        """Whether one is, by the length of its body in bytes."""

    def answer(self, peer: str, sent: Mapping[str, str], body: bytes) -> bytes:
        """The whole answer, as HTTP/1.1 has it, of a connection that stays open; headers are named as CGI names them."""


class WebServer:
    """Serves one application.

    Args:
        application: the WSGI application.
        host: address to listen on.
        port: 0 for any that is free.
        name: of its thread.
        brief: what is answered by the thread that reads.

    Raises:
        SettingsError: nobody can listen there.
    """

    def __init__(self, application: Any, host: str, port: int, name: str, brief: Brief | None = None) -> None:
        listening = listen(host, port)
        adjustments = Adjustments(
            ident="pawl",
            connection_limit=CONNECTIONS + BESIDE,
            asyncore_use_poll=True,  # select() knows no more than 1024 files
            # Refused from there on, before it is written to disk, whoever sends it.
            max_request_body_size=MAX_BODY + 1,
            clear_untrusted_proxy_headers=False,  # who floods is told from who shares a proxy with them by X-Forwarded-For
        )
        dispatcher = _Dispatcher(brief)
        dispatcher.set_thread_count(THREADS)
        self._server: Any = _Server(
            application, {}, True, listening, dispatcher, adjustments, bind_socket=False,
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
        )  # fmt: skip
        self.port: int = listening.getsockname()[1]
        self.address = f"http://{host}:{self.port}"
        self._thread = dispatcher.reader = threading.Thread(target=self._server.run, name=name, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Answer what is being asked, and nothing more."""
        # First the requests under way end, then the loop over the sockets: a worker wakes that loop when it is done, and
        # must still find what wakes it.
        self._server.task_dispatcher.shutdown(timeout=5)
        if not self._thread.is_alive():
            self._close()
            return
        trigger = self._server.trigger
        with trigger.lock:
            trigger.thunks.append(self._close)
            trigger._physical_pull()
        self._thread.join(5)

    def _close(self) -> None:
        for channel in list(self._server.active_channels.values()):
            channel.close_when_flushed = True
        self._server.close()


class _Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """A request, refused where a proxy in front may see it end elsewhere: what is behind would pass for another's."""

    def parse_header(self, header_plus: bytes) -> None:
        """Read its head.

        Raises:
            ParsingError: it is none, or can be read in two ways (RFC 9112, sections 5.2 and 6.1).
        """
        if _FOLDED.search(header_plus):
            raise ParsingError("A header goes on in a second line")
        try:
            super().parse_header(header_plus)
        except ValueError:  # an address that is none, or more digits than Python makes a number of
            raise ParsingError("The request's address or its Content-Length is invalid") from None
        if self.version not in ("1.0", "1.1"):
            raise ParsingError("This version of HTTP is not spoken here")
        # Of a version without chunks the header is left.
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Transfer-Encoding and something that contradicts it")


class _Refusal(Task):  # type: ignore[misc]
    """Answers what is no request, in the shape of every other answer."""

    complete = True

    def execute(self) -> None:
        """Do so."""
        error = self.request.error
        answer = Answer(HTTPStatus(error.code), error.body)
        body = shown(answer)
        self.status = f"{error.code} {error.reason}"
        self.response_headers.extend(headers(answer, body))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection."""

    parser_class = _Parser
    error_task_class = _Refusal
    due = False
    """Whether its next request is brief, and waits for the thread that has read it."""

    @staticmethod
    def task_class(channel: Any, request: Any) -> Task:
        """What answers a request."""
        due, channel.due = channel.due, False  # once, whatever becomes of it: its sender may be gone by now
        return _BriefTask(channel, request) if due else WSGITask(channel, request)

    def received(self, data: bytes) -> bool:
        """Take what was read, and answer what is complete and brief."""
        taken = bool(super().received(data))  # under a lock that answering needs
        while self.due:
            self.service()
        return taken


class _BriefTask(Task):  # type: ignore[misc]
    """Answers one brief request."""

    def service(self) -> None:
        """Do so."""
        channel, request = self.channel, self.request
        body = request.get_body_stream().read()
        channel.write_soon(
            channel.server.task_dispatcher.brief.answer(channel.addr[0], request.headers, body)
        )


class _Dispatcher(ThreadedTaskDispatcher):  # type: ignore[misc]
    """Hands requests to threads, but for the brief ones."""

    def __init__(self, brief: Brief | None) -> None:
        super().__init__()
        self.brief = brief
        self.reader = threading.current_thread()
        """The thread that reads."""

    def add_task(self, task: Any) -> None:
        """A connection's next request is complete."""
        request = task.requests[0]
        task.due = (
            self.brief is not None
            and threading.current_thread() is self.reader
            and not request.error
            and request.version == "1.1"
            and "CONNECTION" not in request.headers
            # Of a body in chunks the header says the length only now that it is complete.
            and self.brief.takes(
                request.command, request.path, int(request.headers.get("CONTENT_LENGTH", "0"))
            )
        )
        if not task.due:
            super().add_task(task)


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel
    task_dispatcher: _Dispatcher

    def handle_accept(self) -> None:
        """Take a connection. Where there are too many, the one that has been silent for longest goes for it."""
        here = [channel for channel in self.active_channels.values() if not channel.will_close]
        silent = [channel for channel in here if not channel.requests]  # what is being answered stays
        if len(here) >= CONNECTIONS and silent:
            # In the next round: in this one its number would be the new one's, which would be taken for it.
            min(silent, key=lambda channel: channel.last_activity).will_close = True
        super().handle_accept()

    def pull_trigger(self) -> None:
        """Wake the thread that reads, unless it is the one that asks."""
        if threading.current_thread() is not self.task_dispatcher.reader:
            super().pull_trigger()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there.

    Raises:
        SettingsError: nobody can.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=CONNECTIONS)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error}; set PAWL_HOST and PAWL_PORT") from None
