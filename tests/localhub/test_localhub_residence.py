"""Repositories are renamed, handed on, archived and opened, with what GitHub then answers and announces."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from pawl.localhub import Hub, HubServer

NAME = "octo/demo"


@pytest.fixture
def token(hub_server: HubServer) -> str:
    hub = hub_server.hub
    hub.create_repository(NAME)
    hub.push_files(NAME, {"a.txt": "a\n"}, "Begin")
    hub.installations.install(NAME)
    hub.set_webhook_url("http://127.0.0.1:1/")
    return hub.create_user("octo")


def ask(server: HubServer, token: str, method: str, path: str, body: Any = None) -> requests.Response:
    return requests.request(
        method,
        server.api_url + path,
        json=body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
        allow_redirects=False,
    )


def events(hub: Hub) -> list[tuple[str, str | None]]:
    return [(item["event"], item["action"]) for item in hub.deliveries if item["event"] != "ping"]


def test_an_old_name_redirects_to_the_repository_by_its_id(
    hub_server: HubServer, token: str, hub_violations: list[str]
) -> None:
    assert hub_server.hub.residence.rename(NAME, "other") == "octo/other"
    moved = ask(hub_server, token, "GET", f"/repos/{NAME}")
    assert moved.status_code == 301
    found = requests.get(
        moved.headers["Location"], headers={"Authorization": f"Bearer {token}"}, timeout=10
    ).json()
    assert found["full_name"] == "octo/other"
    assert ask(hub_server, token, "POST", f"/repos/{NAME}/issues", {"title": "x"}).status_code == 307
    assert events(hub_server.hub)[-1] == ("repository", "renamed")
    hub_violations.clear()  # GitHub's prose has this 307, its description of single operations has not


def test_a_new_repository_takes_an_old_name(hub_server: HubServer, token: str) -> None:
    hub_server.hub.residence.rename(NAME, "other")
    hub_server.hub.create_repository(NAME)
    assert ask(hub_server, token, "GET", f"/repos/{NAME}").json()["full_name"] == NAME


def test_who_gets_a_repository_has_it_without_the_old_owners_installation(
    hub_server: HubServer, token: str
) -> None:
    hub = hub_server.hub
    hub.create_repository("acme/first")
    hub.installations.install("acme/first", everywhere=True)
    assert hub.residence.transfer(NAME, "acme") == "acme/demo"
    assert hub.permission(hub.repository("acme/demo"), "octo") == "none"
    assert ("installation", "deleted") in events(hub), "it was the last repository of that installation"
    assert events(hub)[-2:] == [("installation_repositories", "added"), ("repository", "transferred")]


def test_an_archived_repository_is_read_only(hub_server: HubServer, token: str) -> None:
    hub_server.hub.residence.archive(NAME)
    refused = ask(hub_server, token, "POST", f"/repos/{NAME}/issues", {"title": "x"})
    assert (refused.status_code, refused.json()["message"]) == (
        403,
        "Repository was archived so is read-only.",
    )
    assert ask(hub_server, token, "GET", f"/repos/{NAME}").json()["archived"]
    hub_server.hub.residence.archive(NAME, archived=False)
    assert ask(hub_server, token, "POST", f"/repos/{NAME}/issues", {"title": "x"}).status_code == 201
    actions = [action for event, action in events(hub_server.hub) if event == "repository"]
    assert actions == ["archived", "unarchived"]


def test_a_repository_is_opened_to_everybody(hub_server: HubServer, token: str) -> None:
    hub_server.hub.residence.publish(NAME)
    answer = requests.get(f"{hub_server.api_url}/repos/{NAME}", timeout=10)
    assert (answer.json()["private"], answer.json()["visibility"]) == (False, "public")
    hub_server.hub.residence.publish(NAME, public=False)
    assert requests.get(f"{hub_server.api_url}/repos/{NAME}", timeout=10).status_code == 404


def test_an_installation_everywhere_covers_repositories_to_come(hub_server: HubServer, token: str) -> None:
    hub = hub_server.hub
    hub.create_repository("acme/first")
    hub.create_repository("acme/second")
    hub.installations.install("acme/first", everywhere=True)
    hub.create_repository("acme/third")
    installation = hub.installations.of(hub.repository("acme/third"))
    assert len(installation["repos"]) == 3


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ({"start_line": 2, "end_line": 2, "start_column": 3, "end_column": 3}, 201),
        ({"start_line": 2, "end_line": 4}, 201),
        ({"start_line": 2, "end_line": 4, "start_column": 3}, 422),
        ({"start_line": 4, "end_line": 2}, 422),
    ],
)
def test_where_an_annotation_can_stand(
    hub_server: HubServer, token: str, place: dict[str, int], status: int
) -> None:
    hub = hub_server.hub
    repository = hub.repository(NAME)
    bot = hub.installations.token(hub.installations.of(repository), {"checks": "write"}, None)["key"]
    marked = {"path": "a.txt", "annotation_level": "failure", "message": "no", **place}
    body = {
        "name": "x", "head_sha": hub.store.ref(repository["id"], "refs/heads/main"), "status": "completed",
        "conclusion": "failure", "output": {"title": "t", "summary": "s", "annotations": [marked]},
    }  # fmt: skip
    assert ask(hub_server, bot, "POST", f"/repos/{NAME}/check-runs", body).status_code == status
