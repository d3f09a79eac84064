"""What becomes of a proposal: its cost is told whatever came of it, and who fails is asked again later and later."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import core_builders as build
import pytest

from pawl.control.contexts import context_of, learnable
from pawl.control.proposing import (
    FAILURES,
    FIRST_WAIT,
    LONGEST_WAIT,
    PROPOSAL_TRACE,
    Rests,
    lines_of,
    opening_of,
    traces_of,
)
from pawl.control.thinking import Thought
from pawl.core.chain import check_chain
from pawl.core.draft import Draft
from pawl.core.edit import Edit
from pawl.core.ledger import AnyLine, AskLine, IncidentLine, SpendLine
from pawl.core.snapshot import Base, Snapshot
from pawl.meta.atif import AtifAgent, Step, Trajectory, numbered
from pawl.meta.proposer import Proposal, Spend

NOW = datetime(2031, 5, 4, 12, 0, tzinfo=UTC)
AT = NOW.isoformat()
EDIT = Edit("RATE = 2.0\n", "double the rate", "llm", 0.1, {"RATE": 2.0})
SPEND = Spend(("model-1",), 3, 3000, 1000, 200, 0.25, 12.5)
TRACE = Trajectory(
    agent=AtifAgent(name="pawl/llm"), steps=numbered([Step(step_id=1, source="user", message="hello")])
)


def snapshot(*lines: AnyLine, sha: str = build.SHA, **changes: Any) -> Snapshot:
    rules = build.rules(
        agent={"proposer": "llm", "model": "openai:x", "base_url": "http://127.0.0.1:9/v1"}, **changes
    )
    base = Base(sha=sha, inputs=build.INPUTS, content=b"RATE = 1.0\n")
    return Snapshot("us/loop", "loop", rules, base, ledger=lines)


def thought(number: int = 1, seen: int = 0, **proposal: Any) -> Thought:
    return Thought(number, build.SHA, Proposal(**proposal), seen)


def failure(reason: str = "the model raved", rests: bool = False, seen: int = 0) -> Thought:
    return thought(reason=reason, rests=rests, seen=seen)


# --- Lines for the ledger ---


def test_the_cost_of_an_edit_is_a_line() -> None:
    _, line = lines_of(thought(4, edit=EDIT, spend=SPEND), snapshot(), AT)
    assert isinstance(line, SpendLine)
    assert (line.experiment, line.proposer, line.proposed, line.reason) == (4, "llm", True, "")
    assert (line.models, line.requests, line.tokens_in, line.tokens_cached, line.tokens_out) == (
        ("model-1",),
        3,
        3000,
        1000,
        200,
    )
    assert (line.money, line.seconds, line.at, line.loop) == (0.25, 12.5, AT, "loop")


def test_the_cost_of_a_failure_is_a_line_too() -> None:
    _, line = lines_of(thought(reason="the model raved " * 1000, rests=False, spend=SPEND), snapshot(), AT)
    assert isinstance(line, SpendLine)
    assert not line.proposed
    assert line.reason.startswith("the model raved")
    assert len(line.reason) == 1000


def test_what_costs_nothing_is_no_line() -> None:
    assert lines_of(thought(edit=EDIT), snapshot(), AT) == ()
    assert lines_of(failure(), snapshot(), AT) == ()


def test_a_price_that_is_not_known_is_none_and_not_nothing() -> None:
    _, line = lines_of(thought(edit=EDIT, spend=replace(SPEND, money=None)), snapshot(), AT)
    assert isinstance(line, SpendLine)
    assert line.money is None


def test_another_model_than_the_pinned_one_stops_the_loop() -> None:
    halt = "agent.pin is a, and the model answered as b"
    _, spend, incident = lines_of(thought(reason=halt, halt=halt, spend=SPEND), snapshot(), AT)
    assert isinstance(spend, SpendLine)
    assert isinstance(incident, IncidentLine)
    assert (incident.stops, incident.reason, incident.experiment) == ("loop", halt, None)


def test_lines_follow_the_ledger_as_it_is() -> None:
    history = build.History()
    history.calibration([10.0, 10.1])
    seen = snapshot(*history.lines)
    lines = lines_of(thought(reason="x", halt="x", spend=SPEND), seen, AT)
    check_chain([*seen.ledger, *lines])


def test_the_same_proposal_is_told_under_the_same_key() -> None:
    """A look that is cut off between the ledger and the pull request tells of it again; keys are appended once."""
    made = thought(4, reason="x", halt="x", spend=SPEND, trace=TRACE)
    first = lines_of(made, snapshot(), AT)
    again = lines_of(made, snapshot(*first), "2031-05-04T13:00:00+00:00")
    assert [line.key for line in first[1:]] == [line.key for line in again]


@pytest.mark.parametrize(
    "change",
    [{"reason": "another reason"}, {"spend": replace(SPEND, seconds=13.0)}, {"trace": None}],
)
def test_another_proposal_for_the_same_number_is_told_too(change: dict[str, Any]) -> None:
    """Several may fail for one number, and each has its cost."""
    plain: dict[str, Any] = {"reason": "the model raved", "rests": False, "spend": SPEND, "trace": TRACE}
    first = lines_of(thought(4, **plain), snapshot(), AT)
    second = lines_of(thought(4, **{**plain, **change}), snapshot(*first), AT)
    assert (len(first), len(second)) == (2, 1), "the rules are told once"
    assert first[1].key != second[0].key
    check_chain([*first, *second])


# --- What is opened and kept ---


def test_an_edit_becomes_a_pull_request_on_the_base_it_was_made_for() -> None:
    moved = snapshot(sha=build.OTHER_SHA)
    opening = opening_of(thought(4, edit=EDIT), moved)
    assert (opening.loop, opening.rules, opening.number) == ("loop", moved.rules, 4)
    assert opening.edit == EDIT
    assert build.SHA in (getattr(opening, name) for name in opening.__dataclass_fields__)
    assert build.OTHER_SHA not in (getattr(opening, name) for name in opening.__dataclass_fields__)


def test_a_trace_is_kept_as_its_text() -> None:
    assert traces_of(thought(edit=EDIT, trace=TRACE)) == {PROPOSAL_TRACE: TRACE.text()}
    assert traces_of(thought(edit=EDIT)) == {}


# --- Resting ---


def test_who_has_nothing_to_offer_rests_until_something_changes() -> None:
    rests, seen = Rests(), snapshot()
    rests.failed(failure("the space is empty.", rests=True), seen, NOW)
    later = NOW + timedelta(days=365)
    assert rests.notice(seen, later) == "the space is empty"
    assert rests.next_at(NOW) is None
    assert rests.notice(snapshot(sha=build.OTHER_SHA), NOW) == "", "another base may have something to offer"


def test_who_fails_is_asked_again_later_and_later() -> None:
    rests, seen, now, waits = Rests(), snapshot(), NOW, []
    for _ in range(FAILURES - 1):
        rests.failed(failure(), seen, now)
        at = rests.next_at(now)
        assert at is not None
        notice = rests.notice(seen, at - timedelta(seconds=1))
        assert notice == f"the model raved; it is asked again at {at:%H:%M:%S} UTC"
        assert rests.notice(seen, at) == ""
        waits.append(at - now)
        now = at
    assert waits == [min(FIRST_WAIT * 2**n, LONGEST_WAIT) for n in range(FAILURES - 1)]
    rests.failed(failure(), seen, now)
    assert rests.next_at(now) is None
    assert rests.notice(seen, now + timedelta(days=30)).startswith(
        f"{FAILURES} proposals in a row came to nothing"
    )


def test_an_edit_forgets_the_failures_before_it() -> None:
    rests, seen = Rests(), snapshot()
    for _ in range(FAILURES - 1):
        rests.failed(failure(), seen, NOW)
    rests.offered("loop")
    assert rests.notice(seen, NOW) == ""
    rests.failed(failure(), seen, NOW)
    assert rests.next_at(NOW) == NOW + FIRST_WAIT


def test_planted_cheats_wake_no_proposer_and_are_not_told() -> None:
    """One that learnt of them would know which fences are tried, and when."""
    history = build.History()
    history.calibration([10.0])
    before = learnable(history.lines)
    history.canary(cheat="private-files")
    assert learnable(history.lines) == before
    told = context_of(snapshot(*history.lines), 7, None, NOW)
    assert not re.search("canary|cheat|private-files", repr(told))


@pytest.mark.parametrize("change", ["base", "rules", "ledger"])
def test_what_wakes_it(change: str) -> None:
    history = build.History()
    history.calibration([10.0])
    seen = snapshot(*history.lines)
    rests = Rests()
    for _ in range(FAILURES):
        rests.failed(failure(seen=learnable(seen.ledger)), seen, NOW)
    assert rests.notice(seen, NOW)
    if change == "ledger":
        history.verdict(1)
    new = snapshot(
        *history.lines,
        sha=build.OTHER_SHA if change == "base" else build.SHA,
        **({"budget": "9m"} if change == "rules" else {}),
    )
    assert rests.notice(new, NOW) == ""


def test_its_own_cost_does_not_wake_it() -> None:
    """Otherwise a model that raves would be asked again at once, for ever."""
    rests, seen = Rests(), snapshot()
    made = thought(reason="the model raved", rests=False, spend=SPEND)
    rests.failed(made, seen, NOW)
    told = snapshot(*lines_of(made, seen, AT))
    assert len(told.ledger) == 2, "the rules, and the cost"
    assert rests.notice(told, NOW)


@pytest.mark.parametrize(
    ("verb", "obeyed", "wakes"),
    [("status", True, False), ("merge", False, False), ("try", False, False), ("try", True, True)],
)
def test_only_an_idea_of_somebody_who_may_wakes_it(verb: str, obeyed: bool, wakes: bool) -> None:
    """Whoever may read can ask for the status: that must not start a proposal that costs money."""
    rests, seen = Rests(), snapshot()
    for _ in range(FAILURES):
        rests.failed(failure(), seen, NOW)
    line = Draft(seen, AT).add(
        AskLine,
        "ask:1",
        by="eve",
        level="read",
        said=f"/pawl {verb}",
        number=7,
        verb=verb,
        obeyed=obeyed,
    )
    assert (rests.notice(snapshot(line), NOW) == "") is wakes


def test_loops_rest_on_their_own() -> None:
    rests, seen = Rests(), snapshot()
    other = replace(seen, loop="other")
    rests.failed(failure(), seen, NOW)
    rests.failed(failure(rests=True), other, NOW)
    assert rests.next_at(NOW) == NOW + FIRST_WAIT
    rests.offered("loop")
    assert rests.notice(seen, NOW) == ""
    assert rests.notice(other, NOW)
    assert rests.next_at(NOW) is None
