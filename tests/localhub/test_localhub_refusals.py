"""What GitHub refuses and the hub once allowed: each found by running the same requests against another emulation of GitHub,
and settled by GitHub's own description or by what people were answered."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from pawl.localhub import HubServer

PERMISSIONS = {"contents": "write", "issues": "write", "pull_requests": "write"}


@dataclass
class Bot:
    """The App with a token that may write contents, and nothing of workflows."""

    address: str
    token: str

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        """Status and answer; of a refusal, its message."""
        answer = requests.request(
            method, f"{self.address}/repos/ada/loop/{path}", json=body, params=query, timeout=10,
            headers={"Authorization": f"Bearer {self.token}"},
        )  # fmt: skip
        data: Any = answer.json() if answer.content else None
        return answer.status_code, data["message"] if answer.status_code >= 400 else data

    def tip(self) -> str:
        """Where the default branch is."""
        return str(self.ask("GET", "git/ref/heads/main")[1]["object"]["sha"])

    def tree(self, *entries: dict[str, Any]) -> tuple[int, Any]:
        """A new tree on top of the default branch's."""
        return self.ask("POST", "git/trees", {"base_tree": self.tip(), "tree": list(entries)})


@pytest.fixture
def bot(hub_server: HubServer) -> Bot:
    hub = hub_server.hub
    hub.create_repository("ada/loop")
    hub.push_files("ada/loop", {"train.py": "x = 1\n"}, "First")
    installation = hub.store.get("installation", hub.installations.install("ada/loop"))
    assert installation is not None
    token = hub.installations.token(installation, PERMISSIONS, None)
    return Bot(hub_server.api_url, token["key"])


@pytest.mark.parametrize(("there", "wanted"), [("pawl", "pawl/ledger"), ("pawl/aim/1", "pawl/aim")])
def test_a_branch_stands_in_the_way_of_those_below_and_above_it(bot: Bot, there: str, wanted: str) -> None:
    """Git keeps refs as files. A branch `pawl` in somebody's repository would block every branch of Pawl's, and GitHub's
    only word on it is this one (googleapis/release-please#1024 fell over it); the hub had both side by side.
    """
    sha = bot.tip()
    assert bot.ask("POST", "git/refs", {"ref": f"refs/heads/{there}", "sha": sha})[0] == 201
    refused = bot.ask("POST", "git/refs", {"ref": f"refs/heads/{wanted}", "sha": sha})
    assert refused == (422, "Reference update failed")
    assert bot.ask("POST", "git/refs", {"ref": f"refs/heads/{there}-2", "sha": sha})[0] == 201


def test_the_default_branch_cannot_be_deleted(bot: Bot, hub_violations: list[str]) -> None:
    assert bot.ask("DELETE", "git/refs/heads/main") == (422, "Cannot delete the default branch")
    assert bot.tip()
    hub_violations.clear()  # GitHub's description leaves out what this refusal says


@pytest.mark.parametrize(
    "name", ["refs/heads/a..b", "refs/heads/a b", "refs/heads/a.lock", "refs/heads/a~1", "refs/x", "main"]
)
def test_a_ref_needs_a_name_that_git_takes(bot: Bot, name: str) -> None:
    status, message = bot.ask("POST", "git/refs", {"ref": name, "sha": bot.tip()})
    assert (status, "well formed" in message) == (422, True)


def test_a_workflow_is_not_written_without_the_permission_for_it(bot: Bot) -> None:
    """`contents: write` is not enough below .github/workflows (GitHub's list of permissions, additional permissions)."""
    path, encoded = ".github/workflows/new.yml", base64.b64encode(b"on: push\n").decode()
    refusal = (403, "Resource not accessible by integration")
    entry = {"path": path, "mode": "100644", "type": "blob", "content": "on: push\n"}
    assert bot.ask("PUT", f"contents/{path}", {"message": "Sneak", "content": encoded}) == refusal
    assert bot.tree(entry) == refusal
    assert bot.tree({**entry, "path": ".github/pawl.yml"})[0] == 201


def test_an_entry_of_a_tree_has_a_mode_of_gits_and_one_content(bot: Bot) -> None:
    blob = bot.ask("POST", "git/blobs", {"content": "x", "encoding": "utf-8"})[1]["sha"]
    entry = {"path": "train.py", "mode": "100644", "type": "blob", "content": "x"}
    assert bot.tree({**entry, "mode": "100600"})[0] == 422
    assert bot.tree({**entry, "sha": blob})[0] == 422
    assert bot.tree(entry)[0] == 201


def test_what_a_new_object_names_must_be_there(bot: Bot) -> None:
    """It answered 404, which Pawl reads as a repository that is not there for it."""
    nowhere, entry = "1" * 40, {"path": "a", "mode": "100644", "type": "blob", "content": "x"}
    made = bot.ask("POST", "git/commits", {"message": "M", "tree": nowhere, "parents": [bot.tip()]})
    assert made == (422, "Tree SHA does not exist")
    assert bot.ask("POST", "git/trees", {"base_tree": nowhere, "tree": [entry]})[0] == 422


@pytest.mark.parametrize("content", ["!!!", "abc", None])
def test_content_must_be_base64(bot: Bot, content: str | None) -> None:
    """Whatever was none of base64's letters was passed over, and an empty file came out."""
    assert bot.ask("PUT", "contents/new.txt", {"message": "M", "content": content})[0] == 422
    assert bot.ask("POST", "git/blobs", {"content": content or "=", "encoding": "base64"})[0] == 422


@pytest.mark.parametrize("path", ["train.py", "new.txt"])
def test_what_a_file_replaces_is_named_or_left_out(bot: Bot, path: str) -> None:
    """`null` passed for nothing. GitHub says these words (QasimWani/LeetHub#493 got them)."""
    body = {"message": "M", "content": "eAo=", "sha": None}
    refusal = (422, "Invalid request.\n\nFor 'properties/sha', nil is not a string.")
    assert bot.ask("PUT", f"contents/{path}", body) == refusal


def test_base64_may_be_broken_into_lines(bot: Bot) -> None:
    blob = bot.ask("POST", "git/blobs", {"content": "aGFs\nbG8K\n", "encoding": "base64"})[1]["sha"]
    assert base64.b64decode(bot.ask("GET", f"git/blobs/{blob}")[1]["content"]) == b"hallo\n"


def test_a_filter_by_head_without_an_owner_filters_nothing(bot: Bot) -> None:
    """GitHub passes over it in silence (PyGithub#1566); a client that relied on the hub's answer would take any pull
    request for its own.
    """
    tree = bot.ask("GET", f"git/commits/{bot.tip()}")[1]["tree"]["sha"]
    body = {"message": "M", "tree": tree, "parents": [bot.tip()]}
    commit = bot.ask("POST", "git/commits", body)[1]["sha"]
    bot.ask("POST", "git/refs", {"ref": "refs/heads/topic", "sha": commit})
    bot.ask("POST", "pulls", {"title": "T", "head": "topic", "base": "main"})
    for head, found in (("ada:topic", 1), ("ada:other", 0), ("other", 1)):
        assert len(bot.ask("GET", "pulls", head=head)[1]) == found, head
