"""The states of an experiment: one table, one picture."""

from __future__ import annotations

import re
from pathlib import Path

from pawl.core.ledger import Outcome
from pawl.core.states import TRANSITIONS, State

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"
START = "[*]"


def drawn() -> str:
    """The picture that the table asks for."""
    ways = [(START, State.PROPOSED.value)]
    ways += [(old.value, new.value) for old in State for new in State if new in TRANSITIONS[old]]
    ways += [(state.value, START) for state in State if not TRANSITIONS[state]]
    lines = "".join(f"    {old} --> {new}\n" for old, new in ways)
    return f"```mermaid\nstateDiagram-v2\n{lines}```\n"


def test_the_design_shows_the_table() -> None:
    found = re.search(r"```mermaid\nstateDiagram-v2\n.*?```\n", DESIGN.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"{DESIGN} has no state diagram; it should be\n\n{drawn()}"
    shown = set(re.findall(r"^ *(\S+) --> (\S+)$", found[0], re.MULTILINE))
    wanted = set(re.findall(r"^ *(\S+) --> (\S+)$", drawn(), re.MULTILINE))
    assert shown == wanted, f"{DESIGN} should show\n\n{drawn()}"


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached, found = {State.PROPOSED}, {State.PROPOSED}
    while found:
        found = {new for old in found for new in TRANSITIONS[old]} - reached
        reached |= found
    assert reached == set(State)


def test_what_has_no_way_on_is_an_outcome() -> None:
    assert {state.value for state, ways in TRANSITIONS.items() if not ways} == {end.value for end in Outcome}
