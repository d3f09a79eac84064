"""Numbers out of text: what a run printed, and what an evaluator answered. Both are read strictly."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Literal

from pawl.core.config_parts import Metric
from pawl.core.measurement import MAX_TASKS, usable
from pawl.lab.output import lines, one_line

MAX_ANSWER, MAX_TASK_ANSWER = 64 * 1024, 256 * 1024
"""Characters of an evaluator's answer."""
MAX_NUMBERS = 64
SAME_MEAN = 1e-6
"""Difference between a metric and the mean of its tasks that is rounding."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,63}")
_TASK = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
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
    """The last usable ``name: number`` line of each of these names."""
    patterns = {name: _line_of(name) for name in names}
    found = {}
    for line in lines(text):
        for name, pattern in patterns.items():
            match = pattern.match(line)
            if match and usable(value := float(match.group(1))):
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
    tasks: dict[str, float] = field(default_factory=dict)
    """Score of each task of the block, by its name."""
    ids: dict[str, str] = field(default_factory=dict)
    """Names of tasks, by the ids that the run knew them by."""


def evaluator_answer(output: str, name: str, tasks: bool = False) -> Answer:
    """The answer in an evaluator's output: one JSON object on the last line that is not empty.

    Args:
        output: its standard output.
        name: the metric's name.
        tasks: whether the run was a block of tasks, so that the answer has ``tasks`` beside numbers, and may have ``ids``.
    """
    said = [line for line in output.splitlines() if line.strip()]
    if not said:
        return Answer("failed", reason="the evaluator printed nothing; its last line must be a JSON object")
    last = said[-1]
    try:
        if len(last) > (MAX_TASK_ANSWER if tasks else MAX_ANSWER):
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
    scores, ids = (value.pop("tasks", None), value.pop("ids", {})) if tasks else ({}, {})
    bad = [key for key, number in value.items() if not _is_number(number) or not _NAME.fullmatch(key)]
    if bad or name not in value or len(value) > MAX_NUMBERS:
        missing = f"{name} is missing" if name not in value else f"{one_line(str(bad[:1]), 80)} is no number"
        return Answer("failed", reason=f"the evaluator's answer is not as agreed: {missing}")
    numbers = {key: float(number) for key, number in value.items()}
    metric = numbers.pop(name)
    if tasks and (wrong := _wrong_tasks(scores, ids, metric)):
        return Answer("failed", reason=f"the evaluator's answer is not as agreed: {wrong}")
    return Answer("ok", metric, numbers, tasks={key: float(each) for key, each in scores.items()}, ids=ids)


def _wrong_tasks(scores: Any, ids: Any, metric: float) -> str:
    """What is not as agreed about the scores of a block; empty if all is."""
    if not isinstance(scores, dict) or not scores:
        return '"tasks" is missing: it must map the name of every task of the block to its score'
    if len(scores) > MAX_TASKS:
        return f'"tasks" has {len(scores)} tasks, {MAX_TASKS} are allowed in a block'
    for name, score in scores.items():
        if not _TASK.fullmatch(name):
            return f"{one_line(repr(name), 80)} is no name of a task: letters, digits, and . _ - after the first, 64 at most"
        if not _is_number(score) or not 0 <= score <= 1:
            return f"the score of the task {name} is {one_line(repr(score), 40)}, and no number from 0 to 1"
    if abs(fmean(scores.values()) - metric) > SAME_MEAN:
        return f"the metric is {metric:g}, and the mean score of the tasks {fmean(scores.values()):g}"
    if not isinstance(ids, dict) or not all(
        isinstance(name, str) and name in scores for name in ids.values()
    ):
        return '"ids" must map ids to names of tasks of the block'
    return ""


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return usable(float(value))
    except OverflowError:
        return False
