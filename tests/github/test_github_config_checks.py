"""The check run `pawl/config`, and required checks on work that is no experiment."""

from __future__ import annotations

from typing import Any

import pytest
from github_kit import CONFIG, EDIT, LOOP, NAME, World

from pawl.core.config import CONFIG_PATH
from pawl.github.config_checks import ConfigChecks, RequiredChecks

PERSON = "ann"
BROKEN = CONFIG.replace("goal: minimize", "goal: down")


@pytest.fixture(autouse=True)
def _person(world: World) -> None:
    hub = world.server.hub
    hub.create_user(PERSON)
    hub.add_collaborator(NAME, PERSON, "write")


def push(world: World, files: dict[str, str | None], branch: str = "main") -> str:
    sha = world.server.hub.push_files(NAME, files, "By hand", branch=branch, login=PERSON)
    world.view.forget_all()
    return sha


def propose(world: World, branch: str, base: str = "main") -> int:
    hub = world.server.hub
    wanted = {"title": branch, "head": branch, "base": base}
    number = int(hub.pulls.create(hub.repository(NAME), PERSON, wanted)["number"])
    world.view.forget_all()
    return number


def runs(world: World, commit: str, name: str = "pawl/config") -> list[dict[str, Any]]:
    found = world.server.hub.store.all("check_run", world.server.hub.repository(NAME)["id"], commit)
    return [run for run in found if run["name"] == name]


def default_branch(world: World, checks: ConfigChecks, **troubles: str) -> bool:
    file = world.view.config_file()
    assert file is not None
    return checks.default_branch(file, troubles)


def test_a_push_that_breaks_the_file_is_marked_at_its_line_and_its_fix_is_good(world: World) -> None:
    checks = ConfigChecks(world.view)
    broken = push(world, {CONFIG_PATH: BROKEN})
    assert default_branch(world, checks)
    (run,) = runs(world, broken)
    assert run["conclusion"] == "failure"
    (marked,) = [item for item in run["annotations"] if item["annotation_level"] == "failure"]
    assert (marked["path"], marked["start_line"]) == (CONFIG_PATH, 5)
    assert "must be 'minimize' or 'maximize'" in marked["message"]
    fixed = push(world, {CONFIG_PATH: CONFIG})
    assert default_branch(world, checks)
    assert [run["conclusion"] for run in runs(world, fixed)] == ["success"]


def test_the_check_is_looked_for_before_it_is_made(world: World) -> None:
    tip = push(world, {CONFIG_PATH: BROKEN})
    assert default_branch(world, ConfigChecks(world.view))
    world.restart()
    assert not default_branch(world, ConfigChecks(world.view))
    assert len(runs(world, tip)) == 1


def test_a_push_that_changes_nothing_about_the_rules_costs_nothing(world: World) -> None:
    """Every kept improvement is such a push."""
    checks = ConfigChecks(world.view)
    default_branch(world, checks)
    tip = push(world, {"README.md": "More.\n"})
    world.view.config_file()
    before = len(world.requests())
    assert not default_branch(world, checks)
    assert len(world.requests()) == before
    assert runs(world, tip) == []


def test_while_it_is_broken_every_new_tip_says_so(world: World) -> None:
    checks = ConfigChecks(world.view)
    push(world, {CONFIG_PATH: BROKEN})
    default_branch(world, checks)
    tip = push(world, {"README.md": "More.\n"})
    assert default_branch(world, checks)
    assert [run["conclusion"] for run in runs(world, tip)] == ["failure"]


def test_what_only_a_look_tells_fails_the_check_until_it_is_over(world: World) -> None:
    checks = ConfigChecks(world.view)
    tip = world.tip("main") or ""
    assert default_branch(world, checks, demo="loop/train.py is not on main")
    assert default_branch(world, checks)
    assert [run["conclusion"] for run in runs(world, tip)] == ["failure", "success"]
    assert "is not on main" in runs(world, tip)[0]["summary"]


def test_a_pull_request_that_touches_the_file_is_checked_head_by_head(world: World) -> None:
    checks = ConfigChecks(world.view)
    broken = push(world, {CONFIG_PATH: BROKEN}, "rules")
    propose(world, "rules")
    assert checks.guests()
    assert not checks.guests()
    assert [run["conclusion"] for run in runs(world, broken)] == ["failure"]
    better = push(world, {CONFIG_PATH: CONFIG.replace("5s", "6s")}, "rules")
    assert checks.guests()
    assert [run["conclusion"] for run in runs(world, better)] == ["success"]


def test_other_pull_requests_get_none(world: World) -> None:
    """One that is behind a change of the file has another one than the default branch, and does not touch it."""
    behind = push(world, {"a.txt": "a\n"}, "behind")
    propose(world, "behind")
    push(world, {CONFIG_PATH: CONFIG.replace("5s", "7s")})
    plain = push(world, {"b.txt": "b\n"}, "plain")
    propose(world, "plain")
    elsewhere = push(world, {CONFIG_PATH: BROKEN}, "elsewhere")
    propose(world, "elsewhere", base="plain")
    assert not ConfigChecks(world.view).guests()
    assert [runs(world, head) for head in (behind, plain, elsewhere)] == [[], [], []]


def test_taking_the_file_away_is_no_mistake(world: World) -> None:
    head = push(world, {CONFIG_PATH: None}, "bye")
    propose(world, "bye")
    assert ConfigChecks(world.view).guests()
    assert [run["conclusion"] for run in runs(world, head)] == ["success"]


def test_the_check_is_nobodys_attempt(world: World) -> None:
    default_branch(world, ConfigChecks(world.view))
    assert world.observe(fresh=True).experiments == ()
    assert all(check.attempt is None for check in world.view.checks.on(world.tip("main") or ""))


# Required checks.


@pytest.mark.parametrize("ruleset", [False, True])
def test_a_required_check_blocks_no_pull_request_of_people(world: World, ruleset: bool) -> None:
    hub = world.server.hub
    hub.protect(NAME, "main", checks=[f"pawl/{LOOP}"], ruleset=ruleset)
    head = push(world, {"a.txt": "a\n"}, "work")
    number = propose(world, "work")
    assert (
        hub.pulls.mergeable(hub.repository(NAME), hub.pulls.find(hub.repository(NAME), number))[1]
        == "blocked"
    )
    assert RequiredChecks(world.view).look({LOOP: world.rules})
    (run,) = runs(world, head, f"pawl/{LOOP}")
    assert (run["status"], run["conclusion"]) == ("completed", "neutral")
    assert (
        hub.pulls.mergeable(hub.repository(NAME), hub.pulls.find(hub.repository(NAME), number))[1] == "clean"
    )


def test_it_is_given_once_to_each_head(world: World) -> None:
    world.server.hub.protect(NAME, "main", checks=[f"pawl/{LOOP}"])
    head = push(world, {"a.txt": "a\n"}, "work")
    propose(world, "work")
    required = RequiredChecks(world.view)
    assert required.look({LOOP: world.rules})
    assert not required.look({LOOP: world.rules})
    world.restart()
    assert not RequiredChecks(world.view).look({LOOP: world.rules})
    assert len(runs(world, head, f"pawl/{LOOP}")) == 1
    later = push(world, {"a.txt": "b\n"}, "work")
    assert RequiredChecks(world.view).look({LOOP: world.rules})
    assert len(runs(world, later, f"pawl/{LOOP}")) == 1


def test_an_experiment_is_never_waved_through(world: World) -> None:
    """Not even by a second pull request that somebody opens from the experiment's own commit."""
    hub = world.server.hub
    hub.protect(NAME, "main", checks=[f"pawl/{LOOP}"])
    world.settle()
    number = world.open(EDIT)
    head = world.tip(f"pawl/{LOOP}/{number}") or ""
    repository = hub.repository(NAME)
    with hub.store.transaction():
        hub.refs.update(repository, "refs/heads/copy", head, PERSON)
    propose(world, "copy")
    assert not RequiredChecks(world.view).look({LOOP: world.rules})
    assert runs(world, head, f"pawl/{LOOP}") == []


def test_it_is_never_mistaken_for_an_attempt(world: World) -> None:
    hub = world.server.hub
    hub.protect(NAME, "main", checks=[f"pawl/{LOOP}"])
    push(world, {"a.txt": "a\n"}, "work")
    propose(world, "work")
    RequiredChecks(world.view).look({LOOP: world.rules})
    head = world.tip("work") or ""
    with hub.store.transaction():
        hub.refs.update(hub.repository(NAME), f"refs/heads/pawl/{LOOP}/1", head, PERSON)
    propose(world, f"pawl/{LOOP}/1")
    (experiment,) = world.observe(fresh=True).experiments
    assert experiment.attempt is None


def test_where_nothing_requires_it_nothing_is_asked(world: World) -> None:
    push(world, {"a.txt": "a\n"}, "work")
    propose(world, "work")
    world.observe()
    before = len(world.requests())
    assert not RequiredChecks(world.view).look({LOOP: world.rules})
    assert len(world.requests()) == before
