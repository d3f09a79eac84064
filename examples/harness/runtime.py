"""Runs the agent on a block of tasks: `python runtime.py`. It reaches the model, and writes answers and trajectories.

A task is a folder of PAWL_INPUTS with `question.txt` and `files/`. Its name tells nothing, and is what the answer goes by.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import traceback
from pathlib import Path
from typing import Any

import agent

ANSWERS = Path("answers.json")
TRAJECTORIES = Path("trajectories")
LONGEST = 500
"""Characters of an answer."""


class _Connection(http.client.HTTPConnection):
    """HTTP to the socket that Pawl gives a run."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(os.environ["PAWL_MODEL_SOCKET"])


def _ask(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    connection = _Connection("model")
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"the model answered {answer.status}: {told[:500].decode(errors='replace')}")
        found: dict[str, Any] = json.loads(told)
        return found
    finally:
        connection.close()


class Model:
    """The model, for one task: every message is remembered as a step of ATIF."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.steps: list[dict[str, Any]] = []
        self._heard = 0

    def chat(
        self, messages: list[dict[str, Any]], tools: list[dict[str, Any]], temperature: float = 0.0
    ) -> dict[str, Any]:
        """The next message of a conversation, in OpenAI's format."""
        for message in messages[self._heard :]:
            self._hear(message)
        body: dict[str, Any] = {"model": self.name, "messages": messages, "temperature": temperature}
        told = _ask("POST", "/v1/chat/completions", body | ({"tools": tools} if tools else {}))
        reply: dict[str, Any] = told["choices"][0]["message"]
        # What the agent adds for itself comes after what the model has just said.
        self._heard = len(messages) + 1
        usage = told.get("usage") or {}
        self._step("agent", reply.get("content") or "", model_name=str(told.get("model", self.name)), metrics={
            "prompt_tokens": usage.get("prompt_tokens"), "completion_tokens": usage.get("completion_tokens"),
        })  # fmt: skip
        if reply.get("reasoning_content"):
            self.steps[-1]["reasoning_content"] = reply["reasoning_content"]
        calls = [_tool_call(call) for call in reply.get("tool_calls") or []]
        if calls:
            self.steps[-1]["tool_calls"] = calls
        return reply

    def _hear(self, message: dict[str, Any]) -> None:
        text = str(message.get("content") or "")
        if message["role"] != "tool":
            self._step("system" if message["role"] == "system" else "user", text)
            return
        asked = next(step for step in reversed(self.steps) if step["source"] == "agent")
        results = asked.setdefault("observation", {"results": []})["results"]
        known = [call["tool_call_id"] for call in asked.get("tool_calls", [])]
        called = message.get("tool_call_id")
        results.append({"source_call_id": called if called in known else None, "content": text})

    def _step(self, source: str, message: str, **more: Any) -> None:
        self.steps.append({"step_id": len(self.steps) + 1, "source": source, "message": message, **more})

    def trajectory(self, answer: str) -> dict[str, Any]:
        """Everything that was said, and what the agent made of it."""
        self._step("agent", f"Final answer: {answer}", llm_call_count=0)
        who = {"name": "harness", "version": "1", "model_name": self.name}
        return {"schema_version": "ATIF-v1.8", "agent": who, "steps": self.steps}


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    function = call["function"]
    try:
        arguments = json.loads(function["arguments"] or "{}")
    except ValueError:
        arguments = {"unreadable": function["arguments"]}
    return {"tool_call_id": call["id"], "function_name": function["name"], "arguments": arguments}


def main() -> None:
    """Answer every task of the block. One that fails leaves an empty answer, and the error in its trajectory."""
    name = str(_ask("GET", "/v1/models")["data"][0]["id"])
    answers = {}
    TRAJECTORIES.mkdir(exist_ok=True)
    for task in sorted(Path(os.environ["PAWL_INPUTS"]).iterdir()):
        model = Model(name)
        try:
            answer = str(agent.solve((task / "question.txt").read_text(), task / "files", model))[:LONGEST]
        except Exception:
            answer = ""
            model._step("system", f"The agent failed:\n{traceback.format_exc()[-2000:]}")
        answers[task.name] = answer
        path = TRAJECTORIES / f"{task.name}.json"
        path.write_text(json.dumps(model.trajectory(answer)))
    ANSWERS.write_text(json.dumps(answers))
    print(f"{len(answers)} tasks answered")


if __name__ == "__main__":
    main()
