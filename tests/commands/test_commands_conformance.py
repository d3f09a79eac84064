from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pawl.commands.assumptions import ASSUMPTIONS, page
from pawl.commands.conformance import ConformanceError, run_conformance
from pawl.commands.probing import redacted
from pawl.localhub import Hub, HubServer
from pawl.messages.scaffold import workflow

ROOT = Path(__file__).parents[2]
NAME = "octo/demo"


@pytest.fixture
def environment(hub: Hub, tmp_path: Path) -> dict[str, str]:
    """A repository with the App installed, a job that left an artifact, and a webhook that was sent twice."""
    key = tmp_path / "app.pem"
    key.write_text(hub.app.private_key_pem)
    hub.create_repository(NAME)
    hub.push_files(NAME, {"README.md": "Hello\n", ".github/workflows/pawl.yml": workflow()}, "Begin")
    hub.installations.install(NAME)
    return {
        "PAWL_APP_ID": str(hub.app.id),
        "PAWL_PRIVATE_KEY_FILE": str(key),
        "PAWL_API": hub.api_url,
        "PAWL_SECONDS_BETWEEN_WRITES": "0",
    }


@pytest.fixture(autouse=True)
def _undescribed(hub_server: HubServer, hub_violations: list[str]) -> Iterator[None]:
    """Two answers that probes provoke are described too narrowly: a refused deletion has a body, and a label that was
    made by being used has no description."""
    yield
    known = re.compile(r"DELETE .*/git/refs/.*: 422 has no body|/labels/0/description: None is not of type")
    hub_violations[:] = [text for text in hub_violations if not known.search(text)]


def transcript(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def results(path: Path) -> dict[str, str]:
    return {item["id"]: item["result"] for item in transcript(path)["assumptions"]}


def only(patch: pytest.MonkeyPatch, *ids: str) -> None:
    """Try these assumptions alone."""
    chosen = tuple(item for item in ASSUMPTIONS if item.id in ids)
    patch.setattr("pawl.commands.conformance.ASSUMPTIONS", chosen)


def begun(hub: Hub, title: str) -> int:
    """A job that has uploaded its record, and goes on."""
    repo = hub.repository(NAME)
    (found,) = hub.actions.workflows(repo)
    hub.service.register_runner("bench", ["self-hosted"])
    hub.actions.dispatch(repo, found, "octo", "main", {"title": title, "request": "{}"})
    job = hub.service.acquire_job("bench")
    assert job is not None
    hub.service.start_job(job["job_id"])
    hub.artifacts.upload(job["job_id"], "pawl-record", {"record.json": b"{}"})
    return int(job["job_id"])


def leave_an_artifact(hub: Hub) -> None:
    hub.service.complete_job(begun(hub, "an earlier job"), "success")


def test_the_local_github_holds_every_assumption(
    hub: Hub, hub_server: HubServer, environment: dict[str, str], tmp_path: Path
) -> None:
    leave_an_artifact(hub)
    begun(hub, "a job that goes on")
    out = tmp_path / "conformance.json"
    assert run_conformance(environment, NAME, out, None) == 0
    found = results(out)
    assert list(found) == [item.id for item in ASSUMPTIONS]
    assert "failed" not in found.values(), [
        item for item in transcript(out)["assumptions"] if item["result"] == "failed"
    ]
    assert {name for name, result in found.items() if result == "skipped"} == {
        "commits-verified",  # the local GitHub signs nothing
        "skip-ci",  # and runs dispatched workflows alone
        "redelivery-id",  # nobody has pressed the button; see the next test
    }


def test_a_redelivery_is_recognised_by_its_id(hub: Hub, environment: dict[str, str], tmp_path: Path) -> None:
    repo = hub.repository(NAME)
    for number, again in enumerate((False, True), start=1):
        hub.store.add(
            "delivery",
            {"guid": "one", "delivered_at": hub.now(), "redelivery": again, "duration": 0.1, "status": "OK",
             "status_code": 202, "event": "push", "action": None, "installation_id": number, "repository_id": repo["id"],
             "throttled_at": None, "url": ""},
            key="done",
        )  # fmt: skip
    out = tmp_path / "conformance.json"
    run_conformance(environment, NAME, out, None)
    assert results(out)["redelivery-id"] == "held"


def test_nothing_but_closed_pull_requests_is_left(
    hub: Hub, environment: dict[str, str], tmp_path: Path
) -> None:
    repo = hub.repository(NAME)
    before = hub.store.refs(repo["id"])
    run_conformance(environment, NAME, tmp_path / "conformance.json", None)
    assert hub.store.refs(repo["id"]) == before
    issues = hub.store.all("issue", repo["id"])
    assert {issue["state"] for issue in issues} == {"closed"}
    assert all(issue["pull"] for issue in issues)
    assert not hub.store.all("label", repo["id"])
    assert {run["status"] for run in hub.store.all("run", repo["id"])} == {"completed"}


def test_a_github_that_behaves_otherwise_fails_and_is_left_clean(
    hub: Hub, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if unforced moves were let through: the merge of a keep would no longer be atomic."""
    only(monkeypatch, "ref-exists", "ref-unforced")
    repo = hub.repository(NAME)
    before = hub.store.refs(repo["id"])
    update = hub.refs.update
    monkeypatch.setattr(hub.refs, "update", lambda *words, **more: update(*words, **{**more, "force": True}))
    out = tmp_path / "conformance.json"
    assert run_conformance(environment, NAME, out, None) == 1
    found = {item["id"]: item for item in transcript(out)["assumptions"]}
    assert found["ref-unforced"]["result"] == "failed"
    assert "was not refused" in found["ref-unforced"]["detail"]
    assert found["ref-exists"]["result"] == "held"
    assert hub.store.refs(repo["id"]) == before


def test_a_group_without_a_queue_drops_jobs_and_that_is_seen(
    hub: Hub, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a server that does not know `queue: max`: the third job takes the place of the second one, which waits."""
    only(monkeypatch, "queue-max", "artifacts-early")
    out = tmp_path / "conformance.json"
    monkeypatch.setattr(
        "pawl.localhub.actions.concurrency", lambda job, inputs: {"group": "one", "all_wait": False}
    )
    assert run_conformance(environment, NAME, out, None) == 1
    assert results(out) == {"queue-max": "failed", "artifacts-early": "skipped"}
    assert "2 of 4 jobs were cancelled" in out.read_text()
    hub.push_files(NAME, {".github/workflows/pawl.yml": workflow().replace("queue: max", "")}, "No queue")
    assert run_conformance(environment, NAME, out, None) == 0
    assert results(out)["queue-max"] == "skipped"


def test_a_plain_token_skips_what_needs_the_app(
    hub: Hub, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ("forbidden-403", "check-kept", "checks-all", "narrow-token", "redelivery-id")
    only(monkeypatch, *ids)
    out = tmp_path / "conformance.json"
    told = {"GITHUB_TOKEN": hub.create_user("octo"), "PAWL_API": environment["PAWL_API"]}
    assert run_conformance(told, NAME, out, None) == 0
    assert results(out) == dict.fromkeys(ids, "skipped")


def test_the_transcript_holds_no_secret(
    hub: Hub, environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, "artifact-elsewhere", "narrow-token", "check-kept")
    leave_an_artifact(hub)
    out = tmp_path / "conformance.json"
    run_conformance(environment, NAME, out, None)
    text = out.read_text()
    for token in hub.store.all("token"):
        assert token["key"] not in text
    assert "PRIVATE KEY" not in text
    assert hub.app.webhook_secret not in text


def test_secrets_are_taken_out_wherever_they_stand() -> None:
    value = {
        "token": "whatever it looks like",
        "message": "Bearer ghs_16C7e42F292c6912E7710c838347Ae178B4a refused",
        "deep": [{"url": "https://blob.example/a.zip?sig=abcdef"}],
        "token_permissions": {"contents": "read"},
    }
    assert redacted(value) == {
        "token": "(removed)",
        "message": "Bearer (removed) refused",
        "deep": [{"url": "https://blob.example/a.zip?(removed)"}],
        "token_permissions": {"contents": "read"},
    }


@pytest.mark.parametrize(
    ("change", "name", "said"),
    [
        ({"PAWL_APP_ID": ""}, NAME, "sign in"),
        ({}, "no repository", "OWNER/NAME"),
        ({}, "octo/empty", "first commit"),
        ({}, "octo/nowhere", "must exist"),
    ],
)
def test_what_keeps_it_from_beginning_is_said(
    hub: Hub, environment: dict[str, str], tmp_path: Path, change: dict[str, str], name: str, said: str
) -> None:
    hub.create_repository("octo/empty")
    hub.installations.install("octo/empty")
    with pytest.raises(ConformanceError, match=said):
        run_conformance({**environment, **change}, name, tmp_path / "conformance.json", None)


def test_the_page_is_made_from_the_data() -> None:
    written = (ROOT / "docs" / "github-assumptions.md").read_text(encoding="utf-8")
    assert written == page(), "python -m pawl.commands.assumptions > docs/github-assumptions.md"


def test_every_assumption_has_an_id_of_its_own_and_names_a_module_that_is_there() -> None:
    assert len({item.id for item in ASSUMPTIONS}) == len(ASSUMPTIONS)
    for item in ASSUMPTIONS:
        modules = [word for word in item.why.split("`") if word.endswith(".py")]
        assert modules, item.id
        assert all((ROOT / "app" / "pawl" / module).is_file() for module in modules), item.id
