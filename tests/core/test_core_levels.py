"""`merge: auto` is earned: by keeps that people took, by unchanged code that measured well and by planted cheats that were
stopped, and it can be lost."""

from __future__ import annotations

from typing import Any

import pytest
from core_builders import History, fact, rules
from hypothesis import given
from hypothesis import strategies as st

from pawl.core.draft import differences
from pawl.core.finding import Fence
from pawl.core.ledger import IncidentLine
from pawl.core.levels import AGREED, CLEAN, HELD, Standing, standing, unearned
from pawl.core.measurement import Arm, RunStatus, Stage, Step

AUTO = rules(merge="auto")


def taken(story: History, *numbers: int, by: str = "ann") -> None:
    """Keeps that somebody merged."""
    for number in numbers:
        story.verdict(number, verdict="keep")
        story.outcome(number, "merged", by)


def stopped(story: History, count: int, fence: Fence = Fence.HELD) -> None:
    """Planted cheats, and what became of them."""
    for _ in range(count):
        story.canary(fence)


def earned() -> History:
    story = History()
    stopped(story, HELD)
    story.calibration([10.0] * CLEAN)
    taken(story, *range(1, AGREED + 1))
    return story


def test_enough_keeps_runs_and_stopped_cheats_earn_it() -> None:
    story = earned()
    assert standing(AUTO, story.lines, "") == Standing(AGREED, CLEAN, HELD)
    assert unearned(AUTO, story.lines, "") == ""
    assert unearned(AUTO, story.lines[:-1], "") == (
        f"so far {AGREED - 1} of {AGREED} keeps in a row were taken by people, {CLEAN} of {CLEAN} runs of unchanged "
        f"code ended well, and {HELD} of {HELD} planted cheats were stopped"
    )


@pytest.mark.parametrize("fence", [Fence.PASSED, Fence.UNTOLD])
def test_only_a_cheat_that_was_stopped_counts(fence: Fence) -> None:
    story = History()
    stopped(story, HELD - 1)
    stopped(story, 1, fence)
    assert standing(AUTO, story.lines, "").held == HELD - 1


def test_nothing_is_to_be_earned_where_nobody_asks_for_it() -> None:
    assert unearned(rules(merge="review"), (), "") == ""
    assert unearned(rules(merge="auto", accept=["unearned-auto"]), (), "") == ""
    assert unearned(AUTO, (), "") != ""


def test_an_incident_takes_all_of_it() -> None:
    story = earned()
    story.add(IncidentLine, "incident:1", reason="printed and evaluated disagree")
    assert standing(AUTO, story.lines, "") == Standing(0, 0)


def test_a_keep_that_a_person_turned_down_starts_the_row_again() -> None:
    story = earned()
    story.verdict(20, verdict="keep")
    story.outcome(20, "closed", "ann")
    assert standing(AUTO, story.lines, "") == Standing(0, CLEAN, HELD)
    taken(story, 21)
    assert standing(AUTO, story.lines, "").agreed == 1


@pytest.mark.parametrize(
    ("verdict", "outcome", "by"),
    [
        ("keep", "merged", "pawl[bot]"),
        ("keep", "merged", ""),
        ("keep", "superseded", ""),
        ("discard", "closed", "ann"),
        ("discard", "overridden", "ann"),
    ],
)
def test_what_says_nothing_of_people_s_agreement(verdict: str, outcome: str, by: str) -> None:
    story = earned()
    story.verdict(20, verdict=verdict)
    story.outcome(20, outcome, by)
    assert standing(AUTO, story.lines, "") == Standing(AGREED, CLEAN, HELD)


def test_another_way_of_measuring_starts_from_nothing() -> None:
    story = earned()
    assert standing(rules(merge="auto", budget="9m"), story.lines, "") == Standing(0, 0)
    assert standing(rules(merge="auto", limits={"open_pulls": 3}), story.lines, "").earned


def test_only_runs_of_unchanged_code_that_ended_well_count() -> None:
    story = History()
    ends: list[tuple[Arm, dict[str, Any]]] = [
        (Arm.BASELINE, {}),
        (Arm.CANDIDATE, {}),
        (Arm.BASELINE, {"status": RunStatus.CRASH, "value": None}),
    ]
    runs = tuple(
        fact(Step(arm=arm, stage=Stage.CONFIRM, place=place, seed=place), **{"value": 10.0, **end})
        for place, (arm, end) in enumerate(ends)
    )
    story.verdict(1, runs)
    story.calibration([10.0, 10.1], ok=False, reason="it failed")
    assert standing(AUTO, story.lines, "") == Standing(0, 1)


@given(st.integers(0, 40), st.integers(0, 60), st.integers(0, 9))
def test_it_is_earned_from_all_together(agreed: int, clean: int, held: int) -> None:
    enough = agreed >= AGREED and clean >= CLEAN and held >= HELD
    assert Standing(agreed, clean, held).earned == enough


def test_what_changes_in_rules_is_told_by_its_name() -> None:
    before = rules()
    after = rules(merge="auto", limits={"open_pulls": 3}, accept=["process-sandbox"], setup="pip install x")
    assert set(differences(before, after)) == {
        'merge: "review", now "auto"',
        "limits.open_pulls: 10, now 3",
        'accept: nothing, now ["process-sandbox"]',
        'setup: nothing, now "pip install x"',
    }
    assert differences(before, rules()) == ()
