"""The proposer `llm`: a model that speaks Anthropic's or OpenAI's language, with tools and caps of turns, time and money."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pawl.meta.atif import AtifAgent, FinalMetrics, Trajectory, numbered
from pawl.meta.means import Means
from pawl.meta.models import connect, key_for
from pawl.meta.pricing import Tokens, cap_passed, price, prices_of
from pawl.meta.proposer import Context, NoProposal, Proposal, Spend
from pawl.meta.redaction import Redactor
from pawl.meta.requesting import Overflow, Patience, Question, Stopped, request
from pawl.meta.talk import Talk
from pawl.meta.tools import TOOLS, schema_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse
    from pydantic_ai.models import Model

REJECTED = 5
"""Submitted edits that may not be made, after which a proposal is over."""
NUDGES = 3
"""Answers without a call, after which a proposal is over."""


class Llm:
    """The proposer `llm`.

    Args:
        means: keys and addresses that whoever runs Pawl allows.
        clock: seconds that only go forward.
        pause: waits so many seconds.
        chance: between 0 and 1, to spread retries.
    """

    name = "llm"
    reads = True

    def __init__(
        self,
        means: Means,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._means, self._clock, self._pause, self._chance = means, clock, pause, chance

    def propose(self, context: Context) -> Proposal:
        """What the model proposes, or why it does not.

        Raises:
            NoProposal: it cannot be asked at all: no key, an address that is not allowed, a cap without a price.
        """
        agent = context.rules.agent
        key_for(agent, self._means)
        capped = any(cap is not None for cap in agent.money.model_dump().values())
        if capped and prices_of(agent) is None:
            raise NoProposal(
                f"agent.money caps what {agent.model} may cost, and its price is not known; give agent.prices "
                "(US dollars for a million tokens), or take the caps away"
            )
        began = self._clock()
        patience = Patience(began + agent.time, self._clock, self._pause, self._chance)
        asking = _Asking(Talk(context, self.name), patience)
        stopped = asyncio.run(self._connected(asking))
        return self._proposal(asking, stopped, self._clock() - began)

    async def _connected(self, asking: _Asking) -> Stopped:
        agent = asking.talk.context.rules.agent
        model, client = connect(agent, self._means, agent.time)
        try:
            return await asking.until_done(model)
        except Stopped as stopped:
            return stopped
        finally:
            await client.aclose()

    def _proposal(self, asking: _Asking, stopped: Stopped, seconds: float) -> Proposal:
        talk = asking.talk
        models = tuple(dict.fromkeys(name for name in talk.models if name))
        spend = Spend(
            models=models,
            requests=asking.requests,
            tokens_in=talk.tokens.input,
            tokens_cached=talk.tokens.cached,
            tokens_out=talk.tokens.output,
            money=price(prices_of(talk.context.rules.agent), talk.tokens),
            seconds=round(seconds, 3),
        )
        notes = []
        if len(models) > 1:
            notes.append(f"the provider changed its model while this was proposed: {', '.join(models)}")
        if talk.edit is not None and talk.rejected:
            notes.append(f"{talk.rejected} edits were sent back to the model before this one")
        if talk.estimated:
            notes.append("the model's server does not count its tokens; Pawl has estimated them")
        edit = None if stopped.halt else talk.edit
        return Proposal(
            edit=edit,
            reason="" if edit is not None else Redactor(self._means.keys.values()).text(str(stopped)),
            trace=self._trace(talk, spend),
            spend=spend,
            notes=tuple(notes),
            halt=str(stopped) if stopped.halt else "",
            rests=stopped.rests,
        )

    def _trace(self, talk: Talk, spend: Spend) -> Trajectory | None:
        if not talk.steps:
            return None
        made = Trajectory(
            agent=AtifAgent(name=f"pawl/{self.name}", model_name=talk.context.rules.agent.model),
            steps=numbered(talk.steps),
            final_metrics=FinalMetrics(
                total_prompt_tokens=spend.tokens_in,
                total_completion_tokens=spend.tokens_out,
                total_cached_tokens=spend.tokens_cached,
                total_cost_usd=spend.money,
                total_steps=len(talk.steps),
            ),
        )
        return Redactor(self._means.keys.values()).trajectory(made)


@dataclass
class _Asking:
    """The requests of one proposal."""

    talk: Talk
    patience: Patience
    requests: int = 0
    lost: Tokens = field(default_factory=Tokens)
    """Tokens that requests may have cost whose answers were lost: they count towards the caps."""

    async def until_done(self, model: Model) -> Stopped:
        """Request after request, until there is an edit or a reason to stop.

        Raises:
            Stopped: the reason, where it came up within a request.
        """
        talk, agent = self.talk, self.talk.context.rules.agent
        talk.begin(agent.context_tokens)
        shrunk = False
        while self.requests < agent.turns:
            if passed := self._cap_passed():
                return Stopped(passed, rests=self.requests == 0)
            try:
                response = await self._request(model)
            except Overflow as overflow:
                if shrunk:
                    reason = (
                        f"the model's context is too small even for half of what it was shown: {overflow}"
                    )
                    return Stopped(reason, rests=not talk.begun)
                shrunk = True
                talk.begin(agent.context_tokens // 2)
                continue
            talk.heard(response)
            if agent.pin is not None and talk.models[-1] != agent.pin:
                named = f"as {talk.models[-1]}" if talk.models[-1] else "without naming itself"
                return Stopped(f"agent.pin is {agent.pin}, and the model answered {named}", halt=True)
            if response.finish_reason == "content_filter":
                return Stopped("the model's provider refused to answer (content filter)", rests=False)
            talk.react(response)
            if talk.edit is not None:
                return Stopped("")
            if talk.rejected >= REJECTED:
                return Stopped(
                    f"none of the {talk.rejected} edits that the model submitted may be made", rests=False
                )
            if talk.nudged > NUDGES:
                return Stopped(f"the model answered {talk.nudged} times without calling a tool", rests=False)
        return Stopped(f"the model made no edit within {agent.turns} requests (agent.turns)", rests=False)

    def _cap_passed(self) -> str:
        """Which cap another request could pass, in a sentence; empty if none."""
        agent, spent = self.talk.context.rules.agent, self.talk.context.spent
        prices = prices_of(agent)
        so_far = price(prices, self.talk.tokens + self.lost)
        at_most = price(prices, self._at_most())
        if so_far is None or at_most is None:
            return ""
        return cap_passed(agent.money, spent, so_far, at_most)

    def _at_most(self) -> Tokens:
        return Tokens(input=self.talk.waiting, output=self.talk.context.rules.agent.answer_tokens)

    async def _request(self, model: Model) -> ModelResponse:
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.tools import ToolDefinition

        def count(note: str, lost: bool) -> None:
            self.requests += 1
            if lost:
                self.lost += self._at_most()
            if note:
                self.talk.note("system", note)

        agent = self.talk.context.rules.agent
        tools = [
            ToolDefinition(name=name, description=tool.__doc__, parameters_json_schema=schema_of(tool))
            for name, tool in TOOLS.items()
        ]
        parameters = ModelRequestParameters(function_tools=tools, allow_text_output=True)
        question = Question(model, self.talk.messages, parameters, agent.answer_tokens)
        return await request(question, self.patience, count, self._stop)

    def _stop(self) -> str:
        """Why a failed request may not be made again; empty if it may."""
        agent = self.talk.context.rules.agent
        if self.requests >= agent.turns:
            return "the requests of the proposal are used up (agent.turns)"
        return self._cap_passed()
