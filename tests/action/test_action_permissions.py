"""A job of the loop's workflow without one of its permissions: which it is stands in the job's annotation."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from action.act_kit import USES
from action.job_kit import Jobs
from action.stranger import job_environment
from pawl.commands.action import run_action
from pawl.github.grants import needed_for
from pawl.localhub import HubServer
from pawl.messages.scaffold import loop_workflow


@pytest.fixture
def jobs(hub_server: HubServer, tmp_path: Path) -> Jobs:
    return Jobs(hub_server, tmp_path / "jobs")


def take_away(jobs: Jobs, job: str, permission: str) -> str:
    """Leave a permission out of a job of the workflow; gives it with its level."""
    text = loop_workflow(USES)
    granted = YAML(typ="safe").load(text)["jobs"][job]["permissions"]
    before, begin, rest = text.partition(f"\n  {job}:")
    line = next(line for line in rest.split("\n") if line.startswith(f"      {permission}: "))
    jobs.stranger.push({".github/workflows/pawl.yml": before + begin + rest.replace(f"{line}\n", "", 1)})
    return f"{permission}: {granted[permission]}"


@pytest.mark.parametrize("permission", ["actions", "contents", "pull-requests"])
def test_of_the_job_that_proposes(jobs: Jobs, permission: str, capsys: pytest.CaptureFixture[str]) -> None:
    lacking = take_away(jobs, "propose", permission)
    jobs.stranger.dispatch()
    assert jobs.use(jobs.next("propose"), command="propose") == 1
    assert f"do not reach that far: `{lacking}` is what this takes" in capsys.readouterr().out


@pytest.mark.parametrize("permission", ["actions", "checks", "contents", "issues", "pull-requests"])
def test_of_the_job_that_concludes(jobs: Jobs, permission: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What it may not even read is refused first, so the level is the one that was asked for."""
    name, _, _ = take_away(jobs, "conclude", permission).partition(": ")
    jobs.stranger.dispatch()
    run = jobs.next("propose")
    jobs.service.complete_job(run["job_id"], "failure")
    job = jobs.next("conclude", run["run_id"])
    assert jobs.use(job, command="step", measured="skipped", proposed="failure") == 1
    out = capsys.readouterr().out
    assert f"do not reach that far: `{name}: " in out
    assert jobs.stranger.ledger() == []


def test_statuses_are_done_without(jobs: Jobs) -> None:
    take_away(jobs, "conclude", "statuses")
    jobs.begin()


def test_of_the_job_that_measures(jobs: Jobs, capsys: pytest.CaptureFixture[str]) -> None:
    """Its runs count all the same, but nobody would have noticed that another job has the attempt."""
    lacking = take_away(jobs, "measure", "checks")
    jobs.begin()
    job, _ = jobs.measuring()
    assert jobs.measure(job)
    out = capsys.readouterr().out
    assert "GitHub does not tell whether this may be measured here (check-runs/" in out
    assert f"give the job `{lacking}`" in out


def test_a_token_that_has_ended_is_no_matter_of_permissions(
    jobs: Jobs, capsys: pytest.CaptureFixture[str]
) -> None:
    jobs.stranger.dispatch()
    environment = job_environment(jobs.next("propose"), jobs.server, jobs.folder, command="propose")
    assert run_action({**environment, "GITHUB_TOKEN": "ghs_ended"}) == 1
    out = capsys.readouterr().out
    assert "The input `token` is none that GitHub knows, or has ended" in out
    assert "permissions" not in out


@pytest.mark.parametrize(
    ("doing", "needed"),
    [
        ("PUT /repos/o/issues/pulls/7/merge", ("contents", "write")),
        ("GET /repos/o/r/commits/abc/check-runs", ("checks", "read")),
        ("GET /repos/o/r/commits/abc/status", ("statuses", "read")),
        ("PATCH /repos/o/r/git/refs/heads/pawl/issues", ("contents", "write")),
        ("POST /repos/o/r/actions/workflows/pawl.yml/dispatches", ("actions", "write")),
        ("POST /repos/o/r/pulls", ("pull_requests", "write")),
        ("GET /app", None),
    ],
)
def test_the_permission_is_read_off_the_request(doing: str, needed: tuple[str, str] | None) -> None:
    assert needed_for(doing) == needed
