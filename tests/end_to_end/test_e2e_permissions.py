"""An admin denies each permission in turn: nothing crashes, nothing is lost, the reason is told, granting it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from faults_kit import LOOP, NAME, World, config, faulty_world
from structlog.testing import capture_logs

from pawl.core.measurement import Request
from pawl.github.grants import DISPENSABLE, OPTIONAL, PERMISSIONS
from pawl.messages.permissions import TITLE

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

NEEDED = sorted(PERMISSIONS.keys() - DISPENSABLE)
RESULT = {1: "closed", 2: "merged"}
TROUBLE = "the App's installation does not grant"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path) as made:
        yield made


def without(*names: str, **levels: str) -> dict[str, str]:
    """Everything that Pawl needs, less some of it."""
    return {name: level for name, level in {**PERMISSIONS, **levels}.items() if name not in names}


def permission_checks(world: World) -> list[dict[str, Any]]:
    return [check for check in world.checks() if check["name"] == "pawl/permissions"]


def said(world: World) -> list[str]:
    """Where people are told that permissions are missing."""
    found = [f"issue {item['title']}" for item in world.issues() if TROUBLE in (item["body"] or "")]
    return found + [
        item["name"] for item in permission_checks(world) if item["conclusion"] == "action_required"
    ]


@pytest.mark.parametrize("moment", ["at the start", "measuring", "measured"])
@pytest.mark.parametrize("name", NEEDED)
def test_a_permission_that_is_taken_away_is_told_and_loses_nothing(
    world: World, name: str, moment: str
) -> None:
    def deny(*_: object) -> None:
        world.running = lambda request: None
        world.hub.installations.grant(NAME, without(name))

    if moment == "measuring":
        world.running = deny
    else:
        if moment == "measured":
            world.turn()
        deny()
    world.settle()
    assert world.outcomes() != RESULT
    told = said(world)
    assert told == (["pawl/permissions"] if name == "issues" else ["issue Pawl: aim"]), (
        "once, where it can be"
    )
    writes = len(world.writes())
    world.app.workers.wake_all()
    world.settle()
    assert len(world.writes()) == writes, "and not again by the next round"

    world.hub.installations.grant(NAME, PERMISSIONS)
    world.settle()
    assert world.outcomes() == RESULT
    assert [check["conclusion"] for check in permission_checks(world)] == ["success"] * (name == "issues")
    assert TROUBLE not in world.tracking()["body"]
    world.once()


@pytest.mark.parametrize("name", NEEDED)
def test_a_level_that_is_lowered_while_no_webhook_tells_is_found(world: World, name: str) -> None:
    """GitHub refuses what is asked, and that is what makes Pawl ask what it may."""
    world.webhooks = lambda waiting: [item for item in waiting if item["event"] != "installation"]
    world.turn()
    world.turn()
    world.hub.installations.grant(NAME, without(**{name: "read"}))
    world.settle()
    world.app.workers.wake_all()
    world.settle()
    assert said(world) == (["pawl/permissions"] if name == "issues" else ["issue Pawl: aim"])
    world.hub.installations.grant(NAME, PERMISSIONS)
    world.app.workers.wake_all()
    assert world.settle().outcomes() == RESULT
    world.once()


@pytest.mark.parametrize("name", ["contents", "pull_requests"])
@pytest.mark.parametrize("level", ["none", "read"])
def test_a_permission_that_is_taken_away_right_before_the_merge_is_what_is_told(
    world: World, name: str, level: str
) -> None:
    """Not that GitHub's rules keep the keep out: nobody would look for the permission then."""
    lacking = without(name) if level == "none" else without(**{name: level})
    world.webhooks = lambda waiting: [item for item in waiting if item["event"] != "installation"]
    world.hub.faults.on_request(
        "PATCH", r"git/refs/heads/main$", lambda: world.hub.installations.grant(NAME, lacking)
    )
    world.settle()
    world.app.workers.wake_all()
    world.settle()
    if name == "contents":  # the other one is not needed any more by the time that it is missed
        assert world.outcomes() != RESULT
    assert said(world) == ["issue Pawl: aim"]
    world.hub.installations.grant(NAME, PERMISSIONS)
    world.app.workers.wake_all()
    assert world.settle().outcomes() == RESULT
    assert "GitHub refused" not in "".join(world.comments(world.pull(2)["number"]))
    world.once()


def test_commit_statuses_that_may_no_longer_be_read_are_left_out_from_then_on(world: World) -> None:
    world.webhooks = lambda waiting: [item for item in waiting if item["event"] != "installation"]
    world.turn()
    world.turn()
    world.hub.installations.grant(NAME, without("statuses"))
    world.settle()
    world.app.workers.wake_all()
    assert world.settle().outcomes() == RESULT
    assert "does not grant statuses (read)" in world.tracking()["body"]
    world.once()


def test_a_candidate_with_a_workflow_is_no_edit_whoever_asks_for_it(world: World) -> None:
    """The App has no permission `workflows`: GitHub would refuse the merge, and Pawl says why before that."""
    branch = f"pawl/{LOOP}/2"

    def sneak(request: Request) -> None:
        if world.tip(branch) == request.candidate:
            world.running = lambda request: None
            world.force(branch, request.candidate, ".github/workflows/pawl.yml", "on: push\n")
            world.api("POST", f"/issues/{world.pull(2)['number']}/comments", {"body": "/pawl merge"})

    world.running = sneak
    world.settle()
    assert world.outcomes() == {1: "closed", 2: "closed"}
    told = "".join(world.comments(world.pull(2)["number"]))
    assert "its head is no edit of the one file" in told
    assert ".github/workflows/pawl.yml" in told
    assert "violation" in world.verdicts()[2], "beside what the head before it was measured to be"
    world.once()


def test_commit_statuses_are_left_out_where_they_may_not_be_read(world: World) -> None:
    world.hub.installations.grant(NAME, without("statuses"))
    world.settle()
    assert world.outcomes() == RESULT
    assert "does not grant statuses (read)" in world.tracking()["body"]
    assert not [entry for entry in world.hub.request_log if entry.template.endswith("/status")]
    world.once()


def test_without_issues_and_checks_it_is_told_in_the_open_pull_request(world: World) -> None:
    world.turn()
    world.turn()
    (pull,) = [item for item in world.pulls() if item["state"] == "open"]
    world.hub.installations.grant(NAME, without("issues", "checks"))
    world.settle()
    (comment,) = world.comments(pull["number"])
    assert comment.startswith("<!-- pawl-permissions -->")
    assert "checks: write" in comment
    assert "issues: write" in comment
    world.hub.installations.grant(NAME, PERMISSIONS)
    assert world.settle().outcomes() == RESULT
    assert "What Pawl needs is granted" in world.comments(pull["number"])[0]


def test_where_nothing_can_be_written_the_log_tells_it_once(world: World) -> None:
    structlog.reset_defaults()
    with capture_logs() as logs:
        world.hub.installations.grant(NAME, {})
        for _ in range(3):
            world.settle()
            world.app.workers.wake_all()
    told = [entry for entry in logs if entry["event"] == "permissions are missing"]
    (why,) = [entry["why"] for entry in told]
    assert all(f"{name} (write)" in why for name in NEEDED)
    assert "/settings/installations/" in why
    assert said(world) == []


def test_who_never_granted_it_is_told_in_an_issue_that_is_closed_once_it_is(tmp_path: Path) -> None:
    """No loop has begun there, so that there is no tracking issue yet."""
    other = "octo/fresh"
    with faulty_world(tmp_path, text=config(1)) as world:
        world.settle()
        world.hub.create_repository(other)
        world.hub.push_files(other, {"train.py": "print(1)\n"}, "Begin")
        world.hub.installations.grant(NAME, without("contents"))
        world.hub.installations.install(other)
        world.settle()
        repository = world.hub.repository(other)
        (issue,) = world.hub.store.all("issue", repository["id"])
        assert (issue["title"], issue["state"]) == (TITLE, "open")
        assert "contents: write" in issue["body"]
        world.kill()
        world.settle()
        world.hub.installations.grant(NAME, PERMISSIONS)
        world.settle()
        found = world.hub.store.all("issue", repository["id"])
        assert [(item["title"], item["state"]) for item in found] == [
            (TITLE, "closed"),
            ("Let Pawl improve this repository", "open"),
        ]
        assert world.tracking(LOOP)["state"] == "open"


def test_a_token_has_only_what_is_granted_and_a_new_one_is_made_when_that_changes(world: World) -> None:
    def newest() -> dict[str, str]:
        tokens = [
            item for item in world.hub.store.all("token") if item["type"] == "installation" and item["repos"]
        ]
        permissions: dict[str, str] = tokens[-1]["permissions"]
        return permissions

    world.turn()
    assert newest() == PERMISSIONS
    world.hub.installations.grant(NAME, {**without("checks", actions="read"), "administration": "write"})
    world.settle()
    assert newest() == without("checks", actions="read") | OPTIONAL, (
        "of what is granted, no more than it uses"
    )
