"""The one way from a task agent to its model: a Unix socket. Behind it this process forwards to one place, and takes notes.

The candidate has no network and no key; what answered, and how much, is known from here and not from what it says.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pawl.lab.tree import remove

MAX_BODY = 8 * 2**20
"""Bytes of a request or an answer."""
AT_ONCE = 8
MODELS, MODEL_NAME = 8, 200
"""Different models that are noted, and characters of a name."""
SECONDS = 600.0
"""Silence after which an answer is given up."""
_PASSED = ("content-type", "accept")
_ANSWERS = frozenset(
    ("POST", f"/v1/{name}")
    for name in ("chat/completions", "completions", "responses", "messages", "embeddings")
)
ALLOWED = _ANSWERS | {("GET", "/v1/models")}
"""What may be asked: a model's answers, and nothing that changes its server."""


@dataclass
class Notes:
    """What went through, as the model's own answers tell it."""

    models: set[str] = field(default_factory=set)
    requests: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    lost: str = ""
    """Why the model could not be reached; empty while it always could."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, answer: bytes) -> None:
        """Note one answer of the model: whole, or as the events of a stream."""
        told = [_object(part) for part in _parts(answer)]
        names = [name for each in told if isinstance(name := each.get("model"), str) and name]
        usage = [use for each in told if isinstance(use := each.get("usage"), dict)][-1:]
        with self._lock:
            self.requests += 1
            self.models |= {name[:MODEL_NAME] for name in names[: MODELS - len(self.models)]}
            for use in usage:
                self.tokens_in += _count(use, "prompt_tokens", "input_tokens")
                self.tokens_out += _count(use, "completion_tokens", "output_tokens")

    def lose(self, why: str) -> None:
        """Note that the model could not be reached."""
        with self._lock:
            self.lost = self.lost or why

    @property
    def telemetry(self) -> dict[str, float]:
        """The sums, by the names of the record."""
        return {
            "model_requests": float(self.requests),
            "model_tokens_in": float(self.tokens_in),
            "model_tokens_out": float(self.tokens_out),
        }


def _parts(answer: bytes) -> list[bytes]:
    events = [line[5:] for line in answer.splitlines() if line.startswith(b"data:")]
    return events or [answer]


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _count(usage: Any, *names: str) -> int:
    values = (usage.get(name) for name in names)
    return next((value for value in values if isinstance(value, int) and 0 <= value < 10**9), 0)


@dataclass(frozen=True)
class Upstream:
    """Where requests go: an address, or a server on a Unix socket."""

    address: str = ""
    path: Path | None = None

    def connect(self) -> http.client.HTTPConnection:
        """A connection that is not open yet."""
        if self.path is not None:
            return _UnixConnection(self.path)
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=SECONDS)

    def at(self, asked: str) -> str:
        """The path of one of the requests that are allowed."""
        return urlsplit(self.address).path.rstrip("/") + asked.removeprefix("/v1") if self.address else asked


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("model", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, upstream: Upstream, notes: Notes) -> None:
        self.upstream, self.notes = upstream, notes
        self.room = threading.Semaphore(AT_ONCE)
        super().__init__(str(path), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A candidate that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SECONDS
    server: _Server

    def address_string(self) -> str:
        return "run"

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - its name there
        pass

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def _forward(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            self.close_connection = True
            return self._refuse(413, "the request is too large, or does not tell its length")
        body = self.rfile.read(int(length))
        if (self.command, self.path) not in ALLOWED:
            return self._refuse(404, f"{self.command} {self.path[:80]} is not offered here")
        with self.server.room:
            try:
                status, data = self._ask(body)
            except (OSError, http.client.HTTPException) as error:
                return self._refuse(502, f"the model gave no answer: {type(error).__name__}")
        if len(data) > MAX_BODY:
            return self._refuse(502, "the answer is too large")
        if self.command == "POST" and status == HTTPStatus.OK:
            self.server.notes.take(data)
        return self._say(status, data)

    def _ask(self, body: bytes) -> tuple[int, bytes]:
        upstream = self.server.upstream
        headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED}
        with contextlib.closing(upstream.connect()) as connection:
            try:
                connection.connect()
            except OSError as error:
                self.server.notes.lose(f"{upstream.address or 'its server'}: {error}")
                raise
            connection.request(self.command, upstream.at(self.path), body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(MAX_BODY + 1)

    def _refuse(self, status: int, why: str) -> None:
        self._say(status, json.dumps({"error": {"message": why}}).encode())

    def _say(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def relay(upstream: Upstream) -> Iterator[tuple[Path, Notes]]:
    """A socket for one run, open to every user of this machine that can reach it, and gone afterwards."""
    # Paths of sockets are short by nature (108 bytes), and those of caches are not.
    folder = Path(tempfile.mkdtemp(prefix="pawl-model-"))
    path, notes = folder / "s", Notes()
    try:
        folder.chmod(0o755)
        server = _Server(path, upstream, notes)
        path.chmod(0o666)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield path, notes
        finally:
            server.shutdown()
            server.server_close()
    finally:
        remove(folder)
