"""What a hostile sender puts on the wire, byte by byte: the server in front of Flask is part of the door."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress

import pytest

from pawl.commands.granian_server import GranianServer
from pawl.commands.serve import Server
from pawl.commands.server import WebServer
from pawl.control.events import Delivered
from pawl.web import Inside, create_app
from pawl.web.flood import BURST, SMALL
from pawl.web.gate import MAX_BODY, Gate
from pawl.web.rsgi import PART, FrontDoor
from pawl.web.webhooks import BriefWebhooks

SECRET = "hush"
BODY = b'{"action": "opened"}'


@pytest.fixture
def received() -> list[str]:
    return []


@pytest.fixture(params=["waitress", "granian"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def port(kind: str, received: list[str]) -> Iterator[int]:
    def receive(deliveries: Sequence[Delivered]) -> list[bool]:
        received.extend(each.guid for each in deliveries)
        return [True] * len(deliveries)

    gate = Gate(SECRET, receive)
    pages = create_app(gate, Inside(lambda: True, dict, bytes))
    server: Server
    if kind == "granian":
        server = GranianServer(FrontDoor(gate, pages, lambda: True), "127.0.0.1", 0, "web")
    else:
        brief = BriefWebhooks(gate, lambda: True, lambda: 0.0)
        server = WebServer(pages, "127.0.0.1", 0, "web", brief)
    server.start()
    yield server.port
    server.stop()


def head(*more: str, body: bytes = BODY, version: str = "1.1", close: bool = True) -> bytes:
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    lines = [f"POST /webhooks HTTP/{version}", "Host: here", "X-GitHub-Event: issues", "X-GitHub-Delivery: one",
             *(["Connection: close"] if close else []), *more]  # fmt: skip
    if not any(line.startswith("X-Hub-Signature-256") for line in more):
        lines.append(f"X-Hub-Signature-256: sha256={made}")
    return "\r\n".join([*lines, "", ""]).encode()


def said(port: int, *parts: bytes, cut: bool = False) -> bytes:
    """All that is answered to these bytes; after them the sender waits, or is gone if they are cut off."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        with suppress(OSError):  # who is refused at the first line may find the connection closed
            for part in parts:
                wire.sendall(part)
            if cut:
                wire.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := wire.recv(65536):
                answer += more
    return answer


def status(port: int, *parts: bytes, cut: bool = False) -> int:
    """What is answered to them; 0 if nothing is."""
    answer = said(port, *parts, cut=cut)
    return int(answer.split()[1]) if answer else 0


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def page(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode()


LENGTH, CHUNKED = f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("more", "body", "wanted"),
    [
        ([LENGTH], BODY, {202}),
        ([CHUNKED], chunked(BODY), {202}),
        ([f"Content-Length: {len(BODY) - 1}"], BODY, {401}),
        ([CHUNKED], b"zz\r\n" + BODY, {400, 401}),
        ([f"Content-Length: {MAX_BODY + 1}"], b"", {413}),
        (["Content-Length: -5"], BODY, {400}),
        ([f"Content-Length: {'9' * 5000}"], BODY, {400}),
        ([LENGTH, "Content-Length: 3"], BODY, {400}),
        (["Transfer-Encoding: gzip"], BODY, {400, 501}),
        (["X-Hub-Signature-256: sha256=00", LENGTH], BODY, {401}),
        ([LENGTH, "X-Other: a\x00b"], BODY, {400}),
        ([LENGTH, "X-Other: a\r\n b"], BODY, {400}),
    ],
    ids=["whole", "chunked", "short length", "no chunk", "too large", "negative length",
         "length of 5000 digits", "two lengths", "packed", "wrong signature", "nul", "folded"],
)  # fmt: skip
def test_only_a_whole_delivery_comes_in(
    port: int, received: list[str], more: list[str], body: bytes, wanted: set[int]
) -> None:
    assert status(port, head(*more), body) in wanted
    assert received == ["one"] * (wanted == {202})


@pytest.mark.parametrize(("more", "body"), [(LENGTH, BODY[:9]), (CHUNKED, chunked(BODY)[:-9])])
def test_what_is_cut_off_is_no_delivery(port: int, received: list[str], more: str, body: bytes) -> None:
    """Nor is it a fault inside, which granian's own error was taken for."""
    assert status(port, head(more), body, cut=True) in (0, 400, 401)
    assert received == []


@pytest.mark.parametrize("kind", ["granian"], indirect=True)
def test_crumbs_are_soon_too_many(port: int, received: list[str]) -> None:
    """Five megabytes in chunks of one byte each took the event loop a quarter of a minute."""
    crumbs = MAX_BODY // PART + 2
    assert status(port, head(CHUNKED, body=b" " * crumbs), b"1\r\n \r\n" * crumbs + b"0\r\n\r\n") == 413


@pytest.mark.parametrize(
    "smuggler",
    [
        head(LENGTH, CHUNKED, close=False),
        head(CHUNKED, LENGTH, close=False),
        head("Transfer-Encoding:\r\n chunked", LENGTH, close=False),
        head(CHUNKED, LENGTH, "Connection: keep-alive", version="1.0", close=False),
        head(CHUNKED, LENGTH, "Connection: keep-alive", version="1.9", close=False),
    ],
    ids=["length first", "chunks first", "folded", "of an older version", "of a newer version"],
)
def test_nothing_is_smuggled_behind_a_request_with_two_ends(port: int, smuggler: bytes) -> None:
    """A proxy that believes the length passes all of this on as one request; who believes the chunks saw two.

    Whoever comes next by that proxy would be given the answer to the second one.
    """
    behind = b"0\r\n\r\n" + page("/healthz")
    answer = said(port, smuggler, behind)
    assert answer.count(b"HTTP/1.") == 1
    assert b'"ok"' not in answer


@pytest.mark.parametrize(
    "kind", ["waitress"], indirect=True
)  # granian's refusals have no body, and are its own
@pytest.mark.parametrize(
    "request_",
    [b"GET /\xff HTTP/1.1\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n", head(LENGTH, CHUNKED),
     b"GET / HTTP/1.1\r\nX: " + b"x" * 2**18],
    ids=["no address", "half an address", "HTTP/2", "two ends", "too many headers"],
)  # fmt: skip
def test_what_the_server_refuses_itself_looks_like_every_other_answer(port: int, request_: bytes) -> None:
    answer = said(port, request_)
    assert answer.split()[1] in (b"400", b"431")
    assert b"Content-Security-Policy: default-src 'none'" in answer
    assert b"Content-Type: application/json" in answer
    assert b'\r\n\r\n{"message": "' in answer


@pytest.mark.parametrize(
    "path", ["//[", "/healthz%3Fx", "/%23/healthz", "//here/healthz", "/webhooks/../healthz"]
)
def test_a_path_is_only_a_path(port: int, path: str) -> None:
    """Granian hands it over decoded. Taken for an address it was a host, a query, or a fault inside."""
    assert status(port, page(path)) == 404


def test_a_flooder_keeps_nobody_out_who_comes_by_the_same_proxy(port: int, received: list[str]) -> None:
    """Waitress drops X-Forwarded-For unless it is told not to: then all of a proxy was one source, and a stranger's
    two dozen wrong signatures had GitHub's own large deliveries refused for as long as he went on."""
    large = b'{"text": "' + b"x" * SMALL + b'"}'
    length = f"Content-Length: {len(large)}"
    flooder = head("X-Forwarded-For: 203.0.113.7", "X-Hub-Signature-256: sha256=00", length)
    assert [status(port, flooder, large) for _ in range(BURST + 1)][-1] == 429
    assert status(port, head("X-Forwarded-For: 140.82.115.1", length, body=large), large) == 202
    assert received == ["one"]


def test_chunks_hide_no_large_body(port: int, received: list[str]) -> None:
    """Who floods has no large body looked at, whether or not its length is said before it comes."""
    large = b'{"text": "' + b"x" * SMALL + b'"}'
    flooder = head("X-Forwarded-For: 203.0.113.7", "X-Hub-Signature-256: sha256=00", LENGTH)
    for _ in range(BURST + 1):
        status(port, flooder, BODY)
    genuine = head("X-Forwarded-For: 203.0.113.7", CHUNKED, body=large)
    assert status(port, genuine, chunked(large)) == 429
    assert received == []


def test_those_who_send_slowly_keep_nobody_waiting(port: int, received: list[str]) -> None:
    """Each of them holds a connection, and none a thread."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(100)]
    for number, wire in enumerate(slow):
        wire.sendall(head(LENGTH)[: 40 + number] if number % 2 else head(LENGTH) + BODY[:5])
    assert status(port, head(LENGTH), BODY) == 202
    for wire in slow:
        wire.close()
    assert received == ["one"]
