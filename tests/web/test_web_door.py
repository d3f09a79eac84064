"""The front door: whoever knocks, the answer has one shape, and nothing comes in without GitHub's signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from pawl.control.database import Arrival, Database
from pawl.control.events import Delivered, Event
from pawl.web import Inside, create_app
from pawl.web.flood import BURST, SMALL, SOURCES, Flood, source_of
from pawl.web.gate import MAX_BODY, Gate, signed

SECRET = "It's a Secret to Everybody"
PUSH = {"repository": {"full_name": "us/loop"}, "sender": {"login": "ann"}}


class Behind:
    """What stands behind the door: the real inbox, and a note of what came in."""

    def __init__(self, database: Database) -> None:
        self.database, self.is_ready = database, True
        self.received: list[tuple[str, str]] = []

    def receive(self, deliveries: Sequence[Delivered]) -> list[bool]:
        self.received += [(each.event, each.guid) for each in deliveries]
        arrivals = []
        for each in deliveries:
            event = Event.read(each.event, each.payload)
            event.stale_facets("pawl[bot]")
            arrivals.append(Arrival(each.guid, each.event, event.action, event.repository))
        return self.database.receive(arrivals, datetime(2026, 1, 1, tzinfo=UTC))

    def app(self, seconds: Callable[[], float]) -> Flask:
        inside = Inside(lambda: self.is_ready, lambda: {"name": "pawl"}, lambda: b"")
        return create_app(Gate(SECRET, self.receive, seconds), inside)


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    database = Database("sqlite://")
    yield Behind(database)
    database.close()


@pytest.fixture(scope="module")
def app(behind: Behind) -> Flask:
    """A door at which nobody knocks twice in an hour."""
    hours = count(step=3600)
    return behind.app(lambda: float(next(hours)))


@pytest.fixture
def client(app: Flask, behind: Behind) -> FlaskClient:
    behind.received.clear()
    behind.is_ready = True
    return app.test_client()


def signature(body: bytes, secret: str = SECRET, kind: str = "sha256") -> str:
    return f"{kind}=" + hmac.new(secret.encode(), body, getattr(hashlib, kind)).hexdigest()


def deliver(
    client: FlaskClient, body: bytes, guid: str = "guid", event: str = "push", **headers: str | None
) -> TestResponse:
    """A delivery; headers given as None are left out."""
    every: dict[str, str | None] = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-Hub-Signature-256": signature(body),
        "Content-Type": "application/json",
    }
    every |= {name.replace("_", "-"): value for name, value in headers.items()}
    sent = {name: value for name, value in every.items() if value is not None}
    return client.post("/webhooks", data=body, headers=sent)


def well_formed(answer: TestResponse) -> str:
    """The one shape of every answer; gives its message."""
    assert answer.status_code < 500 or answer.status_code == 503
    assert answer.mimetype == "application/json"
    data = json.loads(answer.data)
    assert set(data) == {"message"}
    assert "Traceback" not in answer.text
    assert 'File "' not in answer.text
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'"
    assert answer.headers["Cache-Control"] == "no-store"
    return str(data["message"])


def test_githubs_own_example_of_a_signature() -> None:
    """From GitHub's documentation of webhook signatures."""
    known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert signed(SECRET, b"Hello, World!", known)
    assert not signed(SECRET, b"Hello, World?", known)


@pytest.mark.parametrize("secret", ["", None])
def test_without_a_secret_there_is_no_door(behind: Behind, secret: Any) -> None:
    with pytest.raises(ValueError, match="PAWL_WEBHOOK_SECRET"):
        Gate(secret, behind.receive)


def test_a_delivery_is_taken_once(client: FlaskClient, behind: Behind) -> None:
    body = json.dumps(PUSH).encode()
    first, second = (deliver(client, body, "taken-once") for _ in range(2))
    assert (first.status_code, well_formed(first)) == (202, "accepted")
    assert (second.status_code, well_formed(second)) == (202, "seen before")
    assert behind.received == [("push", "taken-once")] * 2


def test_an_unknown_event_is_taken(client: FlaskClient) -> None:
    answer = deliver(client, b"{}", "unknown-event", "no_such_event")
    assert (answer.status_code, well_formed(answer)) == (202, "accepted")


BODY = json.dumps(PUSH).encode()


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "",
        "sha256=",
        "sha256=" + "0" * 64,
        signature(BODY, "another secret"),
        signature(BODY + b" "),
        signature(BODY, kind="sha1"),
        signature(BODY).removeprefix("sha256="),
        signature(BODY).upper(),
        signature(BODY)[:-1],
        "sha256=" + "\u00e9" * 64,
    ],
    ids=["none", "empty", "no digest", "zeros", "other secret", "other body", "sha1", "bare", "upper", "short", "accent"],
)  # fmt: skip
def test_nothing_comes_in_without_githubs_signature(
    client: FlaskClient, behind: Behind, wrong: str | None
) -> None:
    answer = deliver(client, BODY, X_Hub_Signature_256=wrong, X_Hub_Signature=signature(BODY, kind="sha1"))
    assert answer.status_code == 401
    assert "signature" in well_formed(answer)
    assert behind.received == []


class Clock:
    """A clock that stands still."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flooded(behind: Behind, clock: Clock) -> FlaskClient:
    """A door of its own, that remembers nobody's mistakes yet."""
    behind.received.clear()
    return behind.app(clock).test_client()


def forged(client: FlaskClient, source: str = "203.0.113.7") -> TestResponse:
    return client.post(
        "/webhooks",
        data=BODY,
        headers={"X-Hub-Signature-256": "sha256=" + "0" * 64},
        environ_base={"REMOTE_ADDR": source},
    )


def test_a_flood_of_wrong_signatures_is_told_to_wait_and_is_logged_once(
    flooded: FlaskClient, clock: Clock, behind: Behind
) -> None:
    with capture_logs() as logs:
        answers = [forged(flooded) for _ in range(BURST + 30)]
    assert [answer.status_code for answer in answers] == [401] * BURST + [429] * 30
    assert "signature" in well_formed(answers[-1])
    assert answers[-1].headers["Retry-After"] == "1"
    assert [(entry["event"], entry["source"]) for entry in logs] == [
        ("deliveries with a wrong signature", "203.0.113.7")
    ]
    assert forged(flooded, "203.0.113.8").status_code == 401, "another source is not to blame"
    clock.now += 3
    assert [forged(flooded).status_code for _ in range(4)] == [401] * 3 + [429]
    assert behind.received == []


def test_a_genuine_delivery_comes_through_the_flooders_own_proxy(
    flooded: FlaskClient, behind: Behind
) -> None:
    """Small ones by their signature. A large one is not even read then: GitHub is asked for it again."""
    for _ in range(2 * BURST):
        forged(flooded, "127.0.0.1")
    assert deliver(flooded, BODY, "in-a-flood").status_code == 202
    large = json.dumps({**PUSH, "text": "x" * SMALL}).encode()
    refused = deliver(flooded, large, "in-a-flood-too")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
    assert behind.received == [("push", "in-a-flood")]


def test_behind_a_proxy_the_source_is_whom_the_proxy_names(flooded: FlaskClient) -> None:
    def flood(proxy: str, chain: str) -> set[int]:
        return {flooded.post("/webhooks", headers={"X-Forwarded-For": chain},
                environ_base={"REMOTE_ADDR": proxy}).status_code for _ in range(BURST + 1)}  # fmt: skip

    assert flood("127.0.0.1", "198.51.100.1, 203.0.113.7") == {401, 429}
    assert flood("10.0.0.2", "203.0.113.8") == {401, 429}
    assert flood("9.9.9.9", "203.0.113.9") == {401, 429}, "a stranger names whom he likes"
    once = {"203.0.113.7": 429, "198.51.100.1": 401, "203.0.113.9": 401, "no address": 401}
    for chain, status in once.items():
        answer = flooded.post(
            "/webhooks", headers={"X-Forwarded-For": chain}, environ_base={"REMOTE_ADDR": "127.0.0.1"}
        )
        assert answer.status_code == status, chain


def test_all_addresses_of_a_network_of_ipv6_are_one_source(flooded: FlaskClient) -> None:
    answers = [forged(flooded, f"2001:db8::{number:x}").status_code for number in range(1, BURST + 2)]
    assert answers == [401] * BURST + [429]
    assert forged(flooded, "2001:db8:0:1::1").status_code == 401


@pytest.mark.parametrize(
    ("peer", "forwarded", "source"),
    [
        ("::ffff:203.0.113.7", "", "203.0.113.7"),
        ("::ffff:127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "2001:db8::7%" + "x" * 1000, "2001:db8::/64"),
        ("fe80::7%eth0", "", "fe80::/64"),
    ],
)
def test_one_source_has_one_name(peer: str, forwarded: str, source: str) -> None:
    """Whatever is behind a `%` names a link in the sender's own words: a source of its own for every word, and as long
    as he likes. And all of IPv4 written as IPv6 is one network, where one flooder would be everybody."""
    assert source_of(peer, forwarded) == source


def test_sources_are_forgotten_before_they_fill_the_memory() -> None:
    flood = Flood(lambda: 0.0)
    for number in range(2 * SOURCES):
        flood.mistake(str(number))
    assert len(flood._left) == SOURCES


def test_the_signature_comes_before_everything_else(client: FlaskClient) -> None:
    """Who cannot sign learns nothing: not whether headers are missing, and not whether the body could be read."""
    for body in (b"", b"no json", b"[]", b"\xff"):
        answer = deliver(client, body, X_Hub_Signature_256=None, X_GitHub_Event=None, X_GitHub_Delivery=None)
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"X_GitHub_Event": None},
        {"X_GitHub_Delivery": None},
        {"X_GitHub_Event": "", "X_GitHub_Delivery": ""},
        {"X_GitHub_Delivery": "x" * 65},
        {"X_GitHub_Event": "x" * 65},
    ],
)
def test_githubs_headers_are_required(
    client: FlaskClient, behind: Behind, headers: dict[str, str | None]
) -> None:
    answer = deliver(client, BODY, **headers)  # type: ignore[arg-type]
    assert answer.status_code == 400
    assert "X-GitHub-Delivery" in well_formed(answer)
    assert behind.received == []


@pytest.mark.parametrize(
    "body", [b"", b"no json", b"{", b'{"a": }', b"\xff\xfe", b"[" * 100_000, b"9" * 5000, b"payload=%7B%7D"]
)
def test_a_body_that_is_no_json_is_refused(client: FlaskClient, behind: Behind, body: bytes) -> None:
    answer = deliver(client, body)
    assert answer.status_code == 400
    assert "JSON" in well_formed(answer)
    assert behind.received == []


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"', b"true", b"NaN"])
def test_json_that_is_no_object_is_refused(client: FlaskClient, behind: Behind, body: bytes) -> None:
    answer = deliver(client, body)
    assert answer.status_code == 400
    assert well_formed(answer) == "the body is no JSON object"
    assert behind.received == []


def test_a_body_that_is_too_large_is_refused_unread(client: FlaskClient, behind: Behind) -> None:
    answer = deliver(client, b" " * (MAX_BODY + 1))
    assert answer.status_code == 413
    well_formed(answer)
    assert behind.received == []
    assert deliver(client, b"{" + b" " * (MAX_BODY - 2) + b"}", "as-large-as-may-be").status_code == 202


def test_health_and_readiness(client: FlaskClient, behind: Behind) -> None:
    assert well_formed(client.get("/healthz")) == "ok"
    assert well_formed(client.get("/readyz")) == "ready"
    behind.is_ready = False
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "database" in well_formed(answer)
    assert client.get("/healthz").status_code == 200


def test_the_front_page_names_the_process(client: FlaskClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.json == {"name": "pawl"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("POST", "/", 405),
        ("GET", "/webhooks", 405),
        ("DELETE", "/webhooks", 405),
        ("POST", "/webhooks/", 404),
        ("GET", "/../etc/passwd", 404),
        ("GET", "/static/x", 404),
        ("GET", "/%00", 404),
    ],
)
def test_what_is_not_there_is_answered_in_the_same_shape(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    """Flask's own pages are HTML."""
    answer = client.open(path, method=method)
    assert answer.status_code == status
    well_formed(answer)
    if status == 405:
        assert answer.headers["Allow"]


def test_a_fault_inside_is_answered_without_a_traceback(behind: Behind) -> None:
    def broken(deliveries: Sequence[Delivered]) -> list[bool]:
        raise RuntimeError(f"the secret is {SECRET}")

    app = create_app(Gate(SECRET, broken), Inside(lambda: True, dict, bytes))
    answer = deliver(app.test_client(), BODY)
    assert answer.status_code == 500
    assert answer.json == {"message": "internal server error"}
    assert SECRET not in answer.text


def test_a_database_that_takes_nothing_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A full disk was a traceback for every delivery. GitHub is asked for what it could not hand over."""
    database = Database(f"sqlite:///{tmp_path / 'pawl.db'}")
    database._engine.dispose()
    (tmp_path / "pawl.db").write_bytes(b"no database" * 1000)
    for more in ("-wal", "-shm"):
        (tmp_path / f"pawl.db{more}").unlink(missing_ok=True)
    client = Behind(database).app(lambda: 0.0).test_client()
    with capture_logs() as logs:
        answer = deliver(client, BODY)
    assert answer.status_code == 503
    assert "asked for it again" in well_formed(answer)
    assert ["PAWL_DATABASE" in line["why"] and "disk" in line["why"] for line in logs] == [True]
    database.close()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=10,
)
OBJECT = st.fixed_dictionaries({}, optional=dict.fromkeys(("action", "repository", "sender"), ANYTHING))
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(
    body=st.binary(max_size=200) | OBJECT.map(lambda value: json.dumps(value).encode()),
    event=HEADER,
    guid=HEADER,
)
def test_no_signed_body_and_no_header_breaks_it(
    client: FlaskClient, body: bytes, event: str, guid: str
) -> None:
    answer = deliver(client, body, guid, event)
    assert answer.status_code in (202, 400)
    well_formed(answer)


@FUZZ
@given(body=st.binary(max_size=200), header=HEADER)
def test_no_unsigned_body_and_no_signature_breaks_it(client: FlaskClient, body: bytes, header: str) -> None:
    answer = deliver(client, body, X_Hub_Signature_256=header)
    assert answer.status_code == 401
    well_formed(answer)


def test_half_a_surrogate_pair_is_taken(client: FlaskClient) -> None:
    """It is valid JSON; the database used to refuse it, and the answer was 500."""
    body = b'{"action": "\\ud800", "repository": {"full_name": "a/\\udfff"}}'
    assert deliver(client, body, "surrogates").status_code == 202
