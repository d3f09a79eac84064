"""An agent's trajectory retold in few words, for a model that is to learn from it."""

from __future__ import annotations

import json
from typing import Any

from pawl.meta.quoted import cut

TEXT = 400
"""Characters of one text in it."""


def retold(trajectory: str, limit: int) -> str:
    """The steps of a trajectory in ATIF, each text cut; the text itself, cut, where it is no trajectory.

    What comes back is as foreign as what went in: it belongs into a quote.

    Args:
        trajectory: ATIF's JSON, from anybody.
        limit: characters.
    """
    try:
        told = json.loads(trajectory)
        lines = [line for step in told["steps"] for line in _step(step)]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return cut(trajectory, limit)
    return cut("\n".join(lines), limit)


def _step(step: dict[str, Any]) -> list[str]:
    lines = []
    if reasoning := step.get("reasoning_content"):
        lines.append(f"{step['source']} (thinking): {_short(reasoning)}")
    if step.get("message") or not step.get("tool_calls"):
        lines.append(f"{step['source']}: {_short(step.get('message'))}")
    for call in step.get("tool_calls") or []:
        lines.append(
            f"{step['source']} calls {_short(call['function_name'])} {_short(call.get('arguments'))}"
        )
    for result in (step.get("observation") or {}).get("results") or []:
        lines.append(f"  result: {_short(result.get('content')) or '(empty)'}")
    return lines


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return cut(text, TEXT)
