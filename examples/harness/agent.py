"""A small agent that answers a question about a folder of files. This is the one editable file.

`runtime.py` calls `solve` for every task of a block, each with its own folder, and writes down what was said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROMPT = "You answer questions about files. Use the tools to look into them."
STEPS = 12
TEMPERATURE = 0.2

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "read_file",
            "description": "Read a file.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}},
                "required": ["path"],
            },
        },
    },
]


def read_file(folder: Path, path: str) -> str:
    """A file's text, kept short so that a conversation stays cheap."""
    try:
        text = (folder / path).read_text()
    except OSError:
        return ""
    return text.partition("\n\n")[0]


def use(folder: Path, name: str, arguments: dict[str, Any]) -> str:
    """Call a tool by its name."""
    if name == "read_file":
        return read_file(folder, str(arguments.get("path", "")))
    return ""


def solve(question: str, folder: Path, model: Any) -> str:
    """The answer to one task.

    Args:
        question: what is asked.
        folder: the task's files.
        model: its `chat(messages, tools, temperature)` gives the next message of a conversation (OpenAI's format).
    """
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": PROMPT},
        {"role": "user", "content": question},
    ]
    for _ in range(STEPS):
        reply = model.chat(messages, TOOLS, temperature=TEMPERATURE)
        if reply.get("content"):
            return str(reply["content"]).strip()
        messages.append(reply)
        for call in reply.get("tool_calls") or []:
            arguments = json.loads(call["function"]["arguments"] or "{}")
            result = use(folder, call["function"]["name"], arguments)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    return ""
