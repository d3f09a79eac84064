"""The runner's share of time inside a budget, in a virtual clock that drives the real decisions."""

from __future__ import annotations

import pytest
from core_shift import Shift

from pawl.core.duty import duty_of
from pawl.core.verifying import verify


@pytest.mark.parametrize(("pick_up", "least"), [(5.0, 0.97), (20.0, 0.95), (60.0, 0.90)])
def test_one_runner_is_kept_busy(pick_up: float, least: float) -> None:
    shift = Shift(pick_up=pick_up).after(12)
    assert shift.share >= least
    told = duty_of(shift.world.ledger, 1)
    assert told is not None
    assert told.share == pytest.approx(shift.share, abs=0.03), "what the ledger tells is what was"
    assert [str(found) for found in verify(shift.world.ledger)] == []


def test_four_runners_do_almost_four_times_as_much() -> None:
    one, four = Shift(lanes=1, seed=1).after(12), Shift(lanes=4, seed=1).after(12)
    assert four.rate >= 3.9 * one.rate


def test_nothing_is_told_of_a_loop_that_has_measured_nothing() -> None:
    assert duty_of((), 1) is None
