"""What webhooks make stale, whoever sends them and whatever is in them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.control.events import ALL, INSTALLATION_EVENTS, LONGEST, Event

OWN = "pawl[bot]"


def _facets(name: str, action: str = "", sender: str = "ann") -> set[str]:
    payload = {"action": action, "repository": {"full_name": "us/loop"}, "sender": {"login": sender}}
    return set(Event.read(name, payload).stale_facets(OWN))


@pytest.mark.parametrize(
    ("name", "action", "sender", "facets"),
    [
        ("push", "", "ann", {"refs", "pulls"}),
        ("push", "", OWN, set()),
        ("create", "", "ann", {"refs"}),
        ("delete", "", "ann", {"refs", "pulls"}),
        ("pull_request", "closed", "ann", {"refs", "pulls"}),
        ("pull_request", "opened", OWN, set()),
        ("pull_request_review", "submitted", "ann", {"pulls"}),
        ("issues", "labeled", "ann", {"tracking"}),
        ("issues", "edited", OWN, set()),
        ("check_run", "completed", "ci[bot]", {"checks"}),
        ("check_run", "completed", OWN, set()),
        ("check_suite", "completed", "ci[bot]", {"checks"}),
        ("status", "", "ann", {"checks"}),
        ("workflow_run", "requested", OWN, set()),
        ("workflow_run", "requested", "ann", set()),
        # GitHub names the App that dispatched a job as its sender, also when the job ends.
        ("workflow_run", "in_progress", OWN, {"jobs"}),
        ("workflow_run", "completed", OWN, {"jobs"}),
        ("workflow_run", "completed", "ann", {"jobs"}),
        ("repository", "renamed", "ann", set(ALL)),
        ("workflow_job", "completed", "ann", set()),
        ("star", "created", "ann", set()),
        ("no_such_event", "", "ann", set()),
        ("", "", "", set()),
    ],
)
def test_each_event_makes_its_facets_stale(name: str, action: str, sender: str, facets: set[str]) -> None:
    assert _facets(name, action, sender) == facets


def test_every_facet_can_be_made_stale_by_some_event() -> None:
    events = ("push", "pull_request", "issues", "issue_comment", "check_run", "status", "workflow_run")
    assert set().union(*(_facets(name, "completed") for name in events)) == set(ALL)


@pytest.mark.parametrize(
    ("name", "action", "run", "began"),
    [
        ("workflow_run", "in_progress", {"id": 7}, 7),
        ("workflow_run", "completed", {"id": 7}, None),
        ("workflow_run", "in_progress", {"id": "7"}, None),
        ("workflow_run", "in_progress", None, None),
        ("workflow_job", "in_progress", {"id": 7}, None),
    ],
)
def test_the_job_that_began_is_known_by_its_workflow_run(
    name: str, action: str, run: Any, began: int | None
) -> None:
    assert Event.read(name, {"action": action, "workflow_run": run}).began == began


@pytest.mark.parametrize("name", ["check_run", "check_suite"])
def test_another_apps_check_of_what_pawl_has_pushed_is_news(name: str) -> None:
    """GitHub names who has pushed the commit as the sender: a keep whose checks had passed waited for the timer."""

    def event(app: str, sender: str = OWN) -> Event:
        said = {"head_sha": "abc", "app": {"slug": app}}
        return Event.read(name, {"action": "completed", "sender": {"login": sender}, name: said})

    assert event("github-actions").stale_facets(OWN) == {"checks"}
    assert event("pawl").stale_facets(OWN) == set()
    assert event("pawl", sender="ann").stale_facets(OWN) == {"checks"}, "she has pressed a button"
    assert event("github-actions").checked == "abc"


@pytest.mark.parametrize(
    ("name", "action", "pull", "merged"),
    [
        ("pull_request", "closed", {"number": 7, "merged": True}, 7),
        ("pull_request", "closed", {"number": 7, "merged": False}, None),
        ("pull_request", "edited", {"number": 7, "merged": True}, None),
        ("pull_request", "closed", {"number": "7", "merged": True}, None),
        ("pull_request", "closed", None, None),
        ("pull_request_review", "closed", {"number": 7, "merged": True}, None),
    ],
)
def test_the_pull_request_that_is_merged_is_known_by_its_number(
    name: str, action: str, pull: Any, merged: int | None
) -> None:
    assert Event.read(name, {"action": action, "pull_request": pull}).merged == merged


def test_before_the_app_knows_its_login_nobody_is_taken_for_it() -> None:
    event = Event.read("push", {"repository": {"full_name": "us/loop"}, "sender": {"login": "ann"}})
    assert event.stale_facets("") == {"refs", "pulls"}


def test_installation_events_are_about_no_repository() -> None:
    for name in INSTALLATION_EVENTS:
        assert not _facets(name, "created")


@pytest.mark.parametrize("wrong", [None, 7, 1.5, True, [], ["x"], {}, {"full_name": 3}, {"login": {}}, "x"])
def test_parts_of_a_wrong_type_say_nothing(wrong: Any) -> None:
    event = Event.read("push", {"action": wrong, "repository": wrong, "sender": wrong})
    assert event.repository == ""
    assert event.sender == ""
    assert event.action in ("", "x")


@pytest.mark.parametrize("text", ["\ud800", "a\x00b", "line\nbreak", "x" * (LONGEST + 1)])
def test_a_text_that_can_be_no_name_says_nothing(text: str) -> None:
    """Half a surrogate pair is valid JSON, and no database takes it: the delivery was answered 500."""
    payload = json.loads(json.dumps({"action": text, "repository": {"full_name": text}}))
    event = Event.read("push", payload)
    assert (event.action, event.repository) == ("", "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
PAYLOAD = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("action", "repository", "sender", "check_run", "pull_request", "sha"), JSON)
)


@given(st.text(max_size=20) | st.sampled_from(["check_run", "status"]), PAYLOAD, st.text(max_size=20))
def test_no_payload_is_too_strange(name: str, payload: dict[str, Any], login: str) -> None:
    event = Event.read(name, payload)
    assert event.stale_facets(login) <= ALL
    assert all(
        isinstance(part, str) for part in (event.action, event.repository, event.sender, event.checked)
    )
