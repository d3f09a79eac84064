"""The offer of Pawl to a repository: once, from what is found, true to what people make of it, and gone after a no."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.config_file import parse_config
from pawl.github.app import App
from pawl.github.errors import GitHubError, Moved, Unreachable
from pawl.github.onboarding import Onboarding
from pawl.github.requester import AT_ONCE
from pawl.github.view import RepositoryView
from pawl.localhub import HubServer
from pawl.messages.onboarding import TITLE
from pawl.messages.scaffold import workflow

NAME, BRANCH, PERSON = "octo/fresh", "pawl/onboarding", "ann"
SCRIPT = 'print(f"val_loss: {loss:.4f}")\n'


@dataclass
class Fresh:
    """A repository that Pawl was just installed on."""

    server: HubServer
    files: dict[str, str] = field(default_factory=lambda: {"train.py": SCRIPT})
    fork: bool = False
    chosen: bool = True

    def __post_init__(self) -> None:
        hub = self.server.hub
        hub.create_repository(NAME, fork=self.fork)
        if self.files:
            hub.push_files(NAME, self.files, "Begin")
        hub.create_user(PERSON)
        hub.add_collaborator(NAME, PERSON, "write")
        hub.installations.install(NAME)
        self.app = App(hub.app.id, hub.app.private_key_pem, self.server.api_url, AT_ONCE)
        self.restart()

    def restart(self) -> None:
        self.view = RepositoryView(self.app.repository(NAME))
        self.onboarding = Onboarding(self.view, self.chosen)

    def look(self) -> bool:
        """As after a restart: everything is read again."""
        self.restart()
        return self.onboarding.look()

    def pulls(self) -> list[dict[str, Any]]:
        hub = self.server.hub
        return [item for item in hub.store.all("issue", hub.repository(NAME)["id"]) if item["pull"]]

    @property
    def pull(self) -> dict[str, Any]:
        (found,) = self.pulls()
        return found

    def close(self, merge: bool = False) -> None:
        hub = self.server.hub
        repository = hub.repository(NAME)
        if merge:
            hub.pulls.merge(repository, self.pull, PERSON, {})
        else:
            hub.pulls.set_state(repository, self.pull, "closed", PERSON)

    def file(self, path: str, branch: str = BRANCH) -> str | None:
        hub = self.server.hub
        repository = hub.repository(NAME)
        git, tip = hub.git(repository), hub.store.ref(repository["id"], f"refs/heads/{branch}")
        entry = git.entry(tip, path) if tip else None
        return git.blob(entry.sha).decode() if entry else None

    def comments(self) -> list[str]:
        hub = self.server.hub
        found = hub.store.all("comment", hub.repository(NAME)["id"], self.pull["number"])
        return [item["body"] for item in found]

    def requests(self) -> int:
        return self.server.hub.api_requests(NAME)


@pytest.fixture
def fresh(hub_server: HubServer) -> Fresh:
    return Fresh(hub_server)


def test_one_pull_request_with_configuration_and_program(fresh: Fresh) -> None:
    assert fresh.look()
    assert (fresh.pull["title"], fresh.pull["pull"]["head_ref"]) == (TITLE, BRANCH)
    assert parse_config(fresh.file(CONFIG_PATH) or "").loops["train"].edit == "train.py"
    assert fresh.file("program.md")
    assert fresh.file(WORKFLOW_PATH) is None, "the App may not write workflows"
    assert "new/pawl/onboarding?filename=.github%2Fworkflows%2Fpawl.yml&value=" in fresh.pull["body"]
    assert not fresh.look()
    assert len(fresh.pulls()) == 1


@pytest.mark.parametrize("place", ["git/trees$", "git/commits$", "git/refs$", "/pulls$"])
@pytest.mark.parametrize("kind", ["before", "after"])
def test_a_crash_anywhere_leaves_one_offer(fresh: Fresh, place: str, kind: str) -> None:
    """Wherever GitHub stops answering, the next look finds what is there and makes only the rest."""
    faults = fresh.server.hub.faults
    (faults.fail_before if kind == "before" else faults.fail_after)("POST", place)
    with pytest.raises(Unreachable):
        fresh.look()
    fresh.look()
    assert not fresh.look()
    assert len(fresh.pulls()) == 1
    assert fresh.file(CONFIG_PATH)


def test_two_processes_open_one(fresh: Fresh) -> None:
    first, second = (Onboarding(RepositoryView(fresh.app.repository(NAME)), True) for _ in range(2))
    second._view.pulls.invitation()
    second._view.refs.own()
    first.look()
    with pytest.raises(Moved):
        second.look()
    assert len(fresh.pulls()) == 1


def test_what_people_make_of_the_file_is_respected_and_checked_again(fresh: Fresh) -> None:
    fresh.look()
    theirs = (fresh.file(CONFIG_PATH) or "").replace("train.py", "gone.py", 1)
    fresh.server.hub.push_files(NAME, {CONFIG_PATH: theirs}, "Mine", branch=BRANCH, login=PERSON)
    assert fresh.look()
    assert "the editable file gone.py is not in the repository" in fresh.pull["body"]
    assert fresh.file(CONFIG_PATH) == theirs
    assert not fresh.look()


def test_the_workflow_that_the_link_adds_is_seen(fresh: Fresh) -> None:
    fresh.look()
    fresh.server.hub.push_files(NAME, {WORKFLOW_PATH: workflow()}, "Add", branch=BRANCH, login=PERSON)
    assert fresh.look()
    assert "The measuring workflow `.github/workflows/pawl.yml` is here" in fresh.pull["body"]


def test_closing_means_no_for_good_and_is_answered_once(fresh: Fresh) -> None:
    fresh.look()
    fresh.close()
    assert fresh.look()
    assert not fresh.look()
    (said,) = fresh.comments()
    assert "will not ask again" in said
    assert len(fresh.pulls()) == 1


def test_a_deleted_branch_after_a_no_brings_no_second_offer(fresh: Fresh) -> None:
    fresh.look()
    hub = fresh.server.hub
    with hub.store.transaction():
        hub.refs.update(hub.repository(NAME), f"refs/heads/{BRANCH}", None, PERSON)
    fresh.look()
    assert not fresh.look()
    assert len(fresh.pulls()) == 1


def test_a_no_is_found_however_long_ago_it_was(fresh: Fresh) -> None:
    """It is asked for by its branch: among the pull requests that changed last it would be out of sight some day."""
    fresh.look()
    fresh.close()
    hub = fresh.server.hub
    for number in range(110):
        hub.push_files(NAME, {f"{number}.txt": ""}, "More", branch=f"more/{number}", login=PERSON)
        hub.pulls.create(
            hub.repository(NAME), PERSON, {"title": "More", "head": f"more/{number}", "base": "main"}
        )
    fresh.look()
    assert not fresh.look()
    offers = [item for item in fresh.pulls() if item["pull"]["head_ref"] == BRANCH]
    assert len(offers) == 1


def test_reopening_is_a_yes_to_being_asked(fresh: Fresh) -> None:
    fresh.look()
    fresh.close()
    fresh.look()
    hub = fresh.server.hub
    hub.pulls.set_state(hub.repository(NAME), fresh.pull, "open", PERSON)
    theirs = (fresh.file(CONFIG_PATH) or "").replace("5m", "9m", 1)
    hub.push_files(NAME, {CONFIG_PATH: theirs}, "Mine", branch=BRANCH, login=PERSON)
    assert fresh.look()
    assert "9m, and 11m at the very most" in fresh.pull["body"]


def test_a_merged_offer_is_over_and_its_branch_goes(fresh: Fresh) -> None:
    fresh.look()
    fresh.close(merge=True)
    fresh.restart()
    assert fresh.view.config() is not None
    assert fresh.onboarding.tidy()
    assert fresh.file(CONFIG_PATH, BRANCH) is None
    fresh.restart()
    assert not fresh.onboarding.tidy()
    assert not fresh.onboarding.look()


@pytest.mark.parametrize("how", [{"fork": True}, {"files": {}}])
def test_forks_and_empty_repositories_get_none(hub_server: HubServer, how: dict[str, Any]) -> None:
    fresh = Fresh(hub_server, **how)
    assert not fresh.look()
    assert fresh.pulls() == []


def test_an_archived_repository_gets_none(fresh: Fresh) -> None:
    fresh.server.hub.residence.archive(NAME)
    assert not fresh.look()
    assert fresh.pulls() == []


@pytest.mark.parametrize(("files", "offers"), [({"README.md": "Hello\n"}, 0), ({"train.py": SCRIPT}, 1)])
def test_where_nobody_picked_the_repository_only_a_known_layout_gets_one(
    hub_server: HubServer, files: dict[str, str], offers: int
) -> None:
    """The App on everything an account has is no reason for a pull request in every one of them."""
    fresh = Fresh(hub_server, files=files, chosen=False)
    fresh.look()
    assert len(fresh.pulls()) == offers


def test_a_program_that_is_there_is_kept(hub_server: HubServer) -> None:
    fresh = Fresh(hub_server, files={"prepare.py": "", "train.py": "val_bpb", "program.md": "# Mine\n"})
    fresh.look()
    assert fresh.file("program.md") == "# Mine\n"


def test_a_branch_in_the_way_is_named(fresh: Fresh) -> None:
    fresh.server.hub.push_files(NAME, {"x": ""}, "In the way", branch="pawl", login=PERSON)
    with pytest.raises(Exception, match="a branch named pawl is in its way"):
        fresh.look()


def test_a_branch_that_somebody_emptied_offers_nothing(fresh: Fresh) -> None:
    hub = fresh.server.hub
    repository = hub.repository(NAME)
    with hub.store.transaction():
        hub.refs.update(
            repository, f"refs/heads/{BRANCH}", hub.store.ref(repository["id"], "refs/heads/main"), PERSON
        )
    assert not fresh.look()
    assert fresh.pulls() == []


def test_a_look_at_rest_costs_no_request(fresh: Fresh) -> None:
    fresh.look()
    fresh.onboarding.look()
    before = fresh.requests()
    assert not fresh.onboarding.look()
    assert fresh.requests() == before


def test_refusals_are_told_as_githubs(fresh: Fresh) -> None:
    fresh.server.hub.faults.fail_before("POST", "/pulls$", status=422)
    with pytest.raises(GitHubError):
        fresh.look()
    fresh.look()
    assert len(fresh.pulls()) == 1
