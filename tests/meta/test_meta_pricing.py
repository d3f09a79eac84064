"""Prices, caps and estimates: money is known before it is spent, or it is said that it is not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.config_parts import Agent, Money, Prices
from pawl.meta.pricing import Tokens, cap_passed, estimate, price, prices_of
from pawl.meta.proposer import Spent

STEADY = settings(deadline=None, derandomize=True)

OWN = Prices(input=2.0, output=10.0, cached=0.5)
COUNTS = st.integers(0, 10**7)


def agent(**values: Any) -> Agent:
    return Agent.model_validate({"proposer": "llm", "model": "anthropic:claude-sonnet-4-5", **values})


@pytest.mark.parametrize(
    ("prices", "tokens", "money"),
    [
        (OWN, Tokens(1_000_000, 0, 0), 2.0),
        (OWN, Tokens(1_000_000, 1_000_000, 0), 0.5),
        (OWN, Tokens(1_000_000, 400_000, 100_000), 0.6 * 2 + 0.4 * 0.5 + 1.0),
        (Prices(input=2.0, output=10.0), Tokens(1_000_000, 1_000_000, 0), 2.0),
        (OWN, Tokens(), 0.0),
        (OWN, Tokens(10, 1_000_000, 0), 0.5),
        (None, Tokens(1, 1, 1), None),
    ],
)
def test_what_tokens_cost(prices: Prices | None, tokens: Tokens, money: float | None) -> None:
    assert price(prices, tokens) == (None if money is None else pytest.approx(money))


@STEADY
@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_more_tokens_never_cost_less(fresh: int, cached: int, out: int, more: int) -> None:
    tokens = Tokens(fresh + cached, cached, out)
    before = price(OWN, tokens)
    assert before is not None
    assert before >= 0
    for larger in (tokens + Tokens(input=more), tokens + Tokens(output=more), tokens + Tokens(more, more, 0)):
        assert (price(OWN, larger) or 0.0) >= before


@pytest.mark.parametrize("model", ["anthropic:claude-sonnet-4-5", "openai:gpt-4o-mini"])
def test_prices_of_known_models_are_known(model: str) -> None:
    found = prices_of(agent(model=model))
    assert found is not None
    assert 0 < found.input < found.output
    assert found.cached is not None
    assert found.cached < found.input


def test_own_prices_come_first() -> None:
    assert prices_of(agent(prices=OWN.model_dump())) == OWN


@pytest.mark.parametrize(
    "values",
    [
        {"model": "anthropic:no-such-model"},
        {"model": "openai:llama3.2", "base_url": "http://127.0.0.1:11434/v1"},
        {"model": "openai:gpt-4o-mini", "base_url": "https://models.example.com/v1"},
    ],
)
def test_a_price_that_is_not_known_is_none(values: dict[str, Any]) -> None:
    """The same name at another address may cost another price."""
    assert prices_of(agent(**values)) is None


def test_a_proposer_without_a_model_has_no_price() -> None:
    assert prices_of(Agent()) is None


@pytest.mark.parametrize(
    ("money", "spent", "so_far", "following", "said"),
    [
        (Money(), Spent(9, 9), 9.0, 9.0, ""),
        (Money(per_proposal=1.0), Spent(9, 9), 0.5, 0.5, ""),
        (Money(per_proposal=1.0), Spent(9, 9), 0.5, 0.51, "agent.money.per_proposal"),
        (Money(per_day=1.0), Spent(0.5, 9), 0.25, 0.25, ""),
        (Money(per_day=1.0), Spent(0.5, 9), 0.25, 0.26, "agent.money.per_day"),
        (Money(per_month=1.0), Spent(0, 0.9), 0.0, 0.2, "agent.money.per_month"),
    ],
)
def test_a_request_that_could_pass_a_cap(
    money: Money, spent: Spent, so_far: float, following: float, said: str
) -> None:
    found = cap_passed(money, spent, so_far, following)
    assert (said in found) if said else not found


@STEADY
@given(st.floats(0.01, 100), st.floats(0, 100), st.floats(0, 100), st.floats(0, 100))
def test_no_cap_is_ever_passed(cap: float, before: float, so_far: float, following: float) -> None:
    for money, spent in (
        (Money(per_proposal=cap), Spent()),
        (Money(per_day=cap), Spent(today=before)),
        (Money(per_month=cap), Spent(month=before)),
    ):
        if not cap_passed(money, spent, so_far, following):
            earlier = spent.today + spent.month
            assert earlier + so_far + following <= cap


def test_an_estimate_before_the_first_call() -> None:
    found = estimate(agent(prices=OWN.model_dump(), turns=2, answer_tokens=1000), 10_000)
    assert (found.requests, found.tokens_in, found.tokens_out) == (2, 10_000 + 12_500, 2000)
    assert found.money == found.worst == pytest.approx(0.045 + 0.02)


def test_the_worst_case_is_no_more_than_the_cap() -> None:
    free = estimate(agent(prices=OWN.model_dump()), 40_000)
    capped = estimate(agent(prices=OWN.model_dump(), money={"per_proposal": 0.25}), 40_000)
    assert free.money is not None
    assert free.worst is not None
    assert free.money < free.worst
    assert capped.worst == 0.25
    assert estimate(agent(model="anthropic:no-such-model"), 40_000).worst is None


@STEADY
@given(st.integers(1, 200), st.integers(256, 200_000), st.integers(0, 10**6))
def test_the_worst_case_is_the_worst(turns: int, answer: int, shown: int) -> None:
    found = estimate(agent(prices=OWN.model_dump(), turns=turns, answer_tokens=answer), shown)
    assert found.money is not None
    assert found.worst is not None
    assert found.money <= found.worst + 1e-9
    assert found.requests <= turns
