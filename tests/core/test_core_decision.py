"""Screen, Confirm, Seal: each way a plan can go, in which order it asks for runs, and that no other order passes."""

from __future__ import annotations

import math
from typing import Any

import pytest
from core_builders import POOL, Answer, drive, evaluated, fact, found, pool_request, request, rules, scripted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pawl.core.config import SEAL, SELECT
from pawl.core.decision import Calibrated, Finding, OutOfOrder, Tried, Verdict, advance
from pawl.core.measurement import (
    Arm,
    Calibration,
    Procedure,
    Purpose,
    Request,
    RunFact,
    RunStatus,
    Stage,
    Step,
)
from pawl.core.seeds import seeds_needed

B, C = Arm.BASELINE, Arm.CANDIDATE
SCREEN_SD = math.sqrt(1 + 1 / len(POOL))
"""Standard deviation of the screening difference, in sigma."""


def by_stage(screen: float, confirm: float, seal: float) -> Answer:
    """A candidate whose gain over the baseline's ten differs from stage to stage."""
    gains = {Stage.SCREEN: screen, Stage.CONFIRM: confirm, Stage.SEAL: seal}
    return lambda step: {"value": 10.0 + (gains[step.stage] if step.arm is C else 0.0)}


def failing(
    stage: Stage, arm: Arm, status: RunStatus = RunStatus.CRASH, place: int = 0, **more: Any
) -> Answer:
    """A good candidate with one bad run."""

    def answer(step: Step) -> dict[str, Any]:
        if (step.stage, step.arm, step.place) == (stage, arm, place):
            return {"value": None, "status": status, **more}
        return {"value": 13.0 if step.arm is C else 10.0}

    return answer


# The course of a plan.


def test_a_keep_runs_the_whole_way() -> None:
    runs, end = drive(request(), scripted(14.0))
    order = "".join(("B" if run.arm is B else "C") for run in runs)
    assert order == "C" + "BC" + "CB" + "CBCCBC"
    stages = [run.stage.value[1] for run in runs]
    assert "".join(stages) == "c" + "oooo" + "eeeeee"
    assert isinstance(end, Finding)
    assert (end.verdict, end.stage, end.effect, end.effect_sigma) == (Verdict.KEEP, Stage.SEAL, 4.0, 4.0)
    assert end.reason == "4 sealed runs repeat the gain, and every guard holds"


def test_pairs_are_interleaved_and_share_their_seeds() -> None:
    """Order ABBA cancels a drift; the seeds are drawn once, so nobody can choose a lucky one."""
    asked = request(procedure=Procedure(alpha=1e-9))
    runs, _ = drive(asked, by_stage(3, 1.9, 3))
    pairs = [run for run in runs if run.stage is Stage.CONFIRM]
    assert "".join("B" if run.arm is B else "C" for run in pairs) == "BCCB" * 4
    assert [run.seed for run in pairs] == [asked.seeds[1 + place // 2] for place in range(16)]
    assert runs[0].seed == asked.seeds[0]
    sealed, _ = drive(request(start=Stage.SEAL), scripted(13.0))
    assert [(run.arm, run.seed) for run in sealed] == [
        (C, 109), (B, 109), (C, 110), (C, 111), (B, 110), (C, 112),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("candidates", "baselines", "order"),
    [(4, 2, "CBCCBC"), (1, 1, "CB"), (4, 4, "CBCBCBCB"), (2, 4, "CBCBBB"), (3, 2, "CBCBC"), (5, 1, "CBCCCC")],
)
def test_the_order_of_the_seal(candidates: int, baselines: int, order: str) -> None:
    dials = Procedure(seal_candidates=candidates, seal_baselines=baselines)
    asked = request(procedure=dials, start=Stage.SEAL, seeds=tuple(range(seeds_needed(dials))))
    runs, _ = drive(asked, scripted(13.0))
    assert "".join("B" if run.arm is B else "C" for run in runs) == order


def test_the_screen_drops_below_its_threshold_and_not_at_it() -> None:
    edge = 1.65 * SCREEN_SD
    dropped = found(request(), by_stage(edge - 1e-9, 5, 5))
    assert (dropped.verdict, dropped.stage) == (Verdict.DISCARD, Stage.SCREEN)
    assert dropped.screen_z == pytest.approx(1.65)
    assert dropped.effect == pytest.approx(edge)
    assert found(request(), by_stage(edge + 1e-9, 5, 5)).verdict is Verdict.KEEP


def test_less_is_better_where_the_goal_says_so() -> None:
    asked = request(rules=rules(metric={"name": "loss", "goal": "minimize"}))
    kept = found(asked, scripted(7.0))
    assert (kept.verdict, kept.effect) == (Verdict.KEEP, 3.0)
    assert found(asked, scripted(13.0)).verdict is Verdict.DISCARD


def test_few_degrees_of_freedom_make_the_screen_harder() -> None:
    known = Calibration(sigma=1.0, dof=7, pool=POOL)
    assert found(request(calibration=known), by_stage(1.9, 3, 3)).stage is Stage.SCREEN
    assert found(request(), by_stage(1.9, 3, 3)).verdict is Verdict.KEEP


@pytest.mark.parametrize(
    ("gain", "pairs", "verdict"),
    [
        # LLR grows by gain - 1 with each pair (delta-1 = 2): accepted at ln 100, dropped at ln 0.2
        (4.0, 2, None),
        (3.4, 2, None),
        (3.2, 3, None),
        (1.6, 8, None),
        (1.57, 8, Verdict.INCONCLUSIVE),
        (1.0, 8, Verdict.INCONCLUSIVE),
        (0.85, 8, Verdict.INCONCLUSIVE),
        (0.79, 8, Verdict.DISCARD),
        (0.0, 2, Verdict.DISCARD),
        (-1.0, 1, Verdict.DISCARD),
        (100.0, 2, None),  # clipped at 4.2
        (-100.0, 1, Verdict.DISCARD),
    ],
)
def test_the_evidence_of_equal_pairs(gain: float, pairs: int, verdict: Verdict | None) -> None:
    runs, end = drive(request(), by_stage(3, gain, 3))
    assert isinstance(end, Finding)
    assert sum(run.stage is Stage.CONFIRM for run in runs) == 2 * pairs
    clipped = max(-4.2, min(4.2, gain))
    assert end.llr == pytest.approx(pairs * (clipped - 1))
    assert end.verdict is (verdict or Verdict.KEEP)
    if verdict is not None:
        assert end.stage is Stage.CONFIRM
        assert end.effect == pytest.approx(gain)


def test_the_evidence_of_unequal_pairs() -> None:
    gains = iter([2.0, 0.5, 4.0, 2.5])
    seen: list[float] = []

    def answer(step: Step) -> dict[str, Any]:
        if step.stage is Stage.CONFIRM and step.arm is C:
            seen.append(next(gains))
            return {"value": 10.0 + seen[-1]}
        if step.stage is Stage.CONFIRM:
            return {"value": 10.0}
        return {"value": 13.0 if step.arm is C else 10.0}

    end = found(request(), answer)
    assert end.llr == pytest.approx(1.0 - 0.5 + 3.0 + 1.5)
    assert len(seen) == 4


def test_the_screening_run_is_no_evidence() -> None:
    """A lucky screen must not help: the pairs alone decide."""
    for screen in (2.0, 500.0):
        assert found(request(), by_stage(screen, 0.0, 3)).llr == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("gain", "margin", "verdict"),
    [(0.01, 0.0, Verdict.KEEP), (0.0, 0.0, Verdict.DISCARD), (-1.0, 0.0, Verdict.DISCARD),
     (0.4, 0.5, Verdict.DISCARD), (0.6, 0.5, Verdict.KEEP)],
)  # fmt: skip
def test_the_seal_must_repeat_the_gain(gain: float, margin: float, verdict: Verdict) -> None:
    end = found(request(procedure=Procedure(seal_margin=margin)), by_stage(3, 4, gain))
    assert (end.verdict, end.stage) == (verdict, Stage.SEAL)
    assert end.effect == pytest.approx(gain)
    assert end.llr == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("select", "seal", "verdict", "reason"),
    [
        (3.0, 2.0, Verdict.KEEP, "4 sealed runs repeat the gain"),
        (-0.1, 2.0, Verdict.DISCARD, "the gain is there on one validation split only"),
        (0.0, 2.0, Verdict.DISCARD, "the gain is there on one validation split only"),
        (3.0, -0.1, Verdict.DISCARD, "the sealed runs do not repeat the gain"),
    ],
)
def test_both_splits_must_agree_in_sign(select: float, seal: float, verdict: Verdict, reason: str) -> None:
    def answer(step: Step) -> dict[str, Any]:
        gain = (select, seal) if step.arm is C else (0.0, 0.0)
        if step.stage is not Stage.SEAL:
            gain = (3.0, 0.0) if step.arm is C else (0.0, 0.0)
        return {"metric": {SELECT: 10 + gain[0], SEAL: 10 + gain[1]}}

    end = found(request(rules=evaluated()), answer)
    assert (end.verdict, end.stage) == (verdict, Stage.SEAL)
    assert end.reason.startswith(reason)
    assert end.effect == pytest.approx(seal)


def test_a_seal_without_its_split() -> None:
    """Every sealed run must be scored on both splits: the candidate's crash it, the baseline's are made again."""
    without = {SELECT: 13.0}

    def answer(step: Step, lacking: Arm) -> dict[str, Any]:
        value = 13.0 if step.arm is C else 10.0
        both = {SELECT: value, SEAL: value}
        return {"metric": without if step.stage is Stage.SEAL and step.arm is lacking else both}

    crash = found(request(rules=evaluated()), lambda step: answer(step, C))
    assert (crash.verdict, crash.reason) == (Verdict.CRASH, "the run reported no metric on the split 'seal'")
    base = found(request(rules=evaluated()), lambda step: answer(step, B))
    assert (base.verdict, base.stage) == (Verdict.INCONCLUSIVE, Stage.SEAL)
    assert "the base itself failed (no metric)" in base.reason


@pytest.mark.parametrize(
    ("guards", "candidate", "baseline", "kept"),
    [
        ({"memory": "+10%"}, {"memory": 105.0}, {"memory": 100.0}, True),
        ({"memory": "+10%"}, {"memory": 111.0}, {"memory": 100.0}, False),
        ({"memory": "+10%"}, {}, {"memory": 100.0}, False),
        ({"memory": "+10%"}, {"memory": 1.0}, {}, False),
        ({"memory": "<=100"}, {"memory": 100.0}, {}, True),
        ({"memory": "<=100"}, {"memory": 101.0}, {}, False),
        ({"fps": "-5%"}, {"fps": 96.0}, {"fps": 100.0}, True),
        ({"fps": "-5%"}, {"fps": 94.0}, {"fps": 100.0}, False),
    ],
)
def test_guards(
    guards: dict[str, str], candidate: dict[str, float], baseline: dict[str, float], kept: bool
) -> None:
    def answer(step: Step) -> dict[str, Any]:
        return {**scripted(13.0)(step), "guards": candidate if step.arm is C else baseline}

    end = found(request(rules=rules(guards=guards)), answer)
    assert (end.verdict is Verdict.KEEP) is kept
    if not kept:
        assert (
            end.reason
            == f"the guard {next(iter(guards))} got worse than {next(iter(guards.values()))} allows"
        )


@pytest.mark.parametrize(
    ("guards", "seconds", "kept"),
    [
        ({}, 1.6, True),
        ({}, 1.61, False),
        ({"seconds": "+100%"}, 1.9, True),
        ({"seconds": "<=1.5"}, 1.6, False),
    ],
)
def test_the_guard_every_loop_has(guards: dict[str, str], seconds: float, kept: bool) -> None:
    def answer(step: Step) -> dict[str, Any]:
        return {**scripted(13.0)(step), "seconds": seconds if step.arm is C else 1.0}

    end = found(request(rules=rules(guards=guards)), answer)
    assert (end.verdict is Verdict.KEEP) is kept
    assert [guard.name for guard in end.guards] == ["seconds"]


# What is no measurement.

STATUSES = [RunStatus.CRASH, RunStatus.TIMEOUT, RunStatus.MEMORY, RunStatus.INVALID]


@pytest.mark.parametrize("stage", [Stage.SCREEN, Stage.CONFIRM, Stage.SEAL])
@pytest.mark.parametrize("status", STATUSES)
def test_a_candidate_that_fails_crashes_at_once(stage: Stage, status: RunStatus) -> None:
    runs, end = drive(request(), failing(stage, C, status))
    assert isinstance(end, Finding)
    assert (end.verdict, end.stage, end.incident) == (Verdict.CRASH, stage, "")
    assert runs[-1].status is status


@pytest.mark.parametrize("stage", [Stage.SCREEN, Stage.CONFIRM, Stage.SEAL])
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"status": RunStatus.VIOLATION}, "does not stand for the submitted source"),
        ({"value": 101.0}, "score = 101 lies outside the possible range [0.0, 100.0]"),
        ({"value": 13.0, "printed": 13.2}, "the run printed score = 13.2, the evaluator measured 13"),
        ({"value": 0.0, "printed": 0.1}, "the run printed score = 0.1, the evaluator measured 0"),
    ],
)
def test_a_violation_is_an_incident(stage: Stage, bad: dict[str, Any], said: str) -> None:
    asked = request(rules=rules(metric={"name": "score", "goal": "maximize", "range": [0, 100]}))
    end = found(asked, failing(stage, C, **{"status": RunStatus.OK, **bad}))
    assert (end.verdict, end.stage) == (Verdict.VIOLATION, stage)
    assert said in end.incident
    assert end.reason == end.incident


@pytest.mark.parametrize(("printed", "fine"), [(13.12, True), (12.88, True), (13.14, False), (None, True)])
def test_a_printed_metric_may_be_rounded(printed: float | None, fine: bool) -> None:
    end = found(request(), failing(Stage.SCREEN, C, RunStatus.OK, value=13.0, printed=printed))
    assert (end.verdict is Verdict.KEEP) is fine


@pytest.mark.parametrize("stage", [Stage.SCREEN, Stage.CONFIRM, Stage.SEAL])
def test_a_candidate_without_a_metric(stage: Stage) -> None:
    end = found(request(), failing(stage, C, RunStatus.OK))
    assert (end.verdict, end.stage, end.reason) == (Verdict.CRASH, stage, "the run reported no metric")


@pytest.mark.parametrize("stage", [Stage.CONFIRM, Stage.SEAL])
@pytest.mark.parametrize("status", [*STATUSES, RunStatus.VIOLATION, RunStatus.OK])
def test_a_base_that_fails_says_nothing_of_the_candidate(stage: Stage, status: RunStatus) -> None:
    """A baseline run that is fine but reports nothing once ended the step itself, in a KeyError."""
    runs, end = drive(request(), failing(stage, B, status))
    assert isinstance(end, Finding)
    assert (end.verdict, end.stage) == (Verdict.INCONCLUSIVE, stage)
    assert "the base itself failed" in end.reason
    assert [run.status for run in runs if (run.arm, run.stage) == (B, stage)] == [status] * 2
    assert len({run.seed for run in runs[-2:]}) == 1


def test_a_base_that_fails_once_is_measured_again() -> None:
    left = [1]

    def answer(step: Step) -> dict[str, Any]:
        if step.arm is B and left:
            left.pop()
            return {"value": None, "status": RunStatus.CRASH}
        return scripted(14.0)(step)

    runs, end = drive(request(), answer)
    assert isinstance(end, Finding)
    assert end.verdict is Verdict.KEEP
    assert len(runs) == 12
    assert runs[1].model_dump(include={"arm", "place", "seed"}) == runs[2].model_dump(
        include={"arm", "place", "seed"}
    )


@pytest.mark.parametrize("status", [RunStatus.INTERRUPTED, RunStatus.STARTED])
@pytest.mark.parametrize(
    ("lost", "verdict"), [(1, Verdict.KEEP), (3, Verdict.KEEP), (4, Verdict.INCONCLUSIVE)]
)
def test_an_interrupted_run_is_made_again_with_its_seed(
    status: RunStatus, lost: int, verdict: Verdict
) -> None:
    """A run that a record shows as begun and not ended was cut off: that is the runner's failure, not the candidate's."""
    left = list(range(lost))

    def answer(step: Step) -> dict[str, Any]:
        if left and left.pop() is not None:
            return {"value": None, "status": status}
        return scripted(14.0)(step)

    runs, end = drive(request(), answer)
    assert isinstance(end, Finding)
    assert end.verdict is verdict
    assert len({run.seed for run in runs[: lost + 1]}) == 1
    assert len(runs) == (11 + lost if verdict is Verdict.KEEP else lost)


# Deterministic metrics, other starts, calibrations.


@pytest.mark.parametrize(
    ("candidate", "verdict", "stage"),
    [
        (10.0, Verdict.DISCARD, Stage.SCREEN),
        (9.0, Verdict.DISCARD, Stage.SCREEN),
        (10.001, Verdict.KEEP, Stage.SEAL),
    ],
)
def test_a_deterministic_metric_is_measured_twice(candidate: float, verdict: Verdict, stage: Stage) -> None:
    asked = request(calibration=Calibration(sigma=0.0, dof=7, pool=POOL))
    runs, end = drive(asked, scripted(candidate))
    assert isinstance(end, Finding)
    assert (end.verdict, end.stage) == (verdict, stage)
    assert "".join("B" if run.arm is B else "C" for run in runs) == ("CCB" if stage is Stage.SEAL else "C")
    if stage is Stage.SEAL:
        assert end.effect_sigma is None
        assert end.effect == pytest.approx(0.001)


def test_a_deterministic_gain_that_does_not_repeat() -> None:
    asked = request(calibration=Calibration(sigma=0.0, dof=7, pool=(0.0,) * 8))
    assert (
        found(asked, lambda step: {"value": 1.0 if step.stage is Stage.SCREEN else 0.0}).verdict
        is Verdict.DISCARD
    )


@pytest.mark.parametrize(
    ("start", "order"), [(Stage.SCREEN, "CBCCBCBCCBC"), (Stage.CONFIRM, "BCCBCBCCBC"), (Stage.SEAL, "CBCCBC")]
)
def test_where_a_plan_starts(start: Stage, order: str) -> None:
    runs, end = drive(request(start=start), scripted(14.0))
    assert isinstance(end, Finding)
    assert "".join("B" if run.arm is B else "C" for run in runs) == order
    assert end.verdict is Verdict.KEEP
    assert (end.screen_z is None) is (start is not Stage.SCREEN)


def test_a_calibration_is_a_number_of_baseline_runs() -> None:
    runs, end = drive(pool_request(runs_wanted=5), scripted(0.0))
    assert end == Calibrated(True, "5 runs")
    assert [(run.arm, run.stage, run.place) for run in runs] == [
        (B, Stage.CALIBRATE, place) for place in range(5)
    ]


def test_a_calibration_of_a_base_that_fails() -> None:
    runs, end = drive(pool_request(), failing(Stage.CALIBRATE, B, RunStatus.TIMEOUT, place=2))
    assert isinstance(end, Calibrated)
    assert not end.ok
    assert "the base itself failed (timeout)" in end.reason
    assert len(runs) == 4


def test_an_audit_runs_both_arms_interleaved() -> None:
    asked = request(purpose=Purpose.AUDIT, runs_wanted=3)
    runs, end = drive(asked, scripted(11.0))
    assert end == Calibrated(True, "3 runs")
    assert "".join("B" if run.arm is B else "C" for run in runs) == "BCCBBC"
    assert {run.stage for run in runs} == {Stage.AUDIT}


# Properties of every plan.


def requests() -> st.SearchStrategy[Request]:
    """Requests of every purpose and start, with some of the dials turned."""
    dials = st.builds(
        Procedure,
        max_pairs=st.integers(1, 8),
        seal_candidates=st.integers(1, 5),
        seal_baselines=st.integers(1, 5),
        max_interrupted=st.integers(0, 3),
        max_baseline_failures=st.integers(1, 3),
    )
    known = st.builds(
        Calibration,
        sigma=st.sampled_from([0.0, 0.5, 1.0]),
        dof=st.integers(1, 60),
        pool=st.lists(st.floats(9, 11), min_size=1, max_size=8).map(tuple),
    )

    def made(purpose: Purpose, dials: Procedure, known: Calibration, start: Stage, split: bool) -> Request:
        arms = (
            {}
            if purpose in (Purpose.EXPERIMENT, Purpose.AUDIT)
            else {"cheat": "written-result", "runs_wanted": 1}
            if purpose is Purpose.CANARY
            else {"candidate": None, "candidate_digest": None}
        )
        return request(
            purpose=purpose,
            procedure=dials,
            calibration=known,
            start=start,
            rules=evaluated() if split else rules(),
            seeds=tuple(range(max(8, seeds_needed(dials)))),
            **arms,
        )

    starts = st.sampled_from([Stage.SCREEN, Stage.CONFIRM, Stage.SEAL])
    return st.builds(made, st.sampled_from(list(Purpose)), dials, known, starts, st.booleans())


STATUS = st.sampled_from([RunStatus.OK] * 12 + list(RunStatus))
NUMBER = st.floats(5, 20)


def played(asked: Request, data: st.DataObject) -> tuple[list[RunFact], Finding | Calibrated | Tried]:
    """A plan against arbitrary runs."""

    def answer(step: Step) -> dict[str, Any]:
        status = data.draw(STATUS)
        gain = 4.0 if step.arm is C else 0.0
        value = data.draw(NUMBER) + gain
        metric = data.draw(st.sampled_from([{SELECT: value, SEAL: value}] * 9 + [{SELECT: value}, {}]))
        return {"status": status, "metric": metric}

    return drive(asked, answer)


PLANS = settings(
    deadline=None,
    max_examples=80,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@PLANS
@given(requests(), st.data())
def test_every_plan_ends_and_says_the_same_again(asked: Request, data: st.DataObject) -> None:
    runs, end = played(asked, data)
    dials = asked.procedure
    repeats = dials.max_interrupted + dials.max_baseline_failures
    longest = 1 + 2 * dials.max_pairs + dials.seal_candidates + dials.seal_baselines
    if asked.purpose is not Purpose.EXPERIMENT:
        longest = asked.runs_wanted * (2 if asked.purpose is Purpose.AUDIT else 1)
    if asked.purpose is Purpose.CANARY:
        longest = len(asked.seeds)  # one run as a rule, and more only where each is paid for no work
    assert len(runs) <= longest + repeats + 1
    assert advance(asked, runs) == end
    again = [RunFact.model_validate_json(run.model_dump_json()) for run in runs]
    assert advance(Request.model_validate_json(asked.model_dump_json()), again) == end
    if isinstance(end, Finding) and end.verdict is Verdict.KEEP:
        sealed = [
            run for run in runs if run.stage is Stage.SEAL and run.arm is C and run.status is RunStatus.OK
        ]
        assert len(sealed) == (1 if asked.calibration.sigma == 0 else dials.seal_candidates)


@PLANS
@given(requests(), st.data())
def test_every_prefix_leads_to_the_run_that_came_next(asked: Request, data: st.DataObject) -> None:
    runs, _ = played(asked, data)
    for length, run in enumerate(runs):
        step = advance(asked, runs[:length])
        assert isinstance(step, Step)
        assert step == Step(arm=run.arm, stage=run.stage, place=run.place, seed=run.seed)


@PLANS
@given(requests(), st.data())
def test_no_other_order_passes(asked: Request, data: st.DataObject) -> None:
    """A run left out, doubled, moved, renamed or added behind the end is found, wherever it is."""
    runs, _ = played(asked, data)
    index = data.draw(st.integers(0, len(runs) - 1))
    run = runs[index]
    kind = data.draw(st.sampled_from(["seed", "place", "arm", "stage", "behind"]))
    if kind == "behind":
        changed = [*runs, fact(run, 10.0)]
    else:
        other: dict[str, Any] = {
            "seed": {"seed": run.seed + 1},
            "place": {"place": run.place + 1},
            "arm": {"arm": C if run.arm is B else B},
            "stage": {"stage": Stage.AUDIT if run.stage is not Stage.AUDIT else Stage.SEAL},
        }
        changed = [*runs[:index], run.model_copy(update=other[kind]), *runs[index + 1 :]]
    with pytest.raises(OutOfOrder, match="but the plan asks for") as caught:
        advance(asked, changed)
    assert caught.value.index == (len(runs) if kind == "behind" else index)
