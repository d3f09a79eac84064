"""One conversation with a model: what was said, what it came to, and what each of its calls is answered with."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pawl.core.edit import Edit
from pawl.meta.atif import Metrics, Observation, ObservationResult, Step, ToolCall
from pawl.meta.checking import DoesNotApply
from pawl.meta.context import render
from pawl.meta.pricing import Tokens, price, prices_of
from pawl.meta.proposer import Context
from pawl.meta.quoted import cut
from pawl.meta.tokens import CHARS_PER_TOKEN, estimate_tokens
from pawl.meta.tools import TOOLS, Submit, answer, content_of, parse, schema_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelMessage, ModelResponse

HYPOTHESIS = 4000
ANSWER_SHARE = 4
"""A tool's answer takes at most this part of the size of what the model is shown at first."""
OBJECTS = 50
"""Places of an answer in prose where a call is looked for."""
_THOUGHT = re.compile(r"<think>.*?</think>", re.DOTALL)
NUDGE = (
    "Call a tool: submit with your edit, or one that reads. If you cannot call tools, answer with nothing but a fenced JSON "
    'object: {"hypothesis": "…", "predicted_effect": null, "blocks": [{"search": "…", "replace": "…"}]}'
)


@dataclass
class Talk:
    """One conversation, as far as it has come."""

    context: Context
    proposer: str
    """Name that its edit bears."""
    messages: list[ModelMessage] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    tokens: Tokens = field(default_factory=Tokens)
    estimated: bool = False
    """Whether the server left it to us to say how many tokens an answer took."""
    rejected: int = 0
    nudged: int = 0
    edit: Edit | None = None
    waiting: int = 0
    """Tokens that the next request repeats, as far as they can be known."""
    _asked: dict[str, int] = field(default_factory=dict)
    _room: int = 0

    def begin(self, budget: int) -> None:
        """Say everything anew, in so many tokens."""
        from pydantic_ai.messages import ModelRequest, SystemPromptPart, UserPromptPart

        prompt = render(self.context, budget)
        self.messages = [ModelRequest(parts=[SystemPromptPart(prompt.system), UserPromptPart(prompt.user)])]
        tools = json.dumps([schema_of(tool) for tool in TOOLS.values()])
        self.waiting = prompt.tokens + estimate_tokens(tools)
        self._asked, self._room = {}, int(budget * CHARS_PER_TOKEN) // ANSWER_SHARE
        self.note("system", prompt.system)
        self.note("user", prompt.user)

    @property
    def begun(self) -> bool:
        """Whether the model has said anything since the beginning."""
        return len(self.messages) > 1

    def note(self, source: str, text: str) -> None:
        """Put a step into the trace that is no answer of the model."""
        self.steps.append(Step(step_id=1, source=source, message=text))

    def heard(self, response: ModelResponse) -> None:
        """Count what an answer cost, and who gave it."""
        calls, texts, thoughts = [], [], []
        for part in response.parts:
            if part.part_kind == "tool-call":
                known = _arguments(part)
                arguments = known if known is not None else {"unreadable": str(part.args)}
                calls.append(
                    ToolCall(
                        tool_call_id=part.tool_call_id, function_name=part.tool_name, arguments=arguments
                    )
                )
            elif part.part_kind == "text":
                texts.append(part.content)
            elif part.part_kind == "thinking":
                thoughts.append(part.content)
        said = estimate_tokens("".join([*texts, *thoughts, *(json.dumps(call.arguments) for call in calls)]))
        told = self._told(response, said)
        self.waiting = max(self.waiting, told.input) + max(told.output, said)
        self.models.append(response.model_name or "")
        self.steps.append(
            Step(
                step_id=1,
                source="agent",
                message="\n".join(texts),
                timestamp=response.timestamp.isoformat(),
                model_name=response.model_name,
                reasoning_content="\n".join(thoughts) or None,
                tool_calls=tuple(calls) or None,
                metrics=Metrics(
                    prompt_tokens=told.input,
                    completion_tokens=told.output,
                    cached_tokens=told.cached,
                    cost_usd=price(prices_of(self.context.rules.agent), told),
                ),
                llm_call_count=1,
            )
        )

    def react(self, response: ModelResponse) -> None:
        """Answer every call of a response that was heard, or ask for one."""
        from pydantic_ai.messages import ModelRequest, ToolReturnPart, UserPromptPart

        cut_off = (
            f"\nYour answer was cut off at {self.context.rules.agent.answer_tokens} tokens: make it shorter, with blocks "
            "instead of whole_file."
            if response.finish_reason == "length"
            else ""
        )
        calls = [part for part in response.parts if part.part_kind == "tool-call"]
        self.messages.append(response)
        if not calls:
            text = "\n".join(part.content for part in response.parts if part.part_kind == "text")
            said = self._prose(text) + cut_off
            self.messages.append(ModelRequest(parts=[UserPromptPart(said)]))
            self.note("user", said)
            self.waiting += estimate_tokens(said)
            return
        results, parts = [], []
        for call in calls:
            said = self._called(call.tool_name, _arguments(call)) + cut_off
            results.append(ObservationResult(source_call_id=call.tool_call_id, content=said))
            parts.append(ToolReturnPart(call.tool_name, said, tool_call_id=call.tool_call_id))
            self.waiting += estimate_tokens(said)
        self.messages.append(ModelRequest(parts=parts))
        self.steps[-1] = self.steps[-1].model_copy(
            update={"observation": Observation(results=tuple(results))}
        )

    def _told(self, response: ModelResponse, said: int) -> Tokens:
        """Tokens of an answer; of a server that counts none, as many as it must have been."""
        usage = response.usage
        told = Tokens(usage.input_tokens, usage.cache_read_tokens, usage.output_tokens)
        if told == Tokens():
            told, self.estimated = Tokens(input=self.waiting, output=said), True
        self.tokens += told
        return told

    def _prose(self, text: str) -> str:
        """An answer without a call: one may be written in it all the same."""
        found = next(_written(text), None)
        if found is None:
            self.nudged += 1
            return NUDGE
        return self._called(*found)

    def _called(self, name: str, arguments: dict[str, Any] | None) -> str:
        """What a call is answered with. A submitted edit that may be made ends the talk."""
        if arguments is None:
            self.rejected += name == "submit"
            return "the arguments of this call are no JSON object"
        once = f"{name} {json.dumps(arguments, sort_keys=True, default=str)}"
        self._asked[once] = self._asked.get(once, 0) + 1
        if self._asked[once] > 2 and name != "submit":
            return "You have asked exactly this twice, and the answer is the same. Read something else, or submit."
        try:
            call = parse(name, arguments)
            if not isinstance(call, Submit):
                return cut(answer(self.context, call), self._room)
            if self.edit is not None:
                return "An edit was accepted already; this one is not looked at."
            content = content_of(self.context, call)
        except DoesNotApply as reason:
            self.rejected += name == "submit"
            return f"This cannot be done: {reason}"
        self.edit = Edit(content, call.hypothesis[:HYPOTHESIS], self.proposer, call.predicted_effect)
        return "Accepted."


def _arguments(part: Any) -> dict[str, Any] | None:
    """A call's arguments; none where they are no JSON object."""
    args = part.args
    if args is None or args == "":
        return {}
    return args if isinstance(args, dict) else _object(args)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _written(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls that a model wrote into its text as JSON: an edit alone, or a tool's name with its arguments."""
    text, at = _THOUGHT.sub("", text), 0
    for _ in range(OBJECTS):
        at = text.find("{", at)
        if at < 0:
            return
        try:
            found, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        name, arguments = found.get("name"), found.get("arguments", found.get("parameters"))
        if isinstance(arguments, str):
            arguments = _object(arguments)
        if isinstance(name, str) and name in TOOLS and isinstance(arguments, dict):
            yield name, arguments
        elif "blocks" in found or "whole_file" in found:
            yield "submit", found
