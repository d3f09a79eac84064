"""From the installation to the first loop, through webhooks: the offer, a yes, a broken configuration, and its mending."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faults_kit import BETTER, LOOP, NAME, PERSON, World, config, faulty_world

from pawl.control.app import IDLE_ROUNDS
from pawl.core.config import CONFIG_PATH
from pawl.messages.scaffold import workflow

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

FRESH = "acme/fresh"
SCRIPT = 'print(f"val_loss: {loss:.4f}")\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path, {1: BETTER}, config(1)) as made:
        yield made


def installed(world: World, everywhere: bool = False, **files: str) -> None:
    hub = world.hub
    hub.create_repository(FRESH)
    hub.push_files(FRESH, files or {"train.py": SCRIPT}, "Begin")
    hub.add_collaborator(FRESH, PERSON, "write")
    hub.installations.install(FRESH, everywhere=everywhere)


def issues(world: World, name: str = FRESH) -> list[dict[str, Any]]:
    return world.hub.store.all("issue", world.hub.repository(name)["id"])


def pulls(world: World) -> list[dict[str, Any]]:
    return [issue for issue in issues(world) if issue["pull"]]


def checks(world: World, name: str, check: str = "pawl/config") -> list[dict[str, Any]]:
    found = world.hub.store.all("check_run", world.hub.repository(name)["id"])
    return [run for run in found if run["name"] == check]


def test_installing_offers_and_merging_starts(world: World) -> None:
    installed(world)
    world.settle()
    (offer,) = pulls(world)
    assert [run["head_sha"] for run in checks(world, FRESH)] == [offer["pull"]["head_sha"]]
    assert len(issues(world)) == 1, "nothing runs before the yes"
    world.hub.pulls.merge(world.hub.repository(FRESH), offer, PERSON, {})
    world.settle()
    failed = checks(world, FRESH)[-1]
    assert failed["conclusion"] == "failure"
    assert "has no workflow" in failed["summary"].replace("`", "")
    assert "Add the measuring workflow" in failed["summary"]
    world.hub.push_files(FRESH, {".github/workflows/pawl.yml": workflow(("gone",))}, "Add", login=PERSON)
    world.settle()
    assert checks(world, FRESH)[-1]["conclusion"] == "success"
    assert "Pawl: train" in [issue["title"] for issue in issues(world)], "the loop has begun"
    assert not world.hub.store.refs(world.hub.repository(FRESH)["id"], "refs/heads/pawl/onboarding")


def test_closing_means_no(world: World) -> None:
    installed(world)
    world.settle()
    (offer,) = pulls(world)
    world.hub.pulls.set_state(world.hub.repository(FRESH), offer, "closed", PERSON)
    world.settle()
    world.kill()
    world.settle()
    assert len(issues(world)) == 1
    said = world.hub.store.all("comment", world.hub.repository(FRESH)["id"])
    assert len(said) == 1


def test_a_repository_without_a_loop_is_looked_at_once_in_an_hour(world: World) -> None:
    """An App on a thousand repositories had used up its requests by reading them all every five minutes."""
    installed(world)
    world.settle()
    looked = []
    for _ in range(2 * IDLE_ROUNDS):
        before = world.hub.api_requests(FRESH)
        world.app.workers.wake_all()
        world.look()
        looked.append(world.hub.api_requests(FRESH) > before)
    assert sum(looked) == 2
    world.hub.push_files(FRESH, {CONFIG_PATH: "loops: 1\n"}, "Mine", login=PERSON)
    world.deliver()
    world.look()
    assert checks(world, FRESH)[-1]["conclusion"] == "failure", "a webhook is heard at once"


def test_people_who_change_the_offer_see_it_checked_again(world: World) -> None:
    installed(world)
    world.settle()
    world.hub.push_files(FRESH, {CONFIG_PATH: "loops: 1\n"}, "Mine", branch="pawl/onboarding", login=PERSON)
    world.settle()
    assert [run["conclusion"] for run in checks(world, FRESH)] == ["success", "failure"]
    assert "Something must be mended first" in pulls(world)[0]["body"]


def test_an_installation_on_everything_asks_only_where_something_is_recognised(world: World) -> None:
    installed(world, everywhere=True, **{"notes.txt": "nothing here\n"})
    world.hub.create_repository("acme/train")
    world.hub.push_files("acme/train", {"train.py": SCRIPT}, "Begin")
    world.settle()
    assert issues(world) == []
    assert len(issues(world, "acme/train")) == 1


def test_a_broken_configuration_stops_the_loop_and_says_so_wherever_people_look(world: World) -> None:
    """The log had it, and nobody reads the log."""
    world.turn()
    broken = world.push({CONFIG_PATH: config(1).replace("goal: maximize", "goal: up")})
    world.settle()
    assert world.outcomes() == {}
    marked = [run for run in checks(world, NAME) if run["head_sha"] == broken]
    assert [run["conclusion"] for run in marked] == ["failure"]
    told = world.tracking()["body"]
    assert "Pawl cannot look at this loop" in told
    assert told.count("[!WARNING]") == 1
    world.push({CONFIG_PATH: config(1)})
    world.settle()
    assert "Pawl cannot look at this loop" not in world.tracking()["body"]
    assert checks(world, NAME)[-1]["conclusion"] == "success"
    assert world.outcomes() == {1: "merged"}


def test_a_loop_that_cannot_be_looked_at_says_why_in_its_tracking_issue(world: World) -> None:
    world.settle()
    world.push({f"{LOOP}/program.md": None})
    world.settle()
    assert "program.md" in world.tracking()["body"].partition("pawl-trouble-end")[0]
    assert checks(world, NAME)[-1]["conclusion"] == "failure"
    world.push({f"{LOOP}/program.md": "# Raise the score\n"})
    world.settle()
    assert "pawl-trouble" not in world.tracking()["body"]


def test_a_required_check_lets_people_work(world: World) -> None:
    world.hub.protect(NAME, "main", checks=[f"pawl/{LOOP}"])
    head = world.push({"notes.txt": "mine\n"}, branch="work")
    wanted = {"title": "Mine", "head": "work", "base": "main"}
    number = world.api("POST", "/pulls", wanted)["number"]
    world.settle()
    passed = [run for run in checks(world, NAME, f"pawl/{LOOP}") if run["head_sha"] == head]
    assert [run["conclusion"] for run in passed] == ["neutral"]
    assert world.api("PUT", f"/pulls/{number}/merge", {"sha": head})["merged"]


def test_tending_costs_a_look_nothing(world: World) -> None:
    """What it needs the loops have read already, so that it weighs on no experiment."""
    world.settle()
    loops: Any = world.app._repositories[NAME]

    def cost() -> int:
        loops.news.everything()
        before = world.hub.api_requests(NAME)
        loops.look()
        return world.hub.api_requests(NAME) - before

    with_it = cost()
    loops._tending = None
    assert with_it == cost() > 0


def test_a_check_that_github_refuses_puts_off_no_loop(world: World) -> None:
    """A fork's head can be gone before it is checked."""
    world.push({CONFIG_PATH: config(2)}, branch="rules")
    world.api("POST", "/pulls", {"title": "Mine", "head": "rules", "base": "main"})
    world.deliver()
    world.hub.faults.fail_before("POST", "/check-runs", status=422)
    loops: Any = world.app._repositories.get(NAME)
    if loops is None:
        world.app.workers.run_next()
        loops = world.app._repositories[NAME]
    assert [looked.problem for looked in loops.look()] == [""]
    assert checks(world, NAME) == [run for run in checks(world, NAME) if run["head_sha"] == world.tip("main")]
    loops.look()
    assert world.tip("rules") in [run["head_sha"] for run in checks(world, NAME)]


def test_a_repository_without_issues_is_told_so_where_it_can_be(world: World) -> None:
    """Forks have none by default. Each look failed, with a hint at the installation, in the log alone."""
    world.hub.faults.fail_before("POST", f"/repos/{FRESH}/issues$", status=410, times=100)
    files = {CONFIG_PATH: config(1), ".github/workflows/pawl.yml": workflow(("elsewhere",))}
    installed(world, **files, **{"aim/train.py": "AIM = 1.0\n", "aim/program.md": "# Aim\n"})
    world.settle()
    said = checks(world, FRESH)[-1]
    assert said["conclusion"] == "failure"
    assert "issues are turned off in this repository" in f"{said['summary']}{said['text']}"
    before = world.hub.api_requests(FRESH)
    world.settle()
    assert world.hub.api_requests(FRESH) == before
    world.hub.faults.clear()
    world.app.workers.wake_all()
    world.settle()
    assert issues(world)[0]["title"] == "Pawl: aim"
    assert checks(world, FRESH)[-1]["conclusion"] == "success"
