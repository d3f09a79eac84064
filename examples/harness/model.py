"""A stand-in for a language model: it reads conversations literally, needs no key, and says the same thing every time.

Serves the part of OpenAI's chat completions that the agent uses on the Unix socket PAWL_MODEL_SOCKET. What it can and cannot
do follows from what it is shown, as with a real one: it uses tools that are offered and described, believes what they
return, is bad at sums, narrates, and speaks in sentences unless it is told how to answer. Base code, apart from the agent.
"""

from __future__ import annotations

import json
import os
import re
import socketserver
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

NAME = "scripted-reader-1"
Message = dict[str, Any]
_FILE = re.compile(r"'([^']+)'")
_BRIEF = re.compile(
    r"\b(?:only|just|nothing but|no more than)\b[^.]*\b(?:answer|value|number|word|result)"
    r"|\b(?:answer|reply|respond)\b[^.]*\b(?:only|alone|nothing else|nothing more|single word|one word)\b",
    re.IGNORECASE,
)
_ERROR = re.compile(r"\b(?:no such|not found|does not exist|error|cannot|could not|unknown)\b", re.IGNORECASE)
_MORE = re.compile(r"\b(?:more|continues|left out|truncated|next (?:page|part|section))\b", re.IGNORECASE)


@dataclass
class Conversation:
    """What the model has been told so far."""

    system: str
    question: str
    tools: list[dict[str, Any]]
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    """Name, arguments and result of every call so far."""

    def tool(self, *described: str) -> dict[str, Any] | None:
        """The first tool offered whose name or description has one of these words."""
        words = re.compile(rf"\b(?:{'|'.join(described)})", re.IGNORECASE)
        fitting = (
            tool for tool in self.tools
            if words.search(f"{tool.get('name', '').replace('_', ' ')} {tool.get('description', '')}")
        )  # fmt: skip
        return next(fitting, None)

    @property
    def read(self) -> str:
        """Everything that was read."""
        return "\n".join(result for _, _, result in self.calls)

    @property
    def last(self) -> str:
        """What the last call returned."""
        return self.calls[-1][2]

    def tried(self, path: str) -> bool:
        """Whether a tool was called with that."""
        return any(path in arguments.values() for _, arguments, _ in self.calls)


def conversation(body: dict[str, Any]) -> Conversation:
    """A request, understood."""
    messages: list[Message] = body["messages"]
    system = "\n".join(str(each.get("content") or "") for each in messages if each["role"] == "system")
    question = next((str(each.get("content") or "") for each in messages if each["role"] == "user"), "")
    heard = Conversation(system, question, [tool["function"] for tool in body.get("tools") or []])
    results = {
        each.get("tool_call_id"): str(each.get("content") or "")
        for each in messages
        if each["role"] == "tool"
    }
    for message in messages:
        for call in message.get("tool_calls") or []:
            arguments = json.loads(call["function"]["arguments"] or "{}")
            heard.calls.append((call["function"]["name"], arguments, results.get(call["id"], "")))
    return heard


def reply(heard: Conversation) -> Message:
    """The next message."""
    named = _FILE.search(heard.question)
    if named is None:
        return say("I do not know what to look for.")
    reader = heard.tool("read", "open", "show")
    if reader is None:
        return say("I have no tool to read files.")
    if not heard.calls:
        return call(heard, reader, named[1])
    if not heard.last.strip():
        return say("The file is empty, so there is no answer in it.")
    if len(heard.last) < 400 and _ERROR.search(heard.last):
        return _recover(heard, reader, named[1])
    lister = heard.tool("list", "which files", "names of")
    if lister is not None and heard.calls[-1][0] == lister["name"]:
        return _recover(heard, reader, named[1])
    return _answer(heard, reader)


def _recover(heard: Conversation, reader: dict[str, Any], wanted: str) -> Message:
    """After an error: another name that was told, or a look at what there is."""
    for name in re.findall(r"[\w-]+\.\w+", heard.last):
        if name.partition(".")[0].casefold() == wanted.partition(".")[0].casefold() and not heard.tried(name):
            return call(heard, reader, name)
    lister = heard.tool("list", "which files", "names of")
    if lister is not None and not any(name == lister["name"] for name, _, _ in heard.calls):
        return call(heard, lister, "")
    return say(f"I could not open '{wanted}'.")


def _answer(heard: Conversation, reader: dict[str, Any]) -> Message:
    question, text = heard.question, heard.read
    if order := re.search(r"order (\d+)", question):
        if found := re.search(rf"^{order[1]},(\w+)$", text, re.MULTILINE):
            return say(found[1])
        return _read_on(heard, reader) or say(f"There is no order {order[1]} in the file.")
    if "cost together" in question:
        hall, food = (int(found) for found in re.findall(r"costs (\d+)", text)[:2])
        return say(str(hall + food))
    if "total" in question:
        return _total(heard)
    if "code word" in question:
        if found := re.search(r"code word is (\w+)", heard.last):
            return say(found[1])
        onward = _FILE.search(heard.last)
        if onward is None:
            return say("It ends here.")
        return call(heard, reader, onward[1], f"The note says to go on with {onward[1]}.")
    if "city" in question:
        found = re.search(r"City: (\w+)", text)
        return say(found[1] if found else "The file names no city.")
    if "before noon" in question and (at := re.search(r"(\d\d):(\d\d)", text)):
        word = "yes" if int(at[1]) < 12 else "no"
        return say(
            word if _BRIEF.search(heard.system) else f"{word.capitalize()}, the meeting is at {at[0]}."
        )
    return say("I do not know.")


def _read_on(heard: Conversation, reader: dict[str, Any]) -> Message | None:
    """The next part of a file, if the last one said that there is more and the tool can be asked for it."""
    numbers = [
        name for name, kind in reader["parameters"].get("properties", {}).items()
        if kind.get("type") in ("integer", "number")
    ]  # fmt: skip
    if not numbers or not _MORE.search(heard.last):
        return None
    _, arguments, _ = heard.calls[-1]
    told = re.search(rf"{numbers[0]}\D{{0,4}}(\d+)", heard.last)
    onward = int(told[1]) if told else int(arguments.get(numbers[0], 1)) + 1
    path = next(str(value) for value in arguments.values() if isinstance(value, str))
    message = call(heard, reader, path)
    merged = json.loads(message["tool_calls"][0]["function"]["arguments"]) | {numbers[0]: onward}
    message["tool_calls"][0]["function"]["arguments"] = json.dumps(merged)
    return message


def _total(heard: Conversation) -> Message:
    adder = heard.tool("add", "sum", "calculat", "arithmetic", "evaluat", "comput")
    if adder is not None and heard.calls[-1][0] == adder["name"]:
        found = re.search(r"-?\d+", heard.last.replace(",", ""))
        return say(found[0] if found else "The tool gave no number.")
    amounts = [int(found) for found in re.findall(r"^\w+ (\d+)$", heard.read, re.MULTILINE)]
    if adder is None:
        # Carries get lost in a head without paper.
        message = say(str(sum(amounts) - 10 * len(amounts)))
        return message | {"reasoning_content": "No tool adds numbers for me, so I do it in my head."}
    kinds = adder["parameters"].get("properties", {})
    listed = any(kind.get("type") == "array" for kind in kinds.values())
    given: Any = amounts if listed else " + ".join(map(str, amounts))
    return call(heard, adder, given)


def say(text: str) -> Message:
    """An answer."""
    return {"role": "assistant", "content": text}


def call(heard: Conversation, tool: dict[str, Any], value: Any, aloud: str = "") -> Message:
    """A call of a tool with one argument, its first; said aloud, as models do."""
    names = list(tool["parameters"].get("properties", {}))
    arguments = json.dumps({names[0]: value} if names else {})
    asked = {"id": f"call_{len(heard.calls) + 1}", "type": "function"}
    function = {"name": tool["name"], "arguments": arguments}
    return {"role": "assistant", "content": aloud or None, "tool_calls": [asked | {"function": function}]}


class Answer(BaseHTTPRequestHandler):
    """One request to the model."""

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        """Nobody is at the other end of a Unix socket."""
        return "agent"

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """The list of models."""
        self._send({"object": "list", "data": [{"id": NAME, "object": "model"}]})

    def do_POST(self) -> None:
        """A chat completion."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        message = reply(conversation(body))
        usage = {
            "prompt_tokens": len(json.dumps(body["messages"])) // 4,
            "completion_tokens": len(json.dumps(message)) // 4,
        }
        finish = "tool_calls" if message.get("tool_calls") else "stop"
        choice = {"index": 0, "message": message, "finish_reason": finish}
        self._send({"object": "chat.completion", "model": NAME, "choices": [choice], "usage": usage})

    def _send(self, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Server(socketserver.ThreadingUnixStreamServer):
    """Serves one run of the agent."""

    daemon_threads = True


if __name__ == "__main__":
    Server(os.environ["PAWL_MODEL_SOCKET"], Answer).serve_forever()
