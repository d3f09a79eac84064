"""The servers: a brief delivery is answered by the thread that reads, and nothing that is slow ever is."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from pawl.commands.granian_server import GranianServer, foreign_threads
from pawl.commands.serve import Server
from pawl.commands.server import WebServer
from pawl.control.errors import SettingsError
from pawl.control.events import Delivered
from pawl.web import Inside, create_app
from pawl.web.flood import SMALL
from pawl.web.gate import MAX_BODY, Gate
from pawl.web.rsgi import FrontDoor
from pawl.web.webhooks import BriefWebhooks

SECRET = "It's a Secret to Everybody"
AT = 1_800_000_000.0
SOON = 20.0
"""Seconds after which a test gives up."""


class House:
    """An App whose front door is a real server."""

    def __init__(self, kind: str) -> None:
        self.threads: dict[str, str] = {}
        """Which thread took a delivery."""
        self.together: list[int] = []
        """How many were taken at once, each time."""
        self.idle = True
        self.inside, self.go_on = threading.Event(), threading.Event()
        gate = Gate(SECRET, self._receive)
        pages = create_app(gate, Inside(lambda: True, lambda: {"name": "pawl"}, self._metrics))
        if kind == "granian":
            door = FrontDoor(gate, pages, lambda: self.idle)
            self.server: Server = GranianServer(door, "127.0.0.1", 0, "reader")
        else:
            brief = BriefWebhooks(gate, lambda: self.idle, lambda: AT)
            self.server = WebServer(pages, "127.0.0.1", 0, "reader", brief)

    def _receive(self, deliveries: Sequence[Delivered]) -> list[bool]:
        self.together.append(len(deliveries))
        for each in deliveries:
            self.threads[each.guid] = threading.current_thread().name
            if each.guid == "slow":
                self._metrics()
        return [True] * len(deliveries)

    def _metrics(self) -> bytes:
        """Takes as long as the test wants."""
        self.inside.set()
        assert self.go_on.wait(SOON)
        return b"slow\n"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.port), timeout=SOON)


@pytest.fixture(params=["waitress", "granian"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def house(kind: str) -> Iterator[House]:
    made = House(kind)
    made.server.start()
    yield made
    made.go_on.set()
    made.server.stop()


def delivery(name: str, size: int = 0, version: str = "1.1", more: str = "") -> bytes:
    body = b'{"filling": "' + b"x" * max(0, size - 15) + b'"}'
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return (
        f"POST /webhooks HTTP/{version}\r\nHost: pawl\r\nContent-Length: {len(body)}\r\nX-GitHub-Event: push\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nX-GitHub-Delivery: {name}\r\n{more}\r\n"
    ).encode() + body


def read(stream: Any) -> tuple[int, dict[str, str], str]:
    """One answer: status, headers, and the text in its body."""
    status = int(stream.readline().split()[1])
    headers = dict[str, str]()
    while line := stream.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, stream.read(int(headers["content-length"])).decode()


def asked(house: House, request: bytes) -> tuple[int, dict[str, str], str]:
    with house.connect() as line, line.makefile("rb") as stream:
        line.sendall(request)
        return read(stream)


def test_a_brief_delivery_is_answered_by_the_thread_that_reads(house: House) -> None:
    status, headers, text = asked(house, delivery("brief"))
    assert (status, json.loads(text)) == (202, {"message": "accepted"})
    assert house.threads == {"brief": "reader"}
    assert headers["date"].endswith(" GMT")


def test_both_ways_answer_alike(house: House) -> None:
    """A proxy, a client or a scanner cannot tell which one answered."""
    _, brief, _ = asked(house, delivery("brief"))
    house.idle = False
    _, other, _ = asked(house, delivery("other"))
    assert house.threads["other"] != "reader"
    own = {"date", "server"}
    assert {k: v for k, v in brief.items() if k not in own} == {
        k: v for k, v in other.items() if k not in own
    }


def test_a_long_delivery_is_handed_to_another_thread(house: House) -> None:
    """It takes its time to parse, while the thread that reads serves everybody."""
    assert asked(house, delivery("long", SMALL + 1))[0] == 202
    assert house.threads["long"] != "reader"


@pytest.mark.parametrize("last", [{"version": "1.0"}, {"more": "Connection: close\r\n"}])
def test_the_last_delivery_of_a_connection(house: House, last: dict[str, str]) -> None:
    with house.connect() as line, line.makefile("rb") as stream:
        line.sendall(delivery("last", **last))  # type: ignore[arg-type]
        assert read(stream)[0] == 202
        assert stream.read() == b""


def test_a_delivery_that_waits_for_the_database_keeps_nobody_waiting(house: House) -> None:
    """A look may write for a second; the thread that reads serves everybody."""
    house.idle = False
    with house.connect() as line, line.makefile("rb") as stream:
        line.sendall(delivery("slow"))
        assert house.inside.wait(SOON)
        assert asked(house, b"GET /healthz HTTP/1.1\r\nHost: pawl\r\n\r\n")[0] == 200
        house.idle = True
        assert asked(house, delivery("brief"))[0] == 202
        house.go_on.set()
        assert read(stream)[0] == 202


def test_what_is_asked_in_one_go_is_answered_in_order(house: House) -> None:
    """Brief deliveries behind a slow page wait for it, since the answers of a connection have no names."""
    with house.connect() as line, line.makefile("rb") as stream:
        page = b"GET /metrics HTTP/1.1\r\nHost: pawl\r\n\r\n"
        line.sendall(delivery("first") + page + delivery("second") + delivery("third"))
        assert read(stream)[0] == 202
        assert house.inside.wait(SOON)
        assert list(house.threads) == ["first"]
        house.go_on.set()
        assert [read(stream)[0] for _ in range(3)] == [200, 202, 202]
    assert list(house.threads) == ["first", "second", "third"]


def test_those_that_come_while_others_are_noted_are_noted_together() -> None:
    """On granian; each by itself would have to wait for the disk once more."""
    house = House("granian")
    house.server.start()
    lines = [house.connect() for _ in range(12)]
    lines[0].sendall(delivery("slow"))
    assert house.inside.wait(SOON)
    for number, line in enumerate(lines[1:]):
        line.sendall(delivery(f"n{number}"))
    house.go_on.set()
    for line in lines:
        with line, line.makefile("rb") as stream:
            assert read(stream)[0] == 202
    house.server.stop()
    assert sum(house.together) == len(lines)
    assert len(house.together) < len(lines)


def test_many_in_one_go(house: House) -> None:
    with house.connect() as line, line.makefile("rb") as stream:
        line.sendall(b"".join(delivery(f"n{n}") for n in range(50)))
        assert {read(stream)[0] for _ in range(50)} == {202}
    assert house.threads == {f"n{n}": "reader" for n in range(50)}


def test_a_delivery_that_comes_byte_by_byte(house: House) -> None:
    with house.connect() as line, line.makefile("rb") as stream:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in delivery("drip"):
            line.send(bytes([byte]))
        assert read(stream)[0] == 202


def test_a_wrong_signature_is_refused_at_once(house: House) -> None:
    status, headers, _ = asked(house, delivery("forged").replace(b"sha256=", b"sha256=0"))
    assert status == 401
    assert headers["content-security-policy"] == "default-src 'none'"
    assert house.threads == {}


def test_what_no_header_says_breaks_no_line(house: House) -> None:
    """Nothing of a request stands in the head of its answer."""
    status, headers, text = asked(house, delivery("a\tb\xff"[:3] + "x" * 200))
    assert status == 400
    assert re.fullmatch(r'\{"message": "[^"]+"\}\n', text)
    assert "x-github-delivery" not in headers


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(house: House) -> None:
    """Waitress would write a gigabyte to disk for anybody."""
    head = f"POST /webhooks HTTP/1.1\r\nHost: pawl\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
    assert asked(house, head.encode())[0] == 413


def test_connections_that_say_nothing_keep_no_delivery_out(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waitress left them alone for two minutes, and took no other meanwhile."""
    monkeypatch.setattr("pawl.commands.server.CONNECTIONS", 10)
    house = House(kind)
    house.server.start()
    with ExitStack() as held:
        held.callback(house.server.stop)
        asking = held.enter_context(house.connect())
        asking.sendall(b"GET /metrics HTTP/1.1\r\nHost: pawl\r\n\r\n")
        assert house.inside.wait(SOON)
        silent = [held.enter_context(house.connect()) for _ in range(30)]
        for line in silent[:15]:
            line.sendall(b"POST /webhooks HTTP/1.1\r\n")
        for number in range(30):
            assert asked(house, delivery(f"d{number}"))[0] == 202
        house.go_on.set()  # the oldest of all, but not silent: it waits for its answer
        assert read(held.enter_context(asking.makefile("rb")))[0] == 200


def test_what_is_asked_when_it_stops_is_answered(kind: str) -> None:
    house = House(kind)
    house.server.start()
    with house.connect() as line, line.makefile("rb") as stream:
        line.sendall(b"GET /metrics HTTP/1.1\r\nHost: pawl\r\n\r\n")
        assert house.inside.wait(SOON)
        stopping = threading.Thread(target=house.server.stop)
        stopping.start()
        house.go_on.set()
        assert read(stream)[0] == 200
        stopping.join(SOON)
        assert stream.read() == b""
    with pytest.raises(OSError, match=r"refused"):
        house.connect()


def test_nothing_of_granian_is_left_when_it_has_stopped() -> None:
    """A thread of its own that outlived Python by a moment aborted the process, in one stop of ten."""
    before = foreign_threads()
    house = House("granian")
    house.server.start()
    for _ in range(5):
        assert asked(house, delivery("brief"))[0] == 202
    house.server.stop()
    assert foreign_threads() <= before


def test_a_place_that_is_taken_is_named(house: House) -> None:
    with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{house.server.port}.*PAWL_PORT"):
        WebServer(create_app, "127.0.0.1", house.server.port, "second")


def test_a_name_with_several_addresses_is_one_server() -> None:
    """Waitress makes another kind of server of it, which could not be stopped."""
    server = WebServer(
        create_app(Gate(SECRET, lambda each: [True] * len(each)), Inside(lambda: True, dict, bytes)),
        "localhost",
        0,
        "web",
    )
    server.start()
    connection = http.client.HTTPConnection("localhost", server.port, timeout=SOON)
    connection.request("GET", "/healthz")
    assert connection.getresponse().status == 200
    connection.close()
    server.stop()
