"""What is read out of GitHub's answers, and what is not believed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pawl.github.client import Identity
from pawl.github.facts import CheckRun, Dispatched, Pull
from pawl.github.names import experiment_of


def check(**changes: Any) -> CheckRun:
    data = {
        "id": 1, "name": "pawl/demo", "head_sha": "a" * 40, "status": "queued", "conclusion": None,
        "external_id": "12.1", "output": {"text": None}, "app": {"slug": "pawl"},
    }  # fmt: skip
    return CheckRun.read({**data, **changes}, Identity("pawl").owns)


def test_a_check_run_under_pawls_name_by_another_app_is_not_pawls() -> None:
    assert check().own
    assert not check(app={"slug": "pawl-imitator"}).own
    assert not check(app=None).own


@pytest.mark.parametrize(
    ("external_id", "attempt"),
    [("12.1", ("12", 1)), ("c3.2", ("c3", 2)), ("", None), ("12", None), ("12.x", None), ("12.-1", None)],
)
def test_what_an_attempt_is_about(external_id: str, attempt: tuple[str, int] | None) -> None:
    assert check(external_id=external_id).attempt == attempt


@pytest.mark.parametrize("status", ["queued", "requested", "waiting", "pending"])
def test_what_has_not_begun_is_queued(status: str) -> None:
    assert check(status=status).status == "queued"


def run(**changes: Any) -> Dispatched | None:
    data = {
        "id": 5, "display_title": "pawl demo 12.1 77", "event": "workflow_dispatch", "head_branch": "main",
        "status": "completed", "conclusion": "success", "html_url": "https://github.com/o/r/actions/runs/5",
        "created_at": "2031-05-04T09:00:00Z", "run_started_at": "2031-05-04T10:00:00Z",
    }  # fmt: skip
    return Dispatched.read({**data, **changes}, "main")


def test_a_job_is_known_by_its_title() -> None:
    job = run()
    assert job is not None
    assert job.since == datetime(2031, 5, 4, 10, tzinfo=UTC)  # when it was started again
    assert (job.loop, job.key, job.check_run, job.status) == ("demo", "12.1", 77, "completed")


@pytest.mark.parametrize(
    "changes",
    [
        {"display_title": "pawl demo 12.1"},
        {"display_title": "pawl demo 12.1 77\n"},
        {"display_title": "pawl Demo 12.1 77"},
        {"display_title": None},
        {"head_branch": "pawl/demo/12"},
        {"event": "push"},
    ],
)
def test_no_other_run_is_a_job(changes: dict[str, Any]) -> None:
    assert run(**changes) is None


def pull(**changes: Any) -> Pull:
    data = {
        "number": 3, "state": "open", "merged_at": None, "merge_commit_sha": "b" * 40, "labels": [{"name": "pawl"}],
        "head": {"ref": "pawl/demo/1", "sha": "a" * 40, "repo": {"id": 7}},
        "base": {"ref": "main", "repo": {"id": 7}},
    }  # fmt: skip
    return Pull.read({**data, **changes})


def test_a_pull_request_from_a_fork_is_not_ours() -> None:
    assert pull().own
    assert not pull(head={"ref": "pawl/demo/1", "sha": "a" * 40, "repo": {"id": 8}}).own
    assert not pull(head={"ref": "pawl/demo/1", "sha": "a" * 40, "repo": None}).own


def test_the_merge_commit_of_an_open_pull_request_is_githubs_trial() -> None:
    assert pull().merge_commit == ""
    assert pull(merged_at="2026-01-01T00:00:00Z").merge_commit == "b" * 40


@pytest.mark.parametrize(
    ("branch", "number"),
    [
        ("pawl/demo/12", 12),
        ("pawl/demo/0", None),
        ("pawl/demo/012", None),
        ("pawl/demo/1/2", None),
        ("pawl/other/1", None),
        ("feature", None),
    ],
)
def test_which_experiment_a_branch_belongs_to(branch: str, number: int | None) -> None:
    assert experiment_of(branch, "demo") == number


def test_an_app_that_was_renamed_still_knows_its_own() -> None:
    """A slug follows the App's name; the id never changes, so a rename must not orphan every check run."""
    who = Identity("pawl-renamed", app_id=7)
    assert who.owns({"id": 7, "slug": "pawl"})
    assert not who.owns({"id": 8, "slug": "pawl-renamed"})
    assert not who.owns(None)
