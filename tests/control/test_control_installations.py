"""Installations and repositories come, go and change while the App runs, and no tenant sees another one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from faults_kit import BETTER, LOOP, NAME, PERSON, World, config, faulty_world, files
from sqlalchemy import create_engine, text

from pawl.core.chain import LEDGER_BRANCH
from pawl.core.config import WORKFLOW_PATH
from pawl.core.measurement import Request
from pawl.localhub import Hub
from pawl.messages.scaffold import workflow

pytestmark = [
    pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning"),
    pytest.mark.usefixtures("quiet"),
]

OTHER = "acme/other"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with faulty_world(tmp_path, {1: BETTER, 2: BETTER + 1}, config(2)) as made:
        yield made


def known(world: World) -> set[str]:
    return set(world.app._repositories)


def rows(world: World) -> set[str]:
    """Repositories that the database has anything of."""
    engine = create_engine(world.app.settings.database)
    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT repository FROM blobs UNION SELECT repository FROM deliveries")
        ).scalars()
        names = {str(name) for name in found if name}
    engine.dispose()
    return names


def file(hub: Hub, name: str, branch: str, path: str) -> str:
    repository = hub.repository(name)
    git = hub.git(repository)
    entry = git.entry(hub.store.ref(repository["id"], f"refs/heads/{branch}") or "", path)
    assert entry is not None
    return git.blob(entry.sha).decode()


def ledger_of(hub: Hub, name: str) -> str:
    return file(hub, name, LEDGER_BRANCH, f"{LOOP}/ledger-0001.jsonl")


def other(world: World) -> None:
    """A second tenant, whose jobs no runner takes."""
    world.hub.create_repository(OTHER)
    theirs = {**files(config(1), LOOP), WORKFLOW_PATH: workflow(("elsewhere",))}
    world.hub.push_files(OTHER, theirs, "Begin")
    world.hub.installations.install(OTHER)


def test_a_renamed_repository_goes_on_under_its_new_name(world: World) -> None:
    """The experiment that was in flight is finished, not begun again, and the next one has the next number."""
    world.turn()
    world.turn()
    renamed = world.hub.residence.rename(NAME, "renamed")
    world.settle()
    assert known(world) == {renamed}
    ledger = ledger_of(world.hub, renamed)
    assert [ledger.count(f'"key":"outcome:{number}"') for number in (1, 2, 3)] == [1, 1, 0]
    assert rows(world) <= {renamed}


def test_a_rename_that_no_webhook_told_is_found(world: World) -> None:
    world.webhooks = lambda waiting: [item for item in waiting if item["event"] != "repository"]
    world.turn()
    renamed = world.hub.residence.rename(NAME, "renamed")
    world.app.workers.wake_all()
    world.settle()
    assert known(world) == {renamed}
    assert '"key":"outcome:2"' in ledger_of(world.hub, renamed)


def test_a_repository_that_was_handed_to_a_stranger_is_let_go(world: World) -> None:
    world.settle()
    assert rows(world) == {NAME}
    handed = world.hub.residence.transfer(NAME, "acme")
    before = world.hub.api_requests(handed)
    world.settle()
    assert known(world) == set()
    assert rows(world) == set()
    assert world.hub.api_requests(handed) == before


def test_an_archived_repository_rests_until_it_lives_again(world: World) -> None:
    world.hub.residence.archive(NAME)
    world.settle()
    assert known(world) == set()
    world.hub.residence.archive(NAME, archived=False)
    assert world.settle().outcomes()[1] == "merged"


def test_a_repository_that_is_made_public_is_held_and_goes_on_once_it_is_accepted(world: World) -> None:
    world.turn()
    world.hub.residence.publish(NAME)
    world.settle()
    assert world.outcomes() == {}
    issue = world.hub.pulls.find(world.hub.repository(NAME), 1)
    assert "held, because the repository is public" in issue["body"]
    accepting = config(2).replace("self-reported-metric]", "self-reported-metric, public-repository]")
    world.push({".github/pawl.yml": accepting})
    assert world.settle().outcomes()[1] == "merged"


def test_a_repository_that_takes_a_deleted_ones_name_inherits_nothing(world: World) -> None:
    """Not one row, and no view of branches that are not its own."""
    world.settle()
    before = world.app._repositories[NAME]
    world.app.database.blobs(NAME).put("a" * 40, b"of the first one")
    with world.hub.store.transaction():
        world.hub.residence.delete(NAME)
        world.hub.create_repository(NAME)
        world.hub.installations.install(NAME)
    world.settle()
    assert known(world) == {NAME}
    assert world.app._repositories[NAME] is not before
    assert world.app.database.blobs(NAME).get("a" * 40) is None
    assert world.pulls() == [], "it is empty, so nothing is offered"


def test_tenants_come_and_go_without_a_restart(world: World) -> None:
    world.settle()
    other(world)
    world.settle()
    assert known(world) == rows(world) == {NAME, OTHER}
    world.hub.installations.uninstall(OTHER)
    world.settle()
    assert known(world) == rows(world) == {NAME}


def test_one_tenants_trouble_stops_no_other(world: World) -> None:
    """The list of installations used to end at the first that could not be read."""
    other(world)
    acme = world.hub.installations.of(world.hub.repository(OTHER))
    world.hub.faults.fail_before("POST", f"/app/installations/{acme['id']}/access_tokens", status=422)
    world.turn()
    assert known(world) == {NAME}
    world.app.workers.wake_all()
    world.settle()
    assert known(world) == {NAME, OTHER}


def test_nothing_done_for_one_tenant_reads_another_ones_rows_or_tokens(world: World) -> None:
    """Every request below a repository is made with its own installation's token, and every row is read under its name."""
    other(world)
    world.settle()
    own = {name: world.hub.installations.of(world.hub.repository(name))["id"] for name in (NAME, OTHER)}
    asked = [entry for entry in world.hub.request_log if entry.repository and entry.installation]
    assert {entry.repository for entry in asked} == {NAME, OTHER}
    for entry in asked:
        assert entry.installation == own[entry.repository or ""], entry
    assert world.app.database.blobs(NAME).get("a" * 40) is None
    world.app.database.blobs(OTHER).put("a" * 40, b"secret")
    assert world.app.database.blobs(NAME).get("a" * 40) is None
    one = world.app._repositories[NAME].view.client
    assert world.hub.store.all("token"), "tokens were minted"
    narrow = [token for token in world.hub.store.all("token") if token["type"] == "installation"]
    for token in narrow:
        reading = token["permissions"] == {"metadata": "read"}
        assert reading or len(token["repos"]) == 1, "a token that writes reaches one repository"
    assert one.name == NAME


def test_an_app_that_is_renamed_still_knows_its_own_work(world: World) -> None:
    """With the name its login changes: tracking issue, comments and answers were nobody's, and were written once more."""
    world.turn()
    world.turn()
    world.hub.residence.rename_app("ratchet")
    world.timer = True
    world.settle()
    world.timer = False
    assert world.settle().outcomes().keys() == {1, 2}
    world.once()


def test_an_app_that_is_renamed_between_two_rounds_opens_nothing_anew(world: World) -> None:
    """Until it asked who it is, it could not find its tracking issue. It opened another one with each look, for ever."""
    world.settle()
    world.hub.residence.rename_app("ratchet")
    world.api("POST", "/issues", {"title": "Something else"})  # its event has the tracking issues read again
    world.settle()
    assert world.tracking()["state"] == "open"
    world.once()


def test_a_loop_whose_branch_is_renamed_says_so_and_goes_on_under_its_name(world: World) -> None:
    """Where an experiment was open its looks failed for ever, and its tracking issue went on saying that it is at work."""
    renamed: list[str] = []

    def running(_: Request) -> None:
        if not renamed:
            renamed.append("trunk")
            world.hub.residence.rename_default_branch(NAME, "trunk", PERSON)

    world.running = running
    world.settle()
    assert world.outcomes() == {}
    assert "has no branch main; create it, or name another one" in world.tracking()["body"]
    before = world.hub.api_requests(NAME)
    world.settle()
    assert world.hub.api_requests(NAME) == before, "nothing is asked before somebody has changed something"
    rules = config(2).replace("    budget:", "    branch: trunk\n    budget:")
    world.push({".github/pawl.yml": rules}, branch="trunk")
    assert world.settle().outcomes()[1] == "merged"
    assert "has no branch" not in world.tracking()["body"]


def test_an_installation_that_is_suspended_while_it_measures_goes_on_afterwards(world: World) -> None:
    suspended: list[bool] = []

    def running(_: Request) -> None:
        if not suspended:
            suspended.append(True)
            world.hub.installations.suspend(NAME)

    world.running = running
    world.settle()
    before = world.hub.api_requests(NAME)
    world.app.workers.wake_all()
    world.settle()
    assert (world.outcomes(), world.hub.api_requests(NAME)) == ({}, before)
    world.hub.installations.suspend(NAME, suspended=False)
    assert world.settle().outcomes()[1] == "merged"
    world.once()
