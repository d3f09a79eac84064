"""Trajectories of agents in ATIF, the Agent Trajectory Interchange Format, version 1.8 (Harbor's RFC 0001).

Only what Pawl writes is modelled; a trajectory that somebody else wrote is read as text, never by these models. Whatever a
model answered can be put into them: texts that UTF-8 cannot hold, numbers that JSON cannot, arguments without a bottom.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pawl import __version__

TEXT_LIMIT = 2 * 2**20
"""Bytes of a whole trajectory as Pawl keeps it."""
DEPTH = 30
"""Levels of a tool's arguments that are kept."""
_SHORTEST = 100
"""Characters below which no text is cut."""


def _writable(text: str) -> str:
    """The text with U+FFFD for halves of surrogate pairs, which JSON can escape and UTF-8 cannot hold."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _plain(value: Any, depth: int = 0) -> Any:
    """What JSON can hold of a value."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case str():
            return _writable(value)
        case dict() | list() if depth >= DEPTH:
            return "[… deeper levels left out]"
        case dict():
            return {_writable(str(key)): _plain(item, depth + 1) for key, item in value.items()}
        case list():
            return [_plain(item, depth + 1) for item in value]
    return _writable(str(value))


def _moment(text: str) -> str:
    datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text


Text = Annotated[str, AfterValidator(_writable)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class AtifAgent(_Part):
    """Who acted."""

    name: Text
    version: str = __version__
    model_name: Text | None = None


class ToolCall(_Part):
    """One call of a tool."""

    tool_call_id: Text
    function_name: Text
    arguments: Annotated[dict[str, Any], BeforeValidator(_plain)]


class ObservationResult(_Part):
    """What a tool, or the environment, said."""

    source_call_id: Text | None = None
    content: Text | None = None


class Observation(_Part):
    """Everything that was said in answer to one step."""

    results: tuple[ObservationResult, ...]


class Metrics(_Part):
    """Tokens and US dollars of one step."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cost_usd: float | None = None


class FinalMetrics(_Part):
    """Tokens and US dollars of the whole trajectory."""

    total_prompt_tokens: int | None = None
    total_completion_tokens: int | None = None
    total_cached_tokens: int | None = None
    total_cost_usd: float | None = None
    total_steps: Annotated[int, Field(ge=0)] | None = None


class Step(_Part):
    """One turn."""

    step_id: Annotated[int, Field(ge=1)]
    source: Literal["system", "user", "agent"]
    message: Text
    timestamp: Annotated[str, AfterValidator(_moment)] | None = None
    """ISO 8601."""
    model_name: Text | None = None
    reasoning_content: Text | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    observation: Observation | None = None
    metrics: Metrics | None = None
    llm_call_count: Annotated[int, Field(ge=0)] | None = None
    """Answers of a model that the step stands for; 0 where no model was asked."""

    @model_validator(mode="after")
    def _check(self) -> Step:
        own = ("model_name", "reasoning_content", "tool_calls", "metrics")
        if self.source != "agent" and any(getattr(self, name) is not None for name in own):
            raise ValueError(f"only an agent's step has any of {', '.join(own)}")
        if self.llm_call_count == 0 and (self.metrics is not None or self.reasoning_content is not None):
            raise ValueError("a step that asked no model has neither metrics nor reasoning")
        return self


class Trajectory(_Part):
    """What an agent did, step by step."""

    schema_version: Literal["ATIF-v1.8"] = "ATIF-v1.8"
    agent: AtifAgent
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]
    notes: Text | None = None
    final_metrics: FinalMetrics | None = None

    @model_validator(mode="after")
    def _check(self) -> Trajectory:
        for number, step in enumerate(self.steps, start=1):
            if step.step_id != number:
                raise ValueError(f"step {number} is numbered {step.step_id}")
            calls = {call.tool_call_id for call in step.tool_calls or ()}
            named = {
                result.source_call_id for result in (step.observation.results if step.observation else ())
            }
            if named - calls - {None}:
                raise ValueError(f"step {number} answers a call that it does not make")
        return self

    def text(self, limit: int = TEXT_LIMIT) -> str:
        """The trajectory as JSON on one line, still valid ATIF where it was cut.

        Long texts are cut first, to equal lengths, then steps in the middle are left out. Each cut names what is missing.

        Args:
            limit: bytes of the whole as UTF-8. Below some 500 it may be passed.
        """
        whole, cut, room = _json(self), self, limit // 4
        while len(whole.encode()) > limit and room >= _SHORTEST:
            cut = Trajectory.model_validate(_shortened(self.model_dump(exclude_none=True), room))
            whole, room = _json(cut), room // 4
        kept = len(self.steps)
        while len(whole.encode()) > limit and kept > 1:
            kept //= 2
            whole = _json(_without_middle(cut, kept))
        if len(whole.encode()) > limit:
            missing = Step(
                step_id=1,
                source="agent",
                message=f"[… {len(self.steps):,} steps left out: too long to keep]",
                llm_call_count=0,
            )
            whole = _json(Trajectory(agent=AtifAgent(name=cut.agent.name), steps=(missing,)))
        return whole


def _json(trajectory: Trajectory) -> str:
    return trajectory.model_dump_json(exclude_none=True)


def _shortened(value: Any, room: int) -> Any:
    """The same value with no text of more than about `room` characters in it."""
    match value:
        case str() if len(value) > room:
            return f"{value[:room]} [… {len(value) - room:,} characters left out]"
        case {"arguments": dict(arguments), **others}:
            # A tool is called with as many arguments as a model likes, so they are cut as one text.
            short = _shortened(arguments, room)
            size = len(json.dumps(short))
            kept = (
                short if size <= 8 * room else {"left_out": f"[… {size:,} characters of arguments left out]"}
            )
            return {**_shortened(others, room), "arguments": kept}
        case dict():
            return {key: _shortened(item, room) for key, item in value.items()}
        case list() | tuple():
            return [_shortened(item, room) for item in value]
    return value


def _without_middle(trajectory: Trajectory, kept: int) -> Trajectory:
    """The first and, twice as many, the last of the steps."""
    head = max(1, kept // 3)
    tail = kept - head
    missing = f"[… {len(trajectory.steps) - kept:,} steps left out]"
    gap = Step(step_id=1, source="system", message=missing)
    steps = (*trajectory.steps[:head], gap, *trajectory.steps[len(trajectory.steps) - tail :])
    notes = f"{trajectory.notes} {missing}" if trajectory.notes else missing
    return trajectory.model_copy(update={"steps": numbered(steps), "notes": notes})


def numbered(steps: Sequence[Step]) -> tuple[Step, ...]:
    """The steps with their numbers in order."""
    return tuple(step.model_copy(update={"step_id": number}) for number, step in enumerate(steps, start=1))
