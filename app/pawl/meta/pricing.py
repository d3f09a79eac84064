"""What a proposal costs: prices, what a request may cost at most, and an estimate before the first one."""

from __future__ import annotations

from dataclasses import dataclass

from pawl.core.config_parts import Agent, Money, Prices
from pawl.meta.models import split_model
from pawl.meta.proposer import Spent

MILLION = 1_000_000
SMALL = 1_000
TYPICAL_TURNS = 6
"""Requests of an ordinary proposal: a look at a file or two, a check, the edit."""
TYPICAL_ANSWER = 1200
"""Tokens of an ordinary answer."""
TOOL_ANSWER = 1500
"""Tokens that a tool's answer adds to the next request."""


@dataclass(frozen=True)
class Tokens:
    """Tokens of one request, or of several."""

    input: int = 0
    """Those read from a cache included."""
    cached: int = 0
    output: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(self.input + other.input, self.cached + other.cached, self.output + other.output)


@dataclass(frozen=True)
class Estimate:
    """What one proposal is likely to take, and what it can take at most. Money in US dollars; none without a price."""

    requests: int
    tokens_in: int
    tokens_out: int
    money: float | None
    worst: float | None


def prices_of(agent: Agent) -> Prices | None:
    """The agent's prices: its own, else those that genai-prices knows for the provider's own address; none if unknown."""
    if agent.prices is not None:
        return agent.prices
    if agent.model is None or agent.base_url is not None:
        return None  # another address may ask another price
    provider, name = split_model(agent)
    try:
        from genai_prices import Usage, calc_price
    except ImportError:
        return None
    # Of a small request: some models cost more beyond a size that no proposal should reach.
    usages = {
        "input": Usage(input_tokens=SMALL),
        "output": Usage(output_tokens=SMALL),
        "cached": Usage(input_tokens=SMALL, cache_read_tokens=SMALL),
    }
    try:
        found = {
            kind: float(calc_price(usage, name, provider_id=provider).total_price)
            for kind, usage in usages.items()
        }
    except LookupError:
        return None
    return Prices(**{kind: money * MILLION / SMALL for kind, money in found.items()})


def price(prices: Prices | None, tokens: Tokens) -> float | None:
    """US dollars for so many tokens; none without prices."""
    if prices is None:
        return None
    cached = prices.input if prices.cached is None else prices.cached
    fresh = max(0, tokens.input - tokens.cached)
    return (fresh * prices.input + tokens.cached * cached + tokens.output * prices.output) / MILLION


def cap_passed(money: Money, spent: Spent, so_far: float, next_at_most: float) -> str:
    """Which cap another request could pass, in a sentence; empty if none.

    Args:
        money: the caps.
        spent: what earlier proposals have cost.
        so_far: what this one has cost.
        next_at_most: what its next request can cost.
    """
    for name, cap, before in (
        ("proposal", money.per_proposal, 0.0),
        ("day", money.per_day, spent.today),
        ("month", money.per_month, spent.month),
    ):
        if cap is not None and before + so_far + next_at_most > cap:
            return (
                f"the next request could cost ${next_at_most:.4f}, and ${before + so_far:.4f} of the ${cap:.2f} that "
                f"agent.money.per_{name} allows are spent"
            )
    return ""


def estimate(agent: Agent, context_tokens: int) -> Estimate:
    """What a proposal is likely to take, before the first one.

    Args:
        agent: the rules of the agent.
        context_tokens: size of what it is shown at first.
    """
    turns = min(TYPICAL_TURNS, agent.turns)
    answer = min(TYPICAL_ANSWER, agent.answer_tokens)
    # Each request repeats all that was said before it.
    tokens = Tokens(
        input=sum(context_tokens + turn * (answer + TOOL_ANSWER) for turn in range(turns)),
        output=turns * answer,
    )
    most = Tokens(
        input=sum(context_tokens + turn * (agent.answer_tokens + TOOL_ANSWER) for turn in range(agent.turns)),
        output=agent.turns * agent.answer_tokens,
    )
    prices = prices_of(agent)
    worst = price(prices, most)
    cap = agent.money.per_proposal
    if worst is not None and cap is not None:
        worst = min(worst, cap)
    return Estimate(turns, tokens.input, tokens.output, price(prices, tokens), worst)
