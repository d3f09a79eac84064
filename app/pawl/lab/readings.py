"""Numbers out of text: what a run printed, and what an evaluator answered. Both are read strictly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pawl.core.config import Metric
from pawl.lab.output import lines, one_line

MAX_ANSWER = 64 * 1024
MAX_NUMBERS = 64
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,63}")
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|inf(?:inity)?|nan)"


def strict_json(text: str | bytes) -> Any:
    """JSON without NaN, infinities, numbers that overflow, or the same key twice.

    Raises:
        ValueError: the text is not that.
    """

    def finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise ValueError(f"{number} is no finite number")
        return value

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no number")

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key is there twice")
        return found

    try:
        return json.loads(text, parse_float=finite, parse_constant=refuse, object_pairs_hook=once)
    except RecursionError:
        raise ValueError("nested too deep") from None


def printed_metric(text: str, metric: Metric) -> float | None:
    """The last value of the metric in a run's output: by its pattern, else the last ``name: number`` line.

    NaN and infinities are values here; None means that there is none.
    """
    pattern = re.compile(metric.pattern) if metric.pattern else _line_of(metric.name)
    found = None
    for line in lines(text):
        for match in pattern.finditer(line):
            try:
                found = float(match.group(1))
            except (TypeError, ValueError):
                found = math.nan
    return found


def printed_guards(text: str, names: Iterable[str]) -> dict[str, float]:
    """The last finite ``name: number`` line of each of these names."""
    patterns = {name: _line_of(name) for name in names}
    found = {}
    for line in lines(text):
        for name, pattern in patterns.items():
            match = pattern.match(line)
            if match and math.isfinite(value := float(match.group(1))):
                found[name] = value
    return found


def _line_of(name: str) -> re.Pattern[str]:
    return re.compile(rf"^\s*{re.escape(name)}(?:\s*[:=]\s*|\s+)({_NUMBER})(?=\s|,|;|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """What an evaluator said of one artifact."""

    status: Literal["ok", "invalid", "violation", "failed"]
    metric: float | None = None
    guards: dict[str, float] = field(default_factory=dict)
    reason: str = ""


def evaluator_answer(output: str, name: str) -> Answer:
    """The answer in an evaluator's output: one JSON object on the last line that is not empty.

    Args:
        output: its standard output.
        name: the metric's name.
    """
    said = [line for line in output.splitlines() if line.strip()]
    if not said:
        return Answer("failed", reason="the evaluator printed nothing; its last line must be a JSON object")
    last = said[-1]
    try:
        if len(last) > MAX_ANSWER:
            raise ValueError("it is too long")
        value = strict_json(last)
    except ValueError as error:
        reason = f"the evaluator's last line is no JSON object ({one_line(str(error), 100)}): {one_line(last, 150)}"
        return Answer("failed", reason=reason)
    if not isinstance(value, dict):
        return Answer("failed", reason=f"the evaluator's last line is no JSON object: {one_line(last, 150)}")
    for kind in ("violation", "invalid"):
        if kind in value:
            reason = value[kind] if isinstance(value[kind], str) else json.dumps(value[kind])
            return Answer("violation" if kind == "violation" else "invalid", reason=one_line(reason))
    bad = [key for key, number in value.items() if not _is_number(number) or not _NAME.fullmatch(key)]
    if bad or name not in value or len(value) > MAX_NUMBERS:
        missing = f"{name} is missing" if name not in value else f"{one_line(str(bad[:1]), 80)} is no number"
        return Answer("failed", reason=f"the evaluator's answer is not as agreed: {missing}")
    numbers = {key: float(number) for key, number in value.items()}
    return Answer("ok", metric=numbers.pop(name), guards=numbers)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
