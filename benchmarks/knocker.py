"""Somebody who delivers webhooks: signed requests on a few connections, as fast as they are answered or at a fixed rate."""

from __future__ import annotations

import hashlib
import hmac
import re
import select
import socket
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import quantiles

CONNECTIONS = 16
TAKEN = (b"HTTP/1.1 200", b"HTTP/1.1 202")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STUCK = 30.0
"""Seconds after which a server that does not answer ends the benchmark."""


@dataclass
class Answers:
    """What came back."""

    seconds: float
    """How long was delivered."""
    took: list[float] = field(default_factory=list)
    """Seconds of each delivery, from when it was due to the end of its answer."""

    @property
    def rate(self) -> float:
        """Deliveries acknowledged in a second."""
        return len(self.took) / self.seconds

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 deliveries kept."""
        return quantiles(self.took, n=100)[98]


@dataclass(frozen=True)
class Parcel:
    """A delivery that is signed once, and sent again and again under new ids: the signature covers the body alone."""

    head: bytes
    tail: bytes

    @classmethod
    def of(cls, path: str, event: str, body: bytes, secret: str) -> Parcel:
        """One in the form that GitHub gives it."""
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-GitHub-Event: {event}\r\n"
            f"X-GitHub-Hook-ID: 292430182\r\nX-Hub-Signature-256: sha256={signature}\r\nX-GitHub-Delivery: "
        )
        return cls(head.encode(), b"\r\n\r\n" + body)

    def fresh(self) -> bytes:
        """The bytes of a request, with an id that nobody has seen."""
        return self.head + str(uuid.uuid4()).encode() + self.tail


def as_fast_as_may_be(port: int, parcel: Parcel, seconds: float) -> Answers:
    """Every connection delivers again as soon as it is answered."""
    end = time.perf_counter() + seconds
    return _deliver(port, parcel, lambda: 0.0 if time.perf_counter() < end else None)


def steadily(port: int, parcel: Parcel, per_second: float, seconds: float) -> Answers:
    """A delivery at every tick, however long the others take: what waits for a connection counts from its tick on."""
    start, sent = time.perf_counter(), 0

    def due() -> float | None:
        nonlocal sent
        if sent >= per_second * seconds:
            return None
        sent += 1
        return start + sent / per_second

    return _deliver(port, parcel, due)


def _deliver(port: int, parcel: Parcel, due: Callable[[], float | None]) -> Answers:
    """Deliver on every connection that is free at the times that `due` gives (0: at once), until it gives none."""
    poll, lines = select.epoll(), {}
    for _ in range(CONNECTIONS):
        line = socket.create_connection(("127.0.0.1", port), timeout=STUCK)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines[line.fileno()] = line
        poll.register(line, select.EPOLLIN)
    free, since, heard = deque(lines.values()), dict[int, float](), defaultdict[int, bytes](bytes)
    begun = time.perf_counter()
    answers, at = Answers(0.0), due()
    try:
        while at is not None or since:
            now = time.perf_counter()
            while free and at is not None and at <= now:
                line = free.popleft()
                line.sendall(parcel.fresh())
                since[line.fileno()] = at or time.perf_counter()
                at = due()
            wait = STUCK if at is None or not free else max(0.0, at - time.perf_counter())
            ready = poll.poll(wait)
            if not ready and wait == STUCK:
                raise RuntimeError("the server does not answer")
            for number, _ in ready:
                heard[number] += lines[number].recv(65536)
                if not _whole(heard[number]):
                    continue
                if heard.pop(number)[:12] not in TAKEN:
                    raise RuntimeError("a delivery was refused")
                answers.took.append(time.perf_counter() - since.pop(number))
                free.append(lines[number])
        answers.seconds = time.perf_counter() - begun
    finally:
        poll.close()
        for line in lines.values():
            line.close()
    return answers


def _whole(answer: bytes) -> bool:
    """Whether an answer has come to its end; one that ends before it, or is in chunks, breaks the benchmark."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not answer or (found and not (length := _LENGTH.search(head))):
        raise RuntimeError(f"no answer that is understood: {answer[:200]!r}")
    return bool(found) and len(body) >= int(length[1])
