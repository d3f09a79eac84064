"""What the ledger knows of a base: its noise, its pool of values, and when it is time to measure again."""

from __future__ import annotations

import math
import statistics

import pytest
from core_builders import AFTER, INPUTS, OTHER_SHA, SHA, History, run_of
from pydantic import ValidationError

from pawl.core.calibration import (
    POOL,
    SENTINEL_EVERY,
    WINDOW,
    calibration_of,
    kept,
    runs_missing,
    sentinel_due,
)
from pawl.core.ledger import AuditLine
from pawl.core.measurement import LARGEST, Arm, RunFact, RunStatus, Stage, Step
from pawl.core.noise import pooled

B, C = Arm.BASELINE, Arm.CANDIDATE


def test_nothing_is_known_of_an_empty_ledger() -> None:
    known = calibration_of([], INPUTS)
    assert (known.sigma, known.dof, known.pool, known.device, known.upto) == (0.0, 0, (), "", 0)
    assert runs_missing(known) == 8


def test_a_first_calibration() -> None:
    ledger = History()
    ledger.calibration([1.0, 2.0, 3.0, 4.0])
    known = calibration_of(ledger.lines, INPUTS)
    assert known.pool == (1.0, 2.0, 3.0, 4.0)
    assert known.sigma == pytest.approx(statistics.stdev([1, 2, 3, 4]))
    assert known.dof == 3
    assert (known.device, known.upto) == ("cpu", 1)


def test_the_pool_rolls_and_the_noise_is_of_every_base() -> None:
    ledger = History()
    ledger.calibration([float(value) for value in range(10)])
    ledger.calibration([100.0, 102.0], inputs=AFTER)
    known = calibration_of(ledger.lines, INPUTS)
    assert known.pool == tuple(float(value) for value in range(2, 10))
    assert len(known.pool) == POOL
    assert (known.sigma, known.dof) == pooled([list(range(10)), [100, 102]])
    assert calibration_of(ledger.lines, AFTER).pool == (100.0, 102.0)


@pytest.mark.parametrize("values", [[LARGEST, -LARGEST], [LARGEST] * 8, [1e-150, 2e-150]])
def test_the_noise_of_the_strangest_metric_is_a_number(values: list[float]) -> None:
    """One metric of 1e200 in a ledger, where every number was taken that is finite, and no look at the loop ended any
    more: its square overflows. So no record and no ledger holds a larger one than this."""
    story = History()
    story.calibration(values)
    known = calibration_of(story.lines, INPUTS)
    assert math.isfinite(known.sigma)
    step = Step(arm=Arm.BASELINE, stage=Stage.CALIBRATE, place=0, seed=0)
    for value in (2 * LARGEST, math.inf, math.nan):
        with pytest.raises(ValidationError):
            RunFact(**step.model_dump(), status=RunStatus.OK, metric={"select": value})


def test_only_the_newest_runs_count() -> None:
    ledger = History()
    ledger.calibration([0.0, 1000.0])
    for start in range(0, WINDOW, 10):
        ledger.calibration([float(start % 3 + value % 2) for value in range(10)])
    assert calibration_of(ledger.lines, INPUTS).sigma < 2
    assert calibration_of(ledger.lines, INPUTS).dof == WINDOW - 1


def test_runs_of_another_kind_of_machine_are_not_compared() -> None:
    ledger = History()
    ledger.calibration([1.0, 2.0], device="h100")
    ledger.calibration([50.0, 60.0], device="cpu")
    assert calibration_of(ledger.lines, INPUTS).pool == (50.0, 60.0)
    assert calibration_of(ledger.lines, INPUTS, device="h100").pool == (1.0, 2.0)


def test_selected_runs_are_left_out() -> None:
    """A screening run that went on was selected by its value, and so were the confirming ones by their number."""
    ledger = History()
    runs = (
        run_of(C, Stage.SCREEN, 0, 99.0),
        run_of(B, Stage.CONFIRM, 0, 1.0),
        run_of(C, Stage.CONFIRM, 0, 98.0),
        run_of(C, Stage.SEAL, 0, 5.0),
        run_of(B, Stage.SEAL, 0, 2.0),
        run_of(C, Stage.SEAL, 1, 6.0),
        run_of(B, Stage.SEAL, 1, 77.0, status=RunStatus.CRASH),
        run_of(B, Stage.SEAL, 1, None),
    )
    ledger.verdict(1, runs, verdict="keep", stage=Stage.SEAL)
    assert calibration_of(ledger.lines, INPUTS).pool == (1.0, 2.0)
    assert calibration_of(ledger.lines, AFTER).pool == (5.0, 6.0)
    assert calibration_of(ledger.lines, INPUTS).sigma == pytest.approx(2**-0.5)


def test_an_audit_measures_the_branch_with_its_candidate_arm() -> None:
    ledger = History()
    runs = (run_of(B, Stage.AUDIT, 0, 1.0), run_of(C, Stage.AUDIT, 0, 7.0))
    common = ledger._measured(INPUTS, runs)
    ledger.add(
        AuditLine, "calibration:1", **common, number=1, anchor=SHA, head_digest="0" * 64, claimed=6.0, measured=6.0,
        error=1.0, ok=True, reason="",
    )  # fmt: skip
    assert calibration_of(ledger.lines, INPUTS).pool == (7.0,)
    assert not sentinel_due(ledger.lines)


@pytest.mark.parametrize(
    ("known", "other", "missing"),
    [([], [], 8), ([1.0, 2.0, 3.0], [], 8), ([1.0, 2.0, 3.0, 4.0], [], 0), ([], [1.0, 2.0, 3.0, 4.0], 4),
     ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0], 4)],
)  # fmt: skip
def test_how_many_runs_are_missing(known: list[float], other: list[float], missing: int) -> None:
    ledger = History()
    if other:
        ledger.calibration(other, inputs=AFTER)
    if known:
        ledger.calibration(known)
    assert runs_missing(calibration_of(ledger.lines, INPUTS)) == missing


def screened(ledger: History, count: int) -> None:
    for experiment in range(count):
        ledger.verdict(experiment + 1, (run_of(C, Stage.SCREEN, 0),), attempt=len(ledger.lines) + 1)
        ledger.outcome(experiment + 1)


def test_a_sentinel_after_eight_experiments_without_a_baseline() -> None:
    ledger = History()
    assert not sentinel_due(ledger.lines)
    ledger.calibration([1.0, 2.0])
    screened(ledger, SENTINEL_EVERY - 1)
    assert not sentinel_due(ledger.lines)
    screened(ledger, 1)
    assert sentinel_due(ledger.lines)


def test_pairs_are_sentinels_too_and_a_failed_one_waits_its_turn() -> None:
    ledger = History()
    ledger.calibration([1.0, 2.0])
    screened(ledger, SENTINEL_EVERY)
    ledger.verdict(20, (run_of(C, Stage.SCREEN, 0), run_of(B, Stage.CONFIRM, 0)))
    assert not sentinel_due(ledger.lines)
    screened(ledger, SENTINEL_EVERY)
    assert sentinel_due(ledger.lines)
    ledger.calibration([], ok=False)
    assert not sentinel_due(ledger.lines)


def test_the_keeps_in_order() -> None:
    ledger = History()
    ledger.verdict(1, verdict="keep", head=OTHER_SHA)
    ledger.verdict(2)
    ledger.verdict(3, verdict="keep")
    assert [line.experiment for line in kept(ledger.lines)] == [1, 3]
