"""Small local models: calls written as prose, answers that are cut off, servers that count nothing, narrow contexts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from meta.meta_kit import SOURCE, Shelf, context, rules
from meta.model_servers import KEY, Call, ModelServer, Reply, Script, model_server, submit, use
from pawl.meta.llm import Llm
from pawl.meta.means import Means
from pawl.meta.proposer import Proposal
from pawl.meta.tokens import CHARS_PER_TOKEN

GOOD = submit({"AIM = 1.0": "AIM = 2.0"})
EDIT = {
    "hypothesis": "up",
    "predicted_effect": 0.5,
    "blocks": [{"search": "AIM = 1.0", "replace": "AIM = 2.0"}],
}
PRICES = {"input": 1.0, "output": 10.0}


async def no_pause(seconds: float) -> None:
    """Time is not what these tests are about."""


@contextmanager
def asked(script: Script, shelf: Shelf | None = None, **agent: Any) -> Iterator[tuple[Proposal, ModelServer]]:
    with model_server("openai", script) as server:
        loop = rules(proposer="llm", model=server.model, base_url=server.base_url, **agent)
        means = Means({server.base_url: KEY}, frozenset({server.base_url}))
        llm = Llm(means, pause=no_pause, chance=lambda: 0.0)
        yield llm.propose(context(loop, library=shelf or Shelf())), server


def said_at_last(server: ModelServer) -> str:
    return json.dumps(server.heard[-1].body["messages"][-1], ensure_ascii=False)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(EDIT),
        f"```json\n{json.dumps(EDIT, indent=2)}\n```",
        f"```\n{json.dumps(EDIT)}\n```",
        f"I raise AIM:\n\n{json.dumps(EDIT)}\n\nThat should do.",
        f"Not {{this}}, nor {json.dumps({'a': 1})}, but:\n```json\n{json.dumps(EDIT)}\n```\nand ```json\n{{}}\n```",
        f"<think>Perhaps {json.dumps({**EDIT, 'hypothesis': 'no'})}?</think>\n{json.dumps(EDIT)}",
        f"<tool_call>\n{json.dumps({'name': 'submit', 'arguments': EDIT})}\n</tool_call>",
        json.dumps({"name": "submit", "parameters": EDIT}),
        json.dumps({"name": "submit", "arguments": json.dumps(EDIT)}),
        json.dumps({"hypothesis": "up", "whole_file": SOURCE.replace("AIM = 1.0", "AIM = 2.0")}),
    ],
)
def test_an_edit_that_is_written_as_prose_is_taken(text: str) -> None:
    with asked([Reply(text=text)]) as (proposal, _):
        assert proposal.edit is not None, proposal.reason
        assert proposal.edit.content == SOURCE.replace("AIM = 1.0", "AIM = 2.0")
        assert proposal.edit.hypothesis == "up"


def test_a_reading_that_is_written_as_prose_is_answered() -> None:
    call = {"name": "read_file", "arguments": {"path": "README.md"}}
    with asked([Reply(text=f"<tool_call>{json.dumps(call)}</tool_call>"), GOOD]) as (proposal, server):
        assert proposal.edit is not None
        assert "# Read me" in said_at_last(server)


@pytest.mark.parametrize(
    "text", ["{" * 3000, '{"a": ' * 3000, "", "{}", '{"name": "submit"}', '{"name": ["submit"]}', "[1]"]
)
def test_prose_without_a_call_is_asked_for_one(text: str) -> None:
    with asked([Reply(text=text), GOOD]) as (proposal, server):
        assert proposal.edit is not None
        assert "Call a tool" in said_at_last(server)


def test_an_edit_in_prose_that_may_not_be_made_goes_back() -> None:
    bad = {**EDIT, "blocks": [{"search": "nowhere", "replace": "x"}]}
    with asked([Reply(text=json.dumps(bad)), GOOD]) as (proposal, server):
        assert proposal.notes == ("1 edits were sent back to the model before this one",)
        assert "is not there" in said_at_last(server)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(calls=(Call("submit", '{"hypothesis": "x", "whole_file": "import os'),), finish="length"),
        Reply(text="First I think about", finish="length"),
    ],
)
def test_an_answer_that_was_cut_off_is_told_so(reply: Reply) -> None:
    with asked([reply, GOOD], answer_tokens=300) as (proposal, server):
        assert proposal.edit is not None
        assert "cut off at 300 tokens" in said_at_last(server)


def test_tokens_that_no_server_counts_are_estimated() -> None:
    """Otherwise a cap would never be reached."""
    silent = Reply(calls=(Call("read_file", {"path": "README.md"}),), tokens=(0, 0))
    with asked([silent, Reply(calls=GOOD.calls, tokens=(0, 0))], prices=PRICES) as (proposal, _):
        assert proposal.spend.tokens_in > 2000
        assert proposal.spend.tokens_out > 10
        assert proposal.spend.money is not None
        assert proposal.spend.money > 0
        assert "estimated" in proposal.notes[-1]
    with asked(
        [Reply(calls=(Call("search_ledger", {"query": str(n)}),), tokens=(0, 0)) for n in range(40)],
        prices=PRICES,
        money={"per_proposal": 0.03},
        answer_tokens=1000,
        turns=40,
    ) as (proposal, _):
        assert "agent.money.per_proposal" in proposal.reason


def test_answers_that_were_lost_count_towards_the_caps() -> None:
    """A cut answer was made, and is billed, though nobody can say how long it was."""
    with asked(
        [Reply(cut=True)],
        prices=PRICES,
        money={"per_proposal": 0.04},
        answer_tokens=1000,
        context_tokens=4000,
    ) as (proposal, server):
        assert "agent.money.per_proposal" in proposal.reason
        assert 1 <= len(server.heard) < 6
        assert proposal.spend.money == 0.0, "what is not known is not claimed"


def test_tool_answers_fit_a_narrow_context() -> None:
    shelf = Shelf(files={"aim.py": SOURCE.encode(), "big.txt": b"a line of words\n" * 5000})
    with asked([use("read_file", path="big.txt"), GOOD], shelf, context_tokens=2000) as (proposal, server):
        assert proposal.edit is not None
        assert len(said_at_last(server)) < 2000 * CHARS_PER_TOKEN / 4 + 500
        assert "It goes on at line" in said_at_last(server)


def test_a_context_that_was_read_full_is_no_reason_to_rest() -> None:
    """The next proposal may read less; only a context that cannot even hold the beginning is hopeless."""
    full = Reply(status=400, error="the request exceeds the available context size")
    with asked([use("read_file", path="README.md"), full, use("read_file", path="README.md"), full]) as (
        proposal,
        _,
    ):
        assert "too small even for half" in proposal.reason
        assert not proposal.rests
    with asked([full]) as (proposal, _):
        assert proposal.rests


def test_what_was_read_before_a_new_beginning_may_be_read_again() -> None:
    full = Reply(status=400, error="maximum context length exceeded")
    read = use("read_file", path="README.md")
    with asked([read, read, full, read, GOOD]) as (proposal, server):
        assert proposal.edit is not None
        assert "# Read me" in said_at_last(server)


def test_a_local_server_is_told_the_size_of_an_answer_in_words_it_knows() -> None:
    """Ollama and its like ignore ``max_completion_tokens``, and would answer as long as they please."""
    with asked([GOOD], answer_tokens=700) as (proposal, server):
        assert proposal.edit is not None
        body = server.heard[0].body
        assert body["max_tokens"] == 700
        assert "max_completion_tokens" not in body
