"""What a pull request is told of how its edit was made."""

from __future__ import annotations

import core_builders as build

from pawl.control.proposing import opening_of
from pawl.control.thinking import Thought
from pawl.core.edit import Edit
from pawl.core.snapshot import Base, Snapshot
from pawl.messages.pull_requests import TRACE, Made
from pawl.meta.atif import AtifAgent, Step, Trajectory, numbered
from pawl.meta.proposer import Proposal, Spend

EDIT = Edit("RATE = 2.0\n", "double the rate", "llm", 0.1)


def made(proposal: Proposal) -> Made:
    base = Base(sha=build.SHA, inputs=build.INPUTS, content=b"RATE = 1.0\n")
    shown = Snapshot("us/loop", "loop", build.rules(), base)
    return opening_of(Thought(4, build.SHA, proposal), shown).made


def test_models_cost_notes_and_trace_go_with_the_opening() -> None:
    steps = [
        Step(step_id=1, source="user", message="hello"),
        Step(step_id=1, source="agent", message="x" * 10**6),
    ]
    trace = Trajectory(agent=AtifAgent(name="pawl/llm"), steps=numbered(steps * 99))
    told = made(
        Proposal(EDIT, trace=trace, spend=Spend(("m-1",), 3, 900, 100, 50, 0.5, 7.0), notes=("dropped",))
    )
    assert (told.models, told.requests, told.tokens_in, told.tokens_cached, told.tokens_out) == (
        ("m-1",),
        3,
        900,
        100,
        50,
    )
    assert (told.money, told.seconds, told.notes) == (0.5, 7.0, ("dropped",))
    assert told.trace.startswith("user: hello\nagent: xxx")
    assert len(told.trace) <= TRACE + 100
    assert told.stored == "refs/pawl/traces/loop/4"


def test_a_proposer_that_reasons_nowhere_but_in_its_hypothesis_leaves_no_trace() -> None:
    told = made(Proposal(EDIT))
    assert (told.trace, told.stored, told.asked) == ("", "", False)
