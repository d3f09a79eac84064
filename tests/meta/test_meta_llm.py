"""The proposer `llm` against scripted servers of both languages: what it makes of every answer and every fault."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from meta.meta_kit import SOURCE, Shelf, context, rules
from meta.model_servers import (
    KEY,
    MODEL,
    Call,
    Language,
    ModelServer,
    Reply,
    Script,
    model_server,
    submit,
    use,
)
from pawl.meta.llm import NUDGES, REJECTED, Llm
from pawl.meta.means import Means
from pawl.meta.proposer import Context, NoProposal, Proposal, Spent, Tried
from pawl.meta.requesting import TRIES

BOTH = pytest.mark.parametrize("language", ["openai", "anthropic"])
GOOD = submit({"AIM = 1.0": "AIM = 2.0"})
PRICES = {"input": 1.0, "output": 10.0}


class Seconds:
    """A clock that goes on only where somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def pause(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@contextmanager
def asked(
    language: Language, script: Script, key: bool = True, clock: Seconds | None = None, **more: Any
) -> Iterator[tuple[Llm, Context, ModelServer]]:
    agent = {key: more.pop(key) for key in list(more) if key in AGENT}
    with model_server(language, script) as server:
        loop = rules(proposer="llm", model=server.model, base_url=server.base_url, **agent)
        means = Means(keys={server.base_url: KEY} if key else {}, addresses=frozenset({server.base_url}))
        seconds = clock or Seconds()
        yield (
            Llm(means, seconds, seconds.pause, lambda: 1.0),
            context(loop, **{"library": Shelf(), **more}),
            server,
        )


AGENT = {"turns", "time", "pin", "money", "prices", "context_tokens", "answer_tokens"}


def proposed(language: Language, script: Script, **more: Any) -> Proposal:
    with asked(language, script, **more) as (llm, shown, _):
        return llm.propose(shown)


@BOTH
def test_an_edit_by_blocks(language: Language) -> None:
    proposal = proposed(language, [GOOD], prices=PRICES)
    assert proposal.edit is not None
    assert proposal.edit.content == SOURCE.replace("AIM = 1.0", "AIM = 2.0")
    assert (proposal.edit.hypothesis, proposal.edit.predicted, proposal.edit.proposer) == (
        "a better value",
        0.5,
        "llm",
    )
    assert proposal.spend.models == (MODEL,)
    assert (proposal.spend.requests, proposal.spend.tokens_in, proposal.spend.tokens_out) == (1, 1000, 100)
    assert proposal.spend.money == pytest.approx(0.002)


@BOTH
def test_a_whole_file(language: Language) -> None:
    whole = SOURCE.replace("SPREAD = 0.05", "SPREAD = 0.01")
    proposal = proposed(language, [use("submit", hypothesis="less spread", whole_file=whole)])
    assert proposal.edit is not None
    assert proposal.edit.content == whole
    assert proposal.edit.predicted is None
    assert proposal.spend.money is None


@BOTH
def test_every_tool_is_answered_and_the_trace_is_atif(language: Language) -> None:
    """The whole conversation is in the trace, which is valid under the published schema."""
    tried = (Tried(3, "discard", {}, -0.5, "a wider spread", "the screening run scored …"),)
    script = [
        use("read_file"),
        use("read_file", path="README.md"),
        use("read_file", path="../../etc/passwd"),
        use("search_ledger", query="spread"),
        use("read_experiment", number=3),
        use("read_log", number=99),
        use("read_trace", number=3),
        use("check_edit", blocks=[{"search": "AIM = 1.0", "replace": "AIM = 3.0"}]),
        use("no_such_tool", what=1),
        Reply(calls=GOOD.calls, thinking="a larger aim is nearer", text="I try it."),
    ]
    with asked(language, script, tried=tried) as (llm, shown, server):
        proposal = llm.propose(shown)
    assert proposal.edit is not None
    said = json.dumps(server.heard[-1].body)
    for words in (
        "README.md",
        "# Read me",
        "there is no file",
        "a wider spread",
        "nothing is kept of experiment 99",
    ):
        assert words in said, words
    assert "could be proposed" in said
    assert "there is no tool" in said
    assert proposal.trace is not None
    trace = json.loads(proposal.trace.text())
    jsonschema.validate(
        trace, json.loads((Path(__file__).parents[1] / "contract" / "atif-v1.8.json").read_text())
    )
    agent = [step for step in trace["steps"] if step["source"] == "agent"]
    assert len(agent) == 10
    assert agent[-1]["reasoning_content"] == "a larger aim is nearer"
    assert (
        agent[1]["observation"]["results"][0]["source_call_id"] == agent[1]["tool_calls"][0]["tool_call_id"]
    )
    assert trace["final_metrics"]["total_prompt_tokens"] == 10_000


@BOTH
def test_a_bad_edit_goes_back_with_the_reason(language: Language) -> None:
    script = [
        submit({"NO SUCH LINE": "x"}),
        submit({"AIM = 1.0": "AIM = ("}),
        submit({"AIM = 1.0": "AIM = 1.0  # the same"}),
        GOOD,
    ]
    with asked(language, script) as (llm, shown, server):
        proposal = llm.propose(shown)
    assert proposal.edit is not None
    assert proposal.notes == ("3 edits were sent back to the model before this one",)
    said = json.dumps(server.heard[-1].body)
    assert "is not there" in said
    assert "changes only comments" in said


@BOTH
def test_a_model_that_raves_costs_one_proposal(language: Language) -> None:
    proposal = proposed(language, [submit({"NO SUCH LINE": "x"})])
    assert proposal.edit is None
    assert f"none of the {REJECTED} edits" in proposal.reason
    assert not proposal.rests
    assert proposal.spend.requests == REJECTED


@BOTH
def test_prose_is_asked_for_a_call_a_few_times(language: Language) -> None:
    proposal = proposed(language, [Reply(text="I would raise AIM.")])
    assert proposal.edit is None
    assert f"{NUDGES + 1} times without calling a tool" in proposal.reason


@BOTH
def test_a_fenced_answer_of_a_model_that_cannot_call_tools_is_taken(language: Language) -> None:
    said = json.dumps({"hypothesis": "up", "blocks": [{"search": "AIM = 1.0", "replace": "AIM = 2.0"}]})
    proposal = proposed(language, [Reply(text=f"Here it is:\n```json\n{said}\n```\nGood luck.")])
    assert proposal.edit is not None
    assert proposal.edit.hypothesis == "up"


def test_arguments_that_are_no_json_go_back(tmp_path: Path) -> None:
    proposal = proposed("openai", [Reply(calls=(Call("submit", '{"hypothesis": "x", '),)), GOOD])
    assert proposal.edit is not None
    assert proposal.spend.requests == 2


@BOTH
def test_asking_the_same_again_and_again_ends_with_the_turns(language: Language) -> None:
    with asked(language, [use("read_file")], turns=6) as (llm, shown, server):
        proposal = llm.propose(shown)
    assert "within 6 requests" in proposal.reason
    assert len(server.heard) == 6
    assert "the answer is the same" in json.dumps(server.heard[-1].body)


@BOTH
@pytest.mark.parametrize(("headers", "waited"), [({"Retry-After": "7"}, 7.0), ({}, 2.0)])
def test_a_busy_server_is_waited_for(language: Language, headers: dict[str, str], waited: float) -> None:
    clock = Seconds()
    proposal = proposed(language, [Reply(status=429, headers=headers), GOOD], clock=clock)
    assert proposal.edit is not None
    assert clock.waits == [waited]
    assert proposal.spend.requests == 2


@BOTH
def test_a_server_that_asks_for_more_time_than_there_is(language: Language) -> None:
    proposal = proposed(language, [Reply(status=429, headers={"Retry-After": "4000"})])
    assert "asks for 4000 s" in proposal.reason
    assert not proposal.rests


@BOTH
@pytest.mark.parametrize(
    "fault",
    [Reply(status=503), Reply(status=500), Reply(cut=True), Reply(raw=b"<html>"), Reply(raw=b"{}")],
    ids=str,
)
def test_a_fault_that_passes_is_tried_again(language: Language, fault: Reply) -> None:
    proposal = proposed(language, [fault, GOOD])
    assert proposal.edit is not None, proposal.reason


@BOTH
def test_a_fault_that_stays_costs_one_proposal(language: Language) -> None:
    proposal = proposed(language, [Reply(status=503)])
    assert proposal.edit is None
    assert "503" in proposal.reason
    assert not proposal.rests
    assert proposal.spend.requests == TRIES


@BOTH
def test_a_server_that_hangs_is_left_when_the_time_is_over(language: Language) -> None:
    import time

    with asked(language, [Reply(hang=True)], time=1) as (_, shown, server):
        means = Means(keys={server.base_url: KEY}, addresses=frozenset({server.base_url}))
        proposal = Llm(means, time.monotonic).propose(shown)
    assert "agent.time" in proposal.reason
    assert not proposal.rests


@BOTH
@pytest.mark.parametrize("status", [401, 404])
def test_what_no_retry_can_mend_is_said_once(language: Language, status: int) -> None:
    proposal = proposed(language, [Reply(status=status, error=f"no {KEY}")])
    assert proposal.rests
    assert proposal.spend.requests == 1
    assert str(status) in proposal.reason
    assert KEY not in proposal.reason


@BOTH
def test_a_context_that_overflows_is_halved_once(language: Language) -> None:
    full = Reply(status=400, error="prompt is too long: 40000 tokens > 32768 maximum context length")
    long = "# a comment\n" * 4000
    with asked(language, [full, GOOD], program=long, source=SOURCE) as (llm, shown, server):
        proposal = llm.propose(shown)
    assert proposal.edit is not None
    before, after = (len(json.dumps(heard.body)) for heard in server.heard)
    assert after < before
    again = proposed(language, [full])
    assert "too small even for half" in again.reason


@BOTH
def test_a_refusal_is_told(language: Language) -> None:
    proposal = proposed(language, [Reply(text="I cannot help with that.", finish="refusal")])
    assert proposal.edit is None
    assert "refused" in proposal.reason


@BOTH
def test_money_is_never_passed(language: Language) -> None:
    """A request that could pass a cap is not made, whatever it would have cost in the end."""
    money = {"per_proposal": 0.03}
    proposal = proposed(
        language, [use("read_file")], money=money, prices=PRICES, answer_tokens=1000, turns=50
    )
    assert "agent.money.per_proposal" in proposal.reason
    assert proposal.spend.money is not None
    assert proposal.spend.money <= 0.03
    before = proposed(
        language, [GOOD], money={"per_day": 1.0}, prices=PRICES, spent=Spent(today=0.999), answer_tokens=1000
    )
    assert "agent.money.per_day" in before.reason
    assert before.spend.requests == 0
    assert before.rests


def test_a_cap_without_a_price_asks_for_one() -> None:
    with asked("openai", [GOOD], money={"per_day": 1.0}) as (llm, shown, server):
        with pytest.raises(NoProposal, match=r"agent\.prices"):
            llm.propose(shown)
        assert not server.heard


@BOTH
def test_another_model_than_the_pinned_one_stops_the_loop(language: Language) -> None:
    proposal = proposed(language, [GOOD], pin="scripted-1-20250101")
    assert proposal.edit is None
    assert proposal.halt == f"agent.pin is scripted-1-20250101, and the model answered as {MODEL}"
    assert proposed(language, [GOOD], pin=MODEL).edit is not None


@BOTH
def test_a_model_that_changes_in_mid_talk_is_told(language: Language) -> None:
    other = Reply(calls=(Call("read_file", {}),), model="scripted-2")
    proposal = proposed(language, [other, GOOD])
    assert proposal.spend.models == ("scripted-2", MODEL)
    assert "changed its model" in proposal.notes[0]


@BOTH
def test_a_key_goes_to_its_own_address_alone(language: Language, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients of both providers take keys and addresses from the environment, unless they are told not to."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment-0123456789")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-of-the-environment-0123456789")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-of-the-environment-0123456789")
    with asked(language, [GOOD], key=False) as (llm, shown, server):
        assert llm.propose(shown).edit is not None
        assert "of-the-environment" not in json.dumps(server.heard[0].headers)
    with asked(language, [GOOD]) as (llm, shown, server):
        proposal = llm.propose(shown)
        assert KEY in json.dumps(server.heard[0].headers)
        assert proposal.trace is not None
        assert KEY not in proposal.trace.text() + repr(llm) + repr(proposal)


def test_no_redirect_takes_the_key_along() -> None:
    with model_server("openai", [GOOD]) as other:
        moved = Reply(status=307, headers={"Location": f"{other.base_url}/chat/completions"})
        proposal = proposed("openai", [moved])
        assert proposal.edit is None
        assert not other.heard


def test_what_is_missing_is_said_before_anything_is_asked() -> None:
    shown = context(rules(proposer="llm", model="anthropic:claude-x"))
    with pytest.raises(NoProposal, match="ANTHROPIC_API_KEY"):
        Llm(Means()).propose(shown)
    shown = context(rules(proposer="llm", model="openai:x", base_url="http://127.0.0.1:1/v1"))
    with pytest.raises(NoProposal, match="PAWL_MODEL_ADDRESSES"):
        Llm(Means(keys={"openai": KEY})).propose(shown)


def test_an_address_where_nobody_listens_costs_one_proposal() -> None:
    url = "http://127.0.0.1:9/v1"
    shown = context(rules(proposer="llm", model="openai:x", base_url=url))
    seconds = Seconds()
    proposal = Llm(Means(addresses=frozenset({url})), seconds, seconds.pause).propose(shown)
    assert proposal.edit is None
    assert not proposal.rests
