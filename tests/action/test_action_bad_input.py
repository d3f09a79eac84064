"""What a job is handed is data that somebody else wrote: each kind of bad input is explained, and nothing is lost."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from action.job_kit import EDIT, Jobs, handover
from action.stranger import NAME, SECRETS, job_environment
from pawl.commands.action import run_action
from pawl.commands.propose import run_propose
from pawl.commands.step import Round, StepError, run_step
from pawl.localhub import HubServer


@pytest.fixture
def jobs(hub_server: HubServer, tmp_path: Path) -> Jobs:
    return Jobs(hub_server, tmp_path / "jobs")


def bomb() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("proposal.json", b" " * 20_000_000)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("artifact", "said"),
    [
        (None, "the job ended without the artifact pawl-proposal"),
        (bomb(), "proposal.json would unpack to 20,000,000 bytes"),
        ({"proposal.json": b"{}", "more.json": b"{}"}, "holds 2 files; exactly proposal.json is expected"),
        ({"../../proposal.json": b"{}"}, "holds 1 files; exactly proposal.json is expected"),
        (b"PK no zip", "is no zip that can be read"),
        ({"proposal.json": b"\xff"}, "proposal.json is not UTF-8"),
    ],
)
def test_an_artifact_that_is_none_opens_nothing(
    jobs: Jobs, artifact: Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loop goes on all the same: its first calibration is started."""
    assert jobs.propose(artifact) == 0
    out = capsys.readouterr().out
    assert "::warning::no proposal was opened: " in out
    assert said in out
    assert jobs.measuring()[1].purpose == "pool"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            handover(repository="someone/else"),
            "it holds proposals for 'someone/else', not for stranger/solver",
        ),
        (handover(more=1), "it is no file of proposals (more: Extra inputs are not permitted)"),
        (b'{"version": 1, "repository": NaN}', "it is no file of proposals"),
    ],
)
def test_a_file_of_proposals_that_is_none_is_an_error(
    jobs: Jobs, text: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jobs.propose({"proposal.json": text}) == 1
    assert said in capsys.readouterr().out


def test_a_proposal_under_a_number_that_nobody_asked_for_opens_nothing(
    jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs.begin()
    base = jobs.stranger.tip()
    for number, sha, said in (
        (999, base, "no proposal is wanted for experiment 999 now"),
        (1, "0" * 40, "the base has moved"),
    ):
        proposal = {"loop": "tune", "number": number, "base": sha, "edit": EDIT}
        assert jobs.propose({"proposal.json": handover(proposals=[proposal])}) == 0
        assert said in capsys.readouterr().out
    assert jobs.stranger.tip("pawl/tune/1") is None
    assert jobs.stranger.tip("pawl/tune/999") is None


def test_a_proposing_job_that_knows_the_format_of_records_forges_none(jobs: Jobs) -> None:
    """A coding agent in the proposing job can upload any artifact of its own run. No record is ever read from there."""
    jobs.begin()
    waiting, request = jobs.measuring()
    job = jobs.next("propose", jobs.stranger.dispatch()["id"])
    record = {"version": 1, "request": request.digest, "key": request.key, "complete": True,
              "environment": {"device": "cpu", "sandbox": "process"}, "runs": []}  # fmt: skip
    jobs.artifacts.upload(job["job_id"], "pawl-record", {"record.json": json.dumps(record).encode()})
    jobs.service.complete_job(job["job_id"], "success")
    assert jobs.conclude(job["run_id"], proposed="success", measured="skipped") == 0
    assert jobs.stranger.ledger() == []
    jobs.service.complete_job(waiting["job_id"], "failure")


def test_a_measuring_run_hands_in_no_proposal(jobs: Jobs) -> None:
    """What a candidate's runner uploads as a proposal is never looked at: it would be an edit that nobody's model made."""
    jobs.begin()
    job, _ = jobs.measuring()
    proposal = {"loop": "tune", "number": 1, "base": jobs.stranger.tip(), "edit": EDIT}
    jobs.artifacts.upload(job["job_id"], "pawl-proposal", {"proposal.json": handover(proposals=[proposal])})
    jobs.service.complete_job(job["job_id"], "success")
    assert jobs.conclude(job["run_id"], measured="success", proposed="skipped") == 0
    assert jobs.stranger.tip("pawl/tune/1") is None


@pytest.mark.parametrize("how", ["failure", "cancelled"])
def test_a_measuring_job_that_ended_without_a_record_is_made_again(jobs: Jobs, how: str) -> None:
    jobs.begin()
    job, first = jobs.measuring()
    jobs.service.complete_job(job["job_id"], how)
    assert jobs.conclude(job["run_id"], measured=how) == 0
    line = jobs.stranger.ledger()[-1]
    assert how in getattr(line, "reason", "")
    assert jobs.measuring()[1].number == first.number + 1


def test_a_runner_that_loses_every_job_is_not_asked_for_ever(jobs: Jobs) -> None:
    """Each lost job concluded by dispatching the next one: a chain of workflow runs that only a person could stop."""
    jobs.begin()
    for _ in range(5):
        job, _ = jobs.measuring()
        jobs.service.complete_job(job["job_id"], "failure")
        assert jobs.conclude(job["run_id"], measured="failure") == 0
    with pytest.raises(AssertionError, match="measure does not wait"):
        jobs.measuring()


def test_a_token_without_a_permission_is_named(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.stranger.dispatch()
    job = jobs.next("propose")
    assert jobs.use(job, command="step", measured="skipped", proposed="skipped") == 1
    out = capsys.readouterr().out
    assert "::error::" in out
    assert "The job's `permissions` do not reach that far" in out


def test_without_the_seed_key_it_says_so(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.stranger.dispatch()
    job = jobs.next("propose")
    environment = job_environment(job, jobs.server, jobs.folder, command="step")
    assert run_action(environment) == 1
    assert "::error::set PAWL_SEED_KEY to a long random secret" in capsys.readouterr().out


def test_a_request_that_is_none_is_an_error_of_the_job(
    jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs.stranger.dispatch()
    job = jobs.next("propose")
    for request, said in (
        ("", "there is no request"),
        ("{}", "::error::"),
        ("x" * 60_001, "has 60,001 characters"),
    ):
        assert jobs.use(job, command="measure", request=request) == 1
        assert said in capsys.readouterr().out


def test_an_unknown_command_names_the_known_ones(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.stranger.dispatch()
    assert jobs.use(jobs.next("propose"), command="measure; rm -rf /") == 1
    assert "it is one of measure, step, propose, check, compare, report" in capsys.readouterr().out


def test_a_branch_renamed_in_mid_flight_is_named(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.begin()
    job, _ = jobs.measuring()
    hub = jobs.server.hub
    repository = hub.repository(NAME)
    tip = jobs.stranger.tip()
    assert tip is not None
    with hub.store.transaction():
        hub.store.save({**repository, "default_branch": "trunk"})
        hub.refs.update(hub.repository(NAME), "refs/heads/trunk", tip, "stranger", checked=False)
        hub.refs.update(hub.repository(NAME), "refs/heads/main", None, "stranger", checked=False)
    jobs.service.complete_job(job["job_id"], "failure")
    assert jobs.conclude(job["run_id"], measured="failure") == 1
    out = capsys.readouterr().out
    assert (
        "stranger/solver has no branch main; create it, or name another one as `branch` of the loop tune"
        in out
    )


def test_by_hand_it_is_the_same(jobs: Jobs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`pawl propose` writes the file that `pawl step --proposal` opens; a file that is none is named."""
    jobs.begin()
    jobs.stranger.dispatch()
    reading = job_environment(jobs.next("propose"), jobs.server, tmp_path / "reading")
    out = tmp_path / "proposal.json"
    assert run_propose(reading, Round(NAME), out) == 0
    assert "tune: no edit for experiment 1: " in capsys.readouterr().out
    writing = {**reading, **SECRETS}
    assert run_step(writing, Round(NAME, dry_run=True), False, out) == 0
    assert "tune: would take the proposal for experiment 1" in capsys.readouterr().out
    out.write_text("{}")
    with pytest.raises(StepError, match="the proposal cannot be used: it is no file of proposals"):
        run_step(writing, Round(NAME, dry_run=True), False, out)
    with pytest.raises(StepError, match="cannot be read: No such file"):
        run_step(writing, Round(NAME), False, tmp_path / "none.json")
