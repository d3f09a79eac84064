"""Scripted servers that speak OpenAI's and Anthropic's language over loopback, with every fault a real one has shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Language = Literal["openai", "anthropic"]
MODEL = "scripted-1-20261101"
KEY = "key-of-the-scripted-server-0123456789"


@dataclass(frozen=True)
class Call:
    """A tool that the model calls. `arguments` may be text that is no JSON."""

    tool: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True)
class Reply:
    """One answer of the server, or one of its faults."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    model: str = MODEL
    finish: str = ""
    tokens: tuple[int, int] = (1000, 100)
    """Input and output."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    error: str = ""
    raw: bytes | None = None
    """Sent as it is instead of an answer."""
    cut: bool = False
    """The connection ends in the middle of the answer."""
    hang: bool = False
    """Nothing is said until the server is closed."""


def submit(
    blocks: dict[str, str], hypothesis: str = "a better value", predicted: float | None = 0.5
) -> Reply:
    """The model submits an edit by blocks."""
    arguments = {
        "hypothesis": hypothesis,
        "predicted_effect": predicted,
        "blocks": [{"search": search, "replace": replace} for search, replace in blocks.items()],
    }
    return Reply(calls=(Call("submit", arguments),))


def use(tool: str, **arguments: Any) -> Reply:
    """The model calls one tool."""
    return Reply(calls=(Call(tool, arguments),))


@dataclass
class Heard:
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


Script = Iterable[Reply] | Callable[[dict[str, Any], int], Reply]


class ModelServer:
    """A server that follows a script; when that is at its end, the last reply is repeated."""

    def __init__(self, language: Language, script: Script) -> None:
        self.language: Language = language
        self.heard: list[Heard] = []
        self._script = script if callable(script) else None
        self._replies: Iterator[Reply] = iter(()) if callable(script) else iter(script)
        self._last = Reply(text="nothing")
        self._lock = threading.Lock()
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server._answer(self, body)

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        host = f"http://127.0.0.1:{self._http.server_address[1]}"
        self.base_url = f"{host}/v1" if language == "openai" else host
        self.model = f"{language}:scripted-1"

    def start(self) -> ModelServer:
        self._thread.start()
        return self

    def close(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._http.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.heard.append(Heard(handler.path, {k.lower(): v for k, v in handler.headers.items()}, body))
            if self._script is not None:
                reply = self._script(body, len(self.heard))
            else:
                reply = self._last = next(self._replies, self._last)
            number = len(self.heard)
        if reply.hang:
            self._released.wait(60)
            handler.close_connection = True
            return
        if reply.status != 200:
            data = json.dumps(self._error(reply)).encode()
        else:
            data = (
                json.dumps(_SHAPES[self.language](reply, number)).encode() if reply.raw is None else reply.raw
            )
        try:
            handler.send_response(reply.status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(data)))
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(data[: len(data) // 2] if reply.cut else data)
        except OSError:
            pass  # the client has given up
        handler.close_connection = reply.cut

    def _error(self, reply: Reply) -> dict[str, Any]:
        message = reply.error or f"scripted {reply.status}"
        if self.language == "anthropic":
            kind = {
                429: "rate_limit_error",
                401: "authentication_error",
                404: "not_found_error",
                529: "overloaded_error",
            }
            return {
                "type": "error",
                "error": {"type": kind.get(reply.status, "invalid_request_error"), "message": message},
            }
        return {"error": {"message": message, "type": "scripted", "code": None}}


def _openai(reply: Reply, number: int) -> dict[str, Any]:
    calls = [
        {
            "id": f"call_{number}_{index}",
            "type": "function",
            "function": {
                "name": call.tool,
                "arguments": call.arguments
                if isinstance(call.arguments, str)
                else json.dumps(call.arguments),
            },
        }
        for index, call in enumerate(reply.calls)
    ]
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
    if calls:
        message["tool_calls"] = calls
    if reply.thinking:
        message["reasoning_content"] = reply.thinking
    finish = {"refusal": "content_filter"}.get(reply.finish, reply.finish) or (
        "tool_calls" if calls else "stop"
    )
    return {
        "id": f"answer-{number}",
        "object": "chat.completion",
        "created": 1700000000,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish, "logprobs": None}],
        "usage": {
            "prompt_tokens": reply.tokens[0],
            "completion_tokens": reply.tokens[1],
            "total_tokens": sum(reply.tokens),
        },
    }


def _anthropic(reply: Reply, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if reply.thinking:
        content.append({"type": "thinking", "thinking": reply.thinking, "signature": "signed"})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for index, call in enumerate(reply.calls):
        content.append(
            {"type": "tool_use", "id": f"toolu_{number}_{index}", "name": call.tool, "input": call.arguments}
        )
    finish = reply.finish or ("tool_use" if reply.calls else "end_turn")
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": content,
        "stop_reason": finish,
        "stop_sequence": None,
        "usage": {"input_tokens": reply.tokens[0], "output_tokens": reply.tokens[1]},
    }


_SHAPES: dict[str, Callable[[Reply, int], dict[str, Any]]] = {"openai": _openai, "anthropic": _anthropic}


@contextmanager
def model_server(language: Language, script: Script) -> Iterator[ModelServer]:
    """A server that runs meanwhile."""
    server = ModelServer(language, script).start()
    try:
        yield server
    finally:
        server.close()
