"""What coding agents print about their own cost: the JSON of those that are known, read without believing its shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MOST = 10**12


@dataclass(frozen=True)
class Report:
    """What one run says it took. Money in US dollars; none where it is not said."""

    models: tuple[str, ...] = ()
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    money: float | None = None


def report_of(output: str) -> Report:
    """The last report in an agent's output: ``claude -p --output-format json`` or ``stream-json``, or ``codex exec --json``.

    Output of any other kind gives an empty report.
    """
    models: list[str] = []
    found = Report()
    for event in _events(output):
        message = event.get("message")
        for holder in (event, message if isinstance(message, dict) else {}):
            if isinstance(model := holder.get("model"), str) and 0 < len(model) <= 200:
                models.append(model)
        if isinstance(named := event.get("modelUsage"), dict):
            models += [name for name in named if isinstance(name, str) and 0 < len(name) <= 200]
        if event.get("type") in ("result", "turn.completed"):
            found = _totals(event)
    unique = tuple(dict.fromkeys(models))[:8]
    return Report(unique, found.requests, found.tokens_in, found.tokens_cached, found.tokens_out, found.money)


def _totals(event: dict[str, Any]) -> Report:
    told = event.get("usage")
    usage: dict[str, Any] = told if isinstance(told, dict) else {}
    # Claude Code counts what it reads from and writes to its cache apart; Codex counts cached input within the input.
    read, written = (
        _count(usage.get("cache_read_input_tokens")),
        _count(usage.get("cache_creation_input_tokens")),
    )
    money = event.get("total_cost_usd")
    known = money if isinstance(money, (int, float)) and not isinstance(money, bool) else None
    return Report(
        requests=_count(event.get("num_turns")) or 1,
        tokens_in=_count(usage.get("input_tokens")) + read + written,
        tokens_cached=read + _count(usage.get("cached_input_tokens")),
        tokens_out=_count(usage.get("output_tokens")),
        money=float(known) if known is not None and 0 <= known < MOST else None,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST else 0


def _events(output: str) -> Iterator[dict[str, Any]]:
    for text in [output.strip(), *output.splitlines()]:
        if not text.lstrip().startswith(("{", "[")):
            continue
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            continue
        yield from (
            item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)
        )
