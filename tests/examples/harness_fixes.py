"""A meta-agent that a script can be: it reads what the agent did in failed tasks, and mends the cause that most share.

`python harness_fixes.py` in a checkout, as a loop's `agent.command`. It knows what the mistakes of such agents look like in
a trajectory and how each is mended; which of them this agent makes, it learns from PAWL_TRACES alone.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

Steps = list[dict[str, Any]]
TRACES = Path("PAWL_TRACES")
AGENT = Path("agent.py")


def final(steps: Steps) -> str:
    """What the agent answered."""
    return str(steps[-1]["message"]).removeprefix("Final answer: ")


def results(steps: Steps) -> list[str]:
    """What its tools returned."""
    return [
        str(result["content"] or "")
        for step in steps
        for result in step.get("observation", {}).get("results", [])
    ]


def cut_short(steps: Steps) -> bool:
    """It answered with what the model said while it was still at work."""
    asked = [step for step in steps if step["source"] == "agent" and step.get("tool_calls")]
    return bool(asked) and asked[-1]["message"] == final(steps) and not asked[-1].get("observation")


def told_nothing(steps: Steps) -> bool:
    """A tool returned nothing at all."""
    return "" in results(steps)


def not_in_the_file(steps: Steps) -> bool:
    """It did not find what must be in the file that it read."""
    return final(steps).startswith("There is no ")


def in_the_head(steps: Steps) -> bool:
    """The model had to do sums by itself."""
    return any("in my head" in str(step.get("reasoning_content")) for step in steps)


def a_sentence(steps: Steps) -> bool:
    """It answered in a sentence what a word would have answered."""
    return final(steps).count(" ") > 2 and final(steps).startswith(("Yes, ", "No, "))


ADDER = """    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add numbers up.",
            "parameters": {
                "type": "object",
                "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
                "required": ["numbers"],
            },
        },
    },
]


def read_file("""

FIXES: dict[Callable[[Steps], bool], tuple[str, list[tuple[str, str]]]] = {
    cut_short: (
        "What the model says beside a call of a tool is no answer yet",
        [('if reply.get("content"):', 'if reply.get("content") and not reply.get("tool_calls"):')],
    ),
    told_nothing: (
        "A file that is not there is told as an error, with the names that are",
        [('        return ""\n    return text', '        names = ", ".join(sorted(each.name for each in folder.iterdir()))\n'
          '        return f"error: no such file; there are {names}"\n    return text')],
    ),
    not_in_the_file: ("Files are read whole", [('return text.partition("\\n\\n")[0]', "return text")]),
    in_the_head: (
        "A tool adds numbers, since the model cannot",
        [("]\n\n\ndef read_file(", ADDER),
         ('    if name == "read_file":', '    if name == "add":\n        return str(sum(arguments.get("numbers", [])))\n'
          '    if name == "read_file":')],
    ),
    a_sentence: (
        "The prompt says what an answer looks like",
        [('Use the tools to look into them."', 'Use the tools to look into them. Answer with the value alone."')],
    ),
}  # fmt: skip


def main() -> None:
    """Mend one cause, and say what that should bring."""
    source = AGENT.read_text()
    failed = [json.loads(path.read_text())["steps"] for path in sorted(TRACES.glob("*.json"))]
    counts = Counter(sign for steps in failed for sign in FIXES if sign(steps))
    for sign, count in counts.most_common():
        hypothesis, edits = FIXES[sign]
        if all(source.count(old) == 1 for old, _ in edits):
            for old, new in edits:
                source = source.replace(old, new)
            AGENT.write_text(source)
            told = {
                "hypothesis": f"{hypothesis}: {count} of {len(failed)} failures show it.",
                "predicted": 0.1,
            }
            Path("PAWL_PROPOSAL.json").write_text(json.dumps(told))
            return
    if not failed:
        # There are no traces before the first experiment: look at the agent alone.
        AGENT.write_text(source.replace('"Read a file."', '"Read a file by its name."'))
        told = {"hypothesis": "The tool says how it is called. Nothing has been tried yet.", "predicted": 0.0}
        Path("PAWL_PROPOSAL.json").write_text(json.dumps(told))
        return
    sys.exit("Nothing in these traces tells what to mend.")


if __name__ == "__main__":
    main()
