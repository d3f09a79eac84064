"""What a hostile sender puts on the wire, byte by byte: the server in front of Flask is part of the door."""

from __future__ import annotations

import hashlib
import hmac
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest

from pawl.commands.server import WebServer
from pawl.web import MAX_BODY, Door, create_app

SECRET = "hush"
BODY = b'{"action": "opened"}'


@pytest.fixture
def received() -> list[str]:
    return []


@pytest.fixture
def port(received: list[str]) -> Iterator[int]:
    def receive(name: str, guid: str, payload: Mapping[str, Any]) -> bool:
        received.append(guid)
        return True

    server = WebServer(create_app(Door(SECRET, receive, lambda: True, dict, bytes)), "127.0.0.1", 0, "web")
    server.start()
    yield server.port
    server.stop()


def head(*more: str, body: bytes = BODY) -> bytes:
    made = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    lines = ["POST /webhooks HTTP/1.1", "Host: here", "Connection: close", "X-GitHub-Event: issues",
             "X-GitHub-Delivery: one", f"X-Hub-Signature-256: sha256={made}", *more]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


def status(port: int, *parts: bytes) -> int:
    """What is answered to these bytes, after which nothing more comes; 0 if nothing is."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        with suppress(OSError):  # who is refused at the first line may find the connection closed
            for part in parts:
                wire.sendall(part)
            wire.shutdown(socket.SHUT_WR)
        answer = wire.recv(65536)
    return int(answer.split()[1]) if answer else 0


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


LENGTH, CHUNKED = f"Content-Length: {len(BODY)}", "Transfer-Encoding: chunked"


@pytest.mark.parametrize(
    ("more", "body", "wanted"),
    [
        ([LENGTH], BODY, 202),
        ([CHUNKED], chunked(BODY), 202),
        ([f"Content-Length: {len(BODY) - 1}"], BODY, 401),
        ([LENGTH], BODY[:9], 0),
        ([CHUNKED], chunked(BODY)[:-9], 0),
        ([CHUNKED], b"zz\r\n" + BODY, 400),
        ([f"Content-Length: {MAX_BODY + 1}"], b"", 413),
        (["Content-Length: -5"], BODY, 400),
        ([LENGTH, "Content-Length: 3"], BODY, 400),
        (["Transfer-Encoding: gzip"], BODY, 501),
        ([LENGTH, "X-Hub-Signature-256: sha256=00"], BODY, 401),
        ([LENGTH, "X-Other: a\x00b"], BODY, 400),
    ],
    ids=["whole", "chunked", "short length", "cut off", "cut off in chunks", "no chunk", "too large", "negative length",
         "two lengths", "packed", "two signatures", "nul"],
)  # fmt: skip
def test_only_a_whole_delivery_comes_in(
    port: int, received: list[str], more: list[str], body: bytes, wanted: int
) -> None:
    assert status(port, head(*more), body) == wanted
    assert received == ["one"] * (wanted == 202)


def test_those_who_send_slowly_keep_nobody_waiting(port: int, received: list[str]) -> None:
    """Each of them holds a connection, and none a thread."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(100)]
    for number, wire in enumerate(slow):
        wire.sendall(head(LENGTH)[: 40 + number] if number % 2 else head(LENGTH) + BODY[:5])
    assert status(port, head(LENGTH), BODY) == 202
    for wire in slow:
        wire.close()
    assert received == ["one"]
