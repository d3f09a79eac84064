"""What is wrong with a loop's meta-agent, and what its proposals will cost, before the first of them is asked for."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

from pawl.commands.cost import Cost
from pawl.core.config import Loop
from pawl.core.remarks import Level, Places, Remark
from pawl.meta.means import Means
from pawl.meta.models import key_for
from pawl.meta.pricing import Estimate, Tokens, estimate, price, prices_of
from pawl.meta.proposer import NoProposal

DAY = 86_400
RUNS_PER_PROPOSAL = 1082 / 700
"""Runs that a proposal takes on average, most of them one screening run (docs/decision.md)."""
RUNS_PER_TASK_PROPOSAL = 2.0
"""The fewest in loops over a harness: a practice block in both versions."""


@dataclass(frozen=True)
class Thinking:
    """What the meta-agent of a loop is likely to cost. Money in US dollars; none without a price."""

    loop: str
    requests: int
    tokens_in: int
    tokens_out: int
    money: float | None
    """One proposal."""
    worst: float | None
    """The most that one can cost."""
    pace: float
    """Proposals that the loop's machine can measure in a day."""
    paced: bool
    """Whether that rests on measured runs; otherwise every run is taken to need its whole budget."""
    proposals_day: float
    """Those that caps let it make."""
    money_day: float | None
    """What these cost."""

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        return asdict(self)

    def sentences(self) -> Iterator[tuple[str, str]]:
        """Label and sentence, for a terminal."""
        cost = (
            "at an unknown price"
            if self.money is None
            else f"about ${self.money:.2g}, at most ${self.worst:.2g}"
        )
        yield (
            "proposal",
            f"about {self.requests} requests with {self.tokens_in:,} tokens in and {self.tokens_out:,} out: {cost}",
        )
        why = f"as many as one machine can measure{'' if self.paced else ' if every run takes its whole budget'}"
        if self.proposals_day < self.pace:
            why = f"as many as the caps allow; the machine could measure {self.pace:,.0f}"
        tokens = f"{self.proposals_day * self.tokens_in:,.0f} tokens in, {self.proposals_day * self.tokens_out:,.0f} out"
        money = "" if self.money_day is None else f", ${self.money_day:,.2f}"
        yield "day", f"about {self.proposals_day:,.0f} proposals ({why}): {tokens}{money}"


def thinking_of(loop: str, rules: Loop, cost: Cost | None) -> Thinking | None:
    """What proposals are likely to cost; none for proposers that Pawl asks no model for.

    Args:
        loop: the loop's name.
        rules: its rules.
        cost: what is known of its runs.
    """
    agent = rules.agent
    if agent.proposer != "llm":
        return None
    found = estimate(agent, agent.context_tokens)
    runs = RUNS_PER_TASK_PROPOSAL if rules.task_agent else RUNS_PER_PROPOSAL
    each = cost.seconds_each if cost else None
    pace = allowed = DAY / (runs * (each or rules.budget))
    for cap, days in ((agent.money.per_day, 1), (agent.money.per_month, 28)):
        if cap is not None and found.money:
            allowed = min(allowed, cap / days / found.money)
    return Thinking(
        loop=loop,
        requests=found.requests,
        tokens_in=found.tokens_in,
        tokens_out=found.tokens_out,
        money=found.money,
        worst=found.worst,
        pace=pace,
        paced=bool(each),
        proposals_day=allowed,
        money_day=None if found.money is None else allowed * found.money,
    )


@dataclass(frozen=True)
class AgentCheck:
    """The meta-agent of one loop, under the means of whoever runs the check."""

    places: Places
    loop: str
    rules: Loop
    means: Means

    def remarks(self) -> Iterator[Remark]:
        """Everything that a person should know before the first proposal."""
        agent = self.rules.agent
        if agent.proposer == "llm":
            yield from self._llm()
        elif agent.proposer == "command":
            yield from self._command()
        elif agent.money.model_fields_set or agent.prices is not None:
            yield self._remark(
                "advice", "the proposer search costs nothing, so money and prices are not read", "money"
            )
        yield from self._pin()
        yield from self._tasks()

    def _remark(self, level: Level, message: str, *keys: str) -> Remark:
        return self.places.remark(level, message, self.loop, "agent", *keys)

    def _llm(self) -> Iterator[Remark]:
        agent = self.rules.agent
        if find_spec("pydantic_ai") is None:
            yield self._remark(
                "warning",
                "the proposer llm needs more packages; install them with: pip install '.[llm]' in a checkout of Pawl",
            )
        try:
            key_for(agent, self.means)
        except NoProposal as error:
            yield self._remark("warning", f"as things are here, nothing would be proposed: {error}", "model")
        prices = prices_of(agent)
        if prices is None:
            asked = f"{agent.model} at {agent.base_url}" if agent.base_url else agent.model
            capped = ", and the caps in agent.money cannot hold" if agent.money.model_fields_set else ""
            yield self._remark(
                "warning",
                f"no price is known for {asked}, so what it costs is not known{capped}: write it into agent.prices",
                "model",
            )
            return
        if prices.input or prices.output:
            first = price(prices, Tokens(agent.context_tokens, 0, agent.answer_tokens)) or 0.0
            yield from self._caps(estimate(agent, agent.context_tokens), first)

    def _caps(self, found: Estimate, first: float) -> Iterator[Remark]:
        money = self.rules.agent.money
        caps = {"per_proposal": money.per_proposal, "per_day": money.per_day, "per_month": money.per_month}
        if not any(cap is not None for cap in caps.values()):
            yield self._remark("warning", "no cap is set: write one into agent.money, per_day for instance")
        for name, cap in caps.items():
            if cap is None:
                continue
            if first > cap:
                yield self._remark(
                    "warning",
                    f"agent.money.{name} is ${cap:.2f}, but the first request alone can cost ${first:.2f} "
                    "(agent.context_tokens in, agent.answer_tokens out), so nothing might ever be proposed",
                    "money",
                    name,
                )
            elif found.money is not None and found.money > cap:
                yield self._remark(
                    "warning",
                    f"agent.money.{name} is ${cap:.2f}, and an ordinary proposal costs about ${found.money:.2f}: many would "
                    "be cut off before their edit",
                    "money",
                    name,
                )

    def _command(self) -> Iterator[Remark]:
        agent = self.rules.agent
        if not self.means.commands:
            yield self._remark(
                "warning",
                "agent.command would start a program on the machine that Pawl runs on, and that is not allowed here; "
                "whoever runs it can allow it by setting PAWL_ALLOW_COMMANDS=1",
                "command",
            )
        word = shlex.split(agent.command or "")[0]
        if shutil.which(word) is None:
            yield self._remark(
                "warning", f"agent.command starts {word}, which is not on this machine's PATH", "command"
            )
        if agent.money.model_fields_set:
            yield self._remark(
                "advice",
                "caps count what agent.command reports of its own cost: one that reports nothing is not stopped by them",
                "money",
            )

    def _pin(self) -> Iterator[Remark]:
        agent, tasks = self.rules.agent, self.rules.tasks
        if agent.pin is None:
            return
        if tasks is None and agent.proposer == "search":
            yield self._remark(
                "warning", "agent.pin holds nothing here: neither search nor the runs ask a model", "pin"
            )
        elif tasks is None:
            yield self._remark(
                "advice", "without tasks there is no task agent: agent.pin holds the meta-agent alone", "pin"
            )
        elif tasks.model is None:
            yield self._remark(
                "warning",
                "agent.pin cannot hold the task agent: without tasks.model nobody notes which model answers it",
                "pin",
            )

    def _tasks(self) -> Iterator[Remark]:
        tasks = self.rules.tasks
        if tasks is None:
            return
        if tasks.model is None:
            yield self.places.remark(
                "warning",
                "tasks has no model: runs have no network, so the task agent reaches none",
                self.loop,
                "tasks",
            )
        if tasks.trajectories is None:
            yield self.places.remark(
                "advice",
                "tasks has no trajectories: the proposer sees which practice tasks fail, and not why",
                self.loop,
                "tasks",
            )
        if self.rules.agent.proposer == "search":
            yield self._remark(
                "advice",
                "search turns numbers of a harness; to read what it did, a loop needs llm or command",
                "proposer",
            )
