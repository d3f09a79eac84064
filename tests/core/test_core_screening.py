"""The share of unchanged code that passes the screen: what is counted, how sure it is, and when it is told."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from core_builders import History, rules
from core_world import NOW, World
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from pawl.core.actions import UpdateTracking
from pawl.core.calibration import calibration_of
from pawl.core.decide import Circumstances, decide
from pawl.core.ledger import AnyLine
from pawl.core.measurement import Calibration, Procedure, Purpose
from pawl.core.screening import COVERAGE, Screened, doubted, screened
from pawl.core.snapshot import Tracking

SHARE = float(norm.sf(1.65))
KNOWN = Calibration(sigma=1.0, dof=40, pool=(10.0,) * 8, device="cpu")


def sentinels(values: list[float], story: History | None = None, **changes: Any) -> History:
    """One line for each value, beside a pool of eight tens with sigma 1: it passes from 11.75 on."""
    story = story or History()
    for value in values:
        story.calibration([value], **{"purpose": Purpose.SENTINEL, "calibration": KNOWN, **changes})
    return story


def test_sentinels_are_held_against_the_screen_as_candidates_are() -> None:
    found = screened(sentinels([10.0, 11.7, 11.8, 8.0]).lines)
    assert found is not None
    assert (found.runs, found.passed) == (4, 1)
    assert found.declared == pytest.approx(SHARE)
    assert Procedure().screen_z == 1.65
    less = screened(sentinels([8.2, 11.8], rules=rules(metric={"name": "score", "goal": "minimize"})).lines)
    assert less is not None
    assert less.passed == 1, "where less is better, less passes"


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": Purpose.POOL},
        {"calibration": KNOWN.model_copy(update={"sigma": 0.0})},
        {"calibration": KNOWN.model_copy(update={"pool": ()})},
        {"device": "another kind"},
    ],
    ids=["no sentinel", "no noise", "no pool", "another machine"],
)
def test_what_can_be_held_against_no_screen_does_not_count(changes: dict[str, Any]) -> None:
    assert screened(sentinels([12.0], **changes).lines) is None


def test_what_was_measured_otherwise_does_not_count() -> None:
    story = sentinels([12.0, 12.0])
    sentinels([10.0], story, rules=rules(budget="7s"))
    found = screened(story.lines)
    assert found is not None
    assert (found.runs, found.passed) == (1, 0)


@settings(deadline=None)
@given(st.integers(1, 400).flatmap(lambda runs: st.tuples(st.just(runs), st.integers(0, runs))))
def test_the_interval_is_that_of_clopper_and_pearson(counts: tuple[int, int]) -> None:
    runs, passed = counts
    low, high = Screened(runs, passed, SHARE).interval
    exact = binomtest(passed, runs).proportion_ci(COVERAGE, "exact")
    assert (low, high) == pytest.approx((exact.low, exact.high), abs=1e-7)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(0, 300))
def test_one_more_that_passes_never_makes_it_look_better(runs: int, passed: int) -> None:
    passed = min(passed, runs - 1)
    fewer, more = Screened(runs, passed, SHARE), Screened(runs, passed + 1, SHARE)
    assert more.too_many or not fewer.too_many
    assert fewer.too_few or not more.too_few
    assert not (fewer.too_many and fewer.too_few)


@pytest.mark.parametrize(
    ("runs", "passed", "said"),
    [(10, 3, ""), (10, 4, "smaller"), (60, 8, ""), (60, 9, "smaller"), (104, 0, ""), (105, 0, "larger")],
)
def test_it_is_told_from_where_on_it_cannot_be_chance(runs: int, passed: int, said: str) -> None:
    words = doubted(Screened(runs, passed, SHARE))
    assert bool(words) == bool(said)
    assert f"taken for {said}" in words or not said


def told(made: World, lines: list[AnyLine]) -> str:
    """What the tracking issue is told."""
    seen = replace(made.snapshot(), ledger=tuple(lines), tracking=Tracking(1))
    actions = decide(seen, Circumstances(NOW, b"key"))
    return " ".join(
        each for action in actions if isinstance(action, UpdateTracking) for each in action.notices
    )


def test_people_hear_of_it_while_it_is_so() -> None:
    made = World()
    assert "unchanged code" not in told(made, sentinels([12.0] * 3 + [10.0] * 7, rules=made.rules).lines)
    odd = sentinels([12.0] * 4 + [10.0] * 6, rules=made.rules)
    assert (
        "4 of 10 runs of unchanged code passed the screen, where 5% should: sigma is taken for smaller"
        in told(made, odd.lines)
    )
    assert "unchanged code" not in told(made, sentinels([10.0] * 60, odd, rules=made.rules).lines)


@pytest.mark.parametrize(("apart", "much"), [(0.0, False), (1.5, True)])
def test_a_machine_that_is_another_each_time_is_found_out(apart: float, much: bool) -> None:
    """Runs of one calibration come one behind the other and agree; what differs between days is in no sigma, but in every
    sentinel's score."""
    chance, story = Random(7), History()
    for number in range(200):
        day = 10.0 + chance.gauss(0, apart)
        known = calibration_of(story.lines, f"{number // 10:064x}")
        if number % 10 == 0:
            story.calibration([day + chance.gauss(0, 1) for _ in range(8)], f"{number // 10:064x}")
        else:
            sentinels([day + chance.gauss(0, 1)], story, inputs=f"{number:064x}", calibration=known)
    found = screened(story.lines)
    assert found is not None
    assert found.runs == 180
    assert found.too_many == much
