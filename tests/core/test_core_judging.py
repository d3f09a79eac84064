"""What an ended job means, what an audit finds, which measurement comes next, and what holds a keep."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from core_builders import (
    AFTER,
    CONTENT,
    INPUTS,
    OTHER_SHA,
    SHA,
    History,
    drive,
    request,
    scripted,
)
from core_world import World, rules_of

from pawl.core.actions import UpdateTracking
from pawl.core.auditing import audit_due, audited, first_baseline, merged_since_anchor
from pawl.core.chain import check_chain
from pawl.core.decide import Circumstances, decide
from pawl.core.decision import Verdict
from pawl.core.digest import sha256
from pawl.core.draft import Draft
from pawl.core.incidents import open_incident
from pawl.core.judging import MAX_ATTEMPTS, judge, known_runs, verdict_key, write_incident
from pawl.core.ledger import AuditLine, IncidentLine, ResumeLine
from pawl.core.measurement import (
    Arm,
    Calibration,
    Environment,
    Procedure,
    Purpose,
    Record,
    Request,
    RunFact,
    RunRecord,
    Stage,
)
from pawl.core.planning import calibration_request, estimate_seconds, experiment_request, resumed
from pawl.core.policy import PAUSED_LABEL, HoldReason, failing_base, hold, paused
from pawl.core.seeds import draw_seeds, seeds_needed
from pawl.core.snapshot import Check, Job, Tracking
from pawl.core.verifying import verify

B, C = Arm.BASELINE, Arm.CANDIDATE

NOW = "2031-05-04T00:00:00+00:00"


def record_of(asked: Request, runs: list[RunFact], **changes: Any) -> Record:
    plain: dict[str, Any] = {
        "request": asked.digest,
        "key": asked.key,
        "environment": Environment(device="cpu", sandbox="process"),
        "runs": tuple(RunRecord(**run.model_dump()) for run in runs),
    }
    return Record(**{**plain, **changes})


def job_of(record: Record | None, **changes: Any) -> Job:
    return Job(**{"id": 1, "key": "1.1", "check_run": 1, "status": "completed", "record": record, **changes})


# An ended job.


def test_a_complete_record_is_judged_by_its_runs() -> None:
    asked = request()
    runs, end = drive(asked, scripted(13.0))
    judged = judge(asked, job_of(record_of(asked, runs)))
    assert judged.finding == end
    assert judged.finding is not None
    assert judge(asked, job_of(record_of(asked, runs)), "it was closed").finding == end


def test_a_job_that_was_cut_off_goes_on_behind_its_runs() -> None:
    asked = request()
    runs, end = drive(asked, scripted(13.0))
    assert judge(asked, job_of(record_of(asked, runs[:5]))).finding is None
    again = resumed(asked, runs[:5])
    assert (again.attempt, again.runs, again.seeds) == (2, tuple(runs[:5]), asked.seeds)
    assert again.digest != asked.digest
    rest, found = drive(again, scripted(13.0))
    assert (runs[:5] + rest, found) == (runs, end)
    assert known_runs(again, record_of(again, rest)) == tuple(runs)
    assert judge(again, job_of(record_of(again, rest))).finding == end


def test_a_job_that_is_lost_is_tried_again_but_not_for_ever() -> None:
    asked = request()
    for _ in range(MAX_ATTEMPTS - 1):
        assert judge(asked, job_of(None, conclusion="failure")).finding is None
        asked = resumed(asked, ())
    finding = judge(asked, job_of(None, trouble="the artifact has expired")).finding
    assert finding is not None
    assert (finding.verdict, finding.effect) == (Verdict.INCONCLUSIVE, None)
    assert finding.reason == "4 jobs ended before the plan did (the artifact has expired)"


def test_a_record_that_answers_something_else_is_an_incident() -> None:
    asked = request()
    runs, _ = drive(asked, scripted(13.0))
    forged = record_of(asked, runs, request="0" * 64)
    judged = judge(asked, job_of(forged))
    assert judged.finding is not None
    assert judged.finding.verdict is Verdict.INCONCLUSIVE
    assert "answers another request" in judged.incident
    assert known_runs(asked, forged) == ()


def test_a_record_whose_runs_were_picked_is_an_incident() -> None:
    """Dropping an unlucky pair, or running one more, is not a flaky runner."""
    asked = request()
    runs, _ = drive(asked, scripted(13.0))
    for picked in (runs[1:], runs[:2] + runs[3:], [*runs, runs[-1]], runs[::-1]):
        judged = judge(asked, job_of(record_of(asked, picked)))
        assert "do not follow the plan" in judged.incident
        assert judged.finding is not None
        assert judged.finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("cut_short", "refused", "reason"),
    [
        ("the pull request was closed", "", "the pull request was closed"),
        ("", "setup failed: no such file", "the runner measured nothing: setup failed: no such file"),
    ],
)
def test_an_experiment_can_be_over_before_its_plan(cut_short: str, refused: str, reason: str) -> None:
    asked = request(attempt=MAX_ATTEMPTS if refused else 1)
    finding = judge(asked, job_of(record_of(asked, [], refused=refused)), cut_short).finding
    assert finding is not None
    assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, reason)


def test_a_runner_that_refuses_is_asked_again_first() -> None:
    asked = request()
    assert judge(asked, job_of(record_of(asked, [], refused="setup failed: no network"))).finding is None


# An audit.


def audit(claims: list[float], measured: float, sigma: float = 1.0, dof: int = 40) -> Any:
    ledger = History()
    for number, claim in enumerate(claims, start=1):
        ledger.verdict(number, verdict="keep", effect=claim)
        ledger.outcome(number, "merged")
    ledger.verdict(90, verdict="keep", effect=50.0)  # kept, but never merged
    ledger.outcome(90)
    asked = request(
        purpose=Purpose.AUDIT,
        runs_wanted=3,
        calibration=Calibration(sigma=sigma, dof=dof, pool=(10.0,) * 8),
    )
    runs, _ = drive(asked, scripted(10.0 + measured))
    return audited(ledger.lines, asked, runs)


@pytest.mark.parametrize(
    ("claims", "measured", "ok"),
    [
        ([3.0, 3.0], 6.0, True),
        ([3.0, 3.0], 9.0, True),
        ([3.0, 3.0], 3.0, True),  # half of the claim, and within the error
        ([3.0, 3.0], 2.9, False),  # less than half, whatever the error
        ([30.0, 30.0], 55.0, True),  # error 1.47: 5 are 3.4 of it
        ([], 0.0, True),
        ([], -5.0, True),  # nobody claimed anything
    ],
)
def test_what_an_audit_finds(claims: list[float], measured: float, ok: bool) -> None:
    found = audit(claims, measured)
    assert found.claimed == sum(claims)
    assert found.measured == pytest.approx(measured)
    error = (2 / 3 + len(claims) * (1 / 4 + 1 / 2)) ** 0.5
    assert found.error == pytest.approx(error)
    significant = sum(claims) - measured > 2.3263 * error
    assert found.ok is (ok and not (claims and significant))
    assert "claimed" in found.reason


def test_a_shortfall_needs_evidence_or_half_of_the_claim() -> None:
    assert audit([30.0, 30.0], 57.0).ok  # 3 short, error 1.47, 3.42 would be significant
    assert not audit([30.0, 30.0], 56.0).ok
    assert audit([30.0, 30.0], 56.0, dof=5).ok  # less is known of sigma


# What comes next.


def test_an_audit_is_due_after_ten_merges_and_is_given_up_after_two_failures() -> None:
    """An audit that could measure nothing was once due again at once, for ever, and no experiment came to its turn."""
    ledger = History()

    def merges(count: int) -> None:
        for _ in range(count):
            number = len(ledger.lines) + 1
            ledger.verdict(number, verdict="keep", effect=1.0)
            ledger.outcome(number, "merged")

    def ended(measured: float | None) -> None:
        number = len(ledger.lines) + 1
        ledger.add(
            AuditLine,
            f"calibration:{number}",
            **ledger._measured(INPUTS, ()),
            number=number,
            anchor=SHA,
            head_digest=CONTENT,
            claimed=1.0,
            measured=measured,
            error=None,
            ok=False,
            reason="",
        )

    merges(9)
    assert not audit_due(ledger.lines)
    merges(1)
    assert audit_due(ledger.lines)
    ended(None)
    assert audit_due(ledger.lines)
    ended(None)
    assert not audit_due(ledger.lines)
    merges(10)
    assert audit_due(ledger.lines)
    ended(None)
    assert audit_due(ledger.lines)
    ended(5.0)
    assert not audit_due(ledger.lines)


def test_the_anchor_is_the_first_calibration_that_succeeded() -> None:
    ledger = History()
    ledger.calibration([], ok=False)
    assert first_baseline(ledger.lines) is None
    first = ledger.calibration([1.0])
    ledger.calibration([2.0])
    assert first_baseline(ledger.lines) == first


def test_a_claim_is_the_last_keep_of_what_was_merged() -> None:
    ledger = History()
    ledger.verdict(1, verdict="keep", effect=1.0)
    ledger.verdict(1, verdict="keep", effect=2.0, attempt=2)
    ledger.verdict(2, verdict="keep", effect=4.0)
    ledger.verdict(3, effect=8.0)
    ledger.outcome(1, "merged")
    ledger.outcome(2, "closed")
    ledger.outcome(3, "overridden")
    assert [line.effect for line in merged_since_anchor(ledger.lines)] == [2.0]


def test_seeds_are_drawn_from_a_key_the_runner_never_sees() -> None:
    seeds = draw_seeds(b"key", "us/loop|tune|abc|1", 20)
    assert len(set(seeds)) == 20
    assert all(0 <= seed < 2**32 for seed in seeds)
    assert draw_seeds(b"key", "us/loop|tune|abc|1", 20) == seeds
    assert not set(seeds) & set(draw_seeds(b"other", "us/loop|tune|abc|1", 20))
    assert not set(seeds) & set(draw_seeds(b"key", "us/loop|tune|abc|2", 20))
    assert seeds_needed(Procedure()) == 13


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({}, 300.0),
        ({"start": Stage.SEAL}, 1800.0),
        ({"purpose": Purpose.POOL, "candidate": None, "candidate_digest": None}, 2400.0),
        ({"purpose": Purpose.AUDIT, "runs_wanted": 3}, 1800.0),
    ],
)
def test_how_long_a_job_may_take(changes: dict[str, Any], seconds: float) -> None:
    assert estimate_seconds(request(**changes)) == seconds


def test_a_request_names_itself_without_its_check_run() -> None:
    asked = request()
    assert asked.key == "1.1"
    assert asked.model_copy(update={"check_run": 9}).digest == asked.digest
    assert asked.model_copy(update={"attempt": 2}).digest != asked.digest
    assert request(purpose=Purpose.POOL, candidate=None, candidate_digest=None).key == "c1.1"
    for changes in ({"candidate": None}, {"candidate": None, "candidate_digest": None}):
        with pytest.raises(ValueError, match="candidate"):
            request(**changes)


def settled_world(**changes: Any) -> World:
    world = World(rules_of(limits={"experiments": 2}, **changes), seed=5)
    world.settle()
    return world


def test_the_first_measurement_of_a_loop_is_its_pool() -> None:
    world = World()
    asked = calibration_request(world.snapshot(), "", b"key")
    assert asked is not None
    assert (asked.purpose, asked.runs_wanted, asked.number, asked.candidate) == (Purpose.POOL, 8, 1, None)
    assert (asked.base, asked.baseline) == (world.tip, world.tip)
    assert len(asked.seeds) == 8


def test_nothing_is_missing_once_the_pool_is_there() -> None:
    world = settled_world()
    assert calibration_request(world.snapshot(), "", b"key") is None
    world.push("lab/evaluate.py", b"pass\n")
    asked = calibration_request(world.snapshot(), "", b"key")
    assert asked is not None
    assert (asked.purpose, asked.runs_wanted) == (Purpose.POOL, 4)


def test_an_experiment_is_measured_on_the_present_base_with_its_own_bytes() -> None:
    world = World(edits=lambda w, n: b"gain_0 = 9\n")
    world.step()
    world.step()
    world.deliver_proposal()
    snapshot = world.snapshot()
    (experiment,) = snapshot.experiments
    asked = experiment_request(snapshot, experiment, 3, "", b"key")
    assert (asked.base, asked.candidate, asked.attempt) == (world.tip, experiment.head, 3)
    assert asked.candidate_digest == sha256(b"gain_0 = 9\n")
    assert asked.start is Stage.SCREEN
    assert len(asked.seeds) == 13
    assert asked.seeds != experiment_request(snapshot, experiment, 4, "", b"key").seeds


# What holds a keep, and what stops a loop.


def held(world: World, **changes: Any) -> HoldReason | None:
    snapshot = world.snapshot()
    experiment = replace(world_experiment(world), **changes)
    found = hold(snapshot, experiment)
    return found.reason if found else None


def world_experiment(world: World) -> Any:
    if not world.pulls:
        world.step()
        world.step()
        world.deliver_proposal()
    return world.snapshot().experiments[0]


def test_a_keep_is_held_by_the_first_of_these() -> None:
    assert held(World()) is None
    assert held(World(rules_of(merge="review"))) is HoldReason.REVIEW
    assert held(World(rules_of(accept=[]))) is HoldReason.PROCESS_SANDBOX
    assert held(World(rules_of(accept=["process-sandbox"]))) is HoldReason.SELF_REPORTED
    assert held(World(rules_of(accept=["process-sandbox", "self-reported-metric"]))) is HoldReason.UNEARNED
    world = World(rules_of(merge="review"))
    world_experiment(world)
    world.ledger = list(incident_history().lines)
    assert held(world) is HoldReason.INCIDENT
    world.label(PAUSED_LABEL)
    assert held(world) is HoldReason.PAUSED
    world.stop = True
    assert held(world) is HoldReason.STOPPED


def incident_history() -> History:
    ledger = History()
    ledger.add(IncidentLine, "incident:1", reason="printed and evaluated disagree")
    return ledger


@pytest.mark.parametrize(
    ("checks", "required", "reason"),
    [
        ([], [], None),
        ([Check("ci", "completed", "success"), Check("lint", "completed", "skipped")], [], None),
        ([Check("ci", "in_progress")], [], HoldReason.CHECKS_PENDING),
        ([Check("ci", "completed", "failure")], [], HoldReason.CHECK_FAILED),
        ([Check("a", "queued"), Check("ci", "completed", "cancelled")], [], HoldReason.CHECK_FAILED),
        ([], ["ci"], HoldReason.CHECKS_PENDING),
        ([Check("ci", "completed", "neutral")], ["ci", "pawl/loop"], None),
    ],
)
def test_the_repositorys_own_checks(
    checks: list[Check], required: list[str], reason: HoldReason | None
) -> None:
    world = World()
    world_experiment(world)
    world.required_checks = tuple(required)
    assert held(world, checks=tuple(checks), final=True) is reason


def test_what_pauses_a_loop() -> None:
    world = World()
    assert paused(world.snapshot()) is None
    world.tracking = Tracking(1)
    assert paused(world.snapshot()) is None
    world.open_tracking(False)
    assert paused(world.snapshot()) is not None
    world.open_tracking(True)
    world.label(PAUSED_LABEL)
    assert paused(world.snapshot()) is not None


def test_an_incident_is_open_until_a_person_resumes() -> None:
    ledger = incident_history()
    assert open_incident(ledger.lines) is not None
    ledger.add(ResumeLine, "resume:1", by="ada")
    assert open_incident(ledger.lines) is None
    ledger.add(IncidentLine, "incident:2", reason="again")
    found = open_incident(ledger.lines)
    assert found is not None
    assert found.reason == "again"


def test_a_base_that_fails_twice_waits_for_a_person() -> None:
    world = World()
    inputs = world.snapshot().base.inputs
    ledger = History()

    def failing() -> str:
        world.ledger = list(ledger.lines)
        return failing_base(world.snapshot())

    refused = "0" * 64  # a record without a run: the runner could not even begin
    ledger.calibration([], inputs=inputs, ok=False, reason="the job was cancelled")
    ledger.calibration([], inputs=inputs, ok=False, reason="it crashed", record=refused)
    assert failing() == ""
    ledger.calibration([], inputs=inputs, ok=False, reason="it crashed again", record=refused)
    assert failing() == "it crashed again"
    ledger.add(ResumeLine, "resume:2", by="ada")
    assert failing() == ""
    ledger.calibration([], inputs=AFTER, ok=False)
    ledger.calibration([], inputs=inputs, ok=False)
    assert failing() == ""


def test_a_runner_that_loses_every_job_waits_for_a_person() -> None:
    """Without Python on it, say: each job failed in a second, and the next one was dispatched, for ever."""
    world, ledger = World(), History()
    inputs = world.snapshot().base.inputs
    said = []
    for _ in range(5):
        ledger.calibration([], inputs=inputs, ok=False, reason="the job ended without a record (failure)")
        world.ledger = list(ledger.lines)
        said.append(failing_base(world.snapshot()))
    assert said[:4] == [""] * 4
    assert said[4] == (
        "5 calibrations in a row were lost, the last one so: the job ended without a record (failure)"
    )
    ledger.add(ResumeLine, "resume:5", by="ada")
    world.ledger = list(ledger.lines)
    assert failing_base(world.snapshot()) == ""


# Lines.


def test_a_draft_goes_on_behind_the_ledger() -> None:
    world = settled_world()
    draft = Draft(world.snapshot(), "2031-05-04T00:00:00+00:00")
    write_incident(draft, "x", "first")
    write_incident(draft, "y", "second")
    assert [line.seq for line in draft.lines] == [len(world.ledger) + 1, len(world.ledger) + 2]
    assert [str(found) for found in verify([*world.ledger, *draft.lines])] == []


def test_a_verdict_has_a_key_of_its_own() -> None:
    assert verdict_key(3, OTHER_SHA, 2) == f"verdict:3:{'b' * 12}:2"


def test_the_first_verdict_leaves_its_diff_and_its_record() -> None:
    world = settled_world()
    assert world.files["loop/1/edit.diff"].startswith("--- a/lab/train.py\n+++ b/lab/train.py\n@@")
    record = json.loads(world.files["loop/1/record.json"])
    assert record["key"] == "1.1"
    line = next(line for line in world.ledger if line.key.startswith("verdict:1:"))
    assert line.record == sha256(world.files["loop/1/record.json"])  # type: ignore[union-attr]
    assert "loop/calibrations/1.json" in world.files


def test_in_a_public_repository_nothing_is_started_or_merged_until_the_rules_accept_it() -> None:
    """Whoever can open a pull request from a fork can send code to a self-hosted runner."""
    world = World()
    experiment = world_experiment(world)
    public = replace(world.snapshot(), public=True)
    found = hold(public, experiment)
    assert found is not None
    assert found.reason is HoldReason.PUBLIC
    actions = decide(public, Circumstances(datetime(2026, 1, 1, tzinfo=UTC), b"seeds"))
    assert {type(action).__name__ for action in actions} <= {"CancelJob", "UpdateTracking"}
    assert actions[-1] == UpdateTracking(("public repository",))
    accepting = rules_of(accept=["process-sandbox", "self-reported-metric", "public-repository"])
    assert paused(replace(public, rules=accepting)) is None


def test_rules_are_told_before_anything_is_written_under_them() -> None:
    world = World()
    first = Draft(world.snapshot(), NOW)
    first.add(ResumeLine, "resume:1", by="ann")
    assert [line.kind for line in first.lines] == ["rules", "resume"]
    assert first.lines[0].changed == ()
    known = replace(world.snapshot(), ledger=tuple(first.lines))
    again = Draft(known, NOW)
    again.add(ResumeLine, "resume:2", by="ann")
    assert [line.kind for line in again.lines] == ["resume"]
    changed = Draft(replace(known, rules=rules_of(merge="review")), NOW)
    changed.add(ResumeLine, "resume:2", by="ann")
    assert changed.lines[0].changed == ('merge: "auto", now "review"',)
    check_chain([*known.ledger, *changed.lines])
    assert [str(found) for found in verify([*known.ledger, *changed.lines])] == []
    forged = changed.lines[1].model_copy(update={"policy": known.ledger[0].policy})
    assert "under other rules" in "".join(map(str, verify([*known.ledger, changed.lines[0], forged])))
