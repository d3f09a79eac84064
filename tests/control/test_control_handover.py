"""Proposals as a file: the same after the way from one job to another, and nothing else than what is expected."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pawl.control.handover import BadProposal, read_handover, write_handover
from pawl.control.thinking import Thought
from pawl.core.edit import Edit
from pawl.meta.atif import AtifAgent, Step, Trajectory
from pawl.meta.proposer import Proposal, Spend

EDIT = Edit("RATE = 2\n", "Go faster", "search", 0.5, {"RATE": 2.0})
TRACE = Trajectory(agent=AtifAgent(name="llm"), steps=(Step(step_id=1, source="agent", message="2"),))
MADE = Proposal(EDIT, trace=TRACE, spend=Spend(("m-1",), 3, 10, 2, 5, 0.25, 9.5), notes=("a note",))


@pytest.mark.parametrize(
    "proposal",
    [MADE, Proposal(reason="nothing left to try", rests=False), Proposal(halt="another model", reason="x")],
)
def test_what_is_read_is_what_was_written(proposal: Proposal) -> None:
    thought = Thought(3, "a" * 40, proposal, 17)
    assert read_handover(write_handover("o/r", [("demo", thought)]), "O/R") == [("demo", thought)]


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"number": 0}, "number"),
        ({"base": "main"}, "base"),
        ({"loop": "ledger"}, "loop"),
        ({"spend": {"money": -1}}, "spend.money"),
        ({"spend": {"seconds": float("nan")}}, "top"),
        ({"edit": {"content": 7, "hypothesis": "h", "proposer": "p"}}, "edit.content"),
        ({"edit": {"content": "x" * 600_000, "hypothesis": "h", "proposer": "p"}}, "edit.content"),
        ({"path": "../../etc/passwd"}, "path"),
    ],
)
def test_what_was_never_written_is_refused(changed: dict[str, Any], place: str) -> None:
    item = {"loop": "demo", "number": 1, "base": "a" * 40, **changed}
    text = json.dumps({"version": 1, "repository": "o/r", "proposals": [item]})
    with pytest.raises(BadProposal, match="it is no file of proposals") as refused:
        read_handover(text, "o/r")
    assert place == "top" or place in str(refused.value)
