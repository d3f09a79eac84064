"""Credentials and requests: narrow tokens that never show, reads that are repeated, writes that are not."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from github_kit import NAME, World

from pawl.github.app import App, Token
from pawl.github.client import Repository
from pawl.github.errors import Conflict, Forbidden, NotFound, RateLimited, Unprocessable, Unreachable
from pawl.github.grants import PERMISSIONS
from pawl.github.requester import AT_ONCE
from pawl.localhub import HubServer


@pytest.fixture
def repository(world: World) -> Repository:
    return world.app.repository(NAME)


def test_the_token_reaches_one_repository_and_only_what_pawl_needs(world: World) -> None:
    hub = world.server.hub
    hub.create_repository("octo/other")
    hub.installations.install("octo/other")
    with pytest.raises(NotFound):
        Repository(world.view.client._connection, "octo/other", world.app).get()
    (token,) = [item for item in hub.store.all("token") if item["type"] == "installation"]
    assert token["repos"] == [hub.repository(NAME)["id"]]
    assert token["permissions"] == PERMISSIONS


def test_one_token_serves_until_it_nears_its_end(world: World) -> None:
    repository = world.app.repository(NAME)
    for _ in range(3):
        repository.get()
    mints = [entry for entry in world.server.hub.request_log if entry.template.endswith("access_tokens")]
    assert len(mints) == 1


def test_secrets_show_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    key = world.server.hub.app.private_key_pem
    with caplog.at_level(logging.DEBUG):
        world.app.repository(NAME).get()
    tokens = [item["key"] for item in world.server.hub.store.all("token")]
    assert tokens
    shown = caplog.text + repr(world.app) + repr(world.view.client) + repr(Token("ghs_secret"))
    for secret in (*tokens, key.splitlines()[1], "ghs_secret"):
        assert secret not in shown


def test_a_key_that_is_none_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="whole PEM file"):
        App(1, "-----BEGIN RSA PRIVATE KEY-----\nnonsense\n-----END RSA PRIVATE KEY-----")


def test_the_app_knows_who_it_is_and_where_it_is_installed(world: World) -> None:
    assert world.app.identity.login == "pawl-local[bot]"
    (installation,) = world.app.installations()
    assert (installation.account, installation.suspended) == ("octo", False)
    assert [name for name, _ in world.app.repositories(installation.id)] == [NAME]
    with pytest.raises(NotFound, match="installed"):
        world.app.repository("octo/nowhere")


def test_deliveries_are_listed_newest_first(world: World) -> None:
    hub = world.server.hub
    hub.set_webhook_url(world.server.url + "/nobody")
    hub.wait_idle()
    hub.push_files(NAME, {"a": "b"}, "Change")
    assert hub.wait_idle()
    deliveries = list(world.app.deliveries())
    assert [delivery.event for delivery in deliveries] == ["push", "ping"]
    assert deliveries[0].guid
    assert deliveries[0].status_code >= 400


def test_a_read_is_repeated(repository: Repository, hub_server: HubServer) -> None:
    hub_server.hub.faults.fail_before("GET", r"/labels$", status=502, times=2)
    assert repository.get("labels") == []


def test_a_read_is_not_repeated_for_ever(repository: Repository, hub_server: HubServer) -> None:
    hub_server.hub.faults.fail_before("GET", r"/labels$", status=503, times=10)
    with pytest.raises(Unreachable) as caught:
        repository.get("labels")
    assert caught.value.status == 503
    hub_server.hub.faults.clear()


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_write_is_never_repeated(repository: Repository, hub_server: HubServer, status: int) -> None:
    """A POST that is answered 500 may have had its effect; sending it again would double the comment."""
    issue = repository.post("issues", {"title": "Here"})["number"]
    hub_server.hub.faults.fail_after("POST", r"/comments$", status=status)
    with pytest.raises(Unreachable):
        repository.post(f"issues/{issue}/comments", {"body": "once"})
    assert len(repository.get(f"issues/{issue}/comments")) == 1


def test_refusals_have_a_class_and_githubs_own_words(repository: Repository, world: World) -> None:
    with pytest.raises(NotFound):
        repository.get("issues/999")
    tip = world.tip("main")
    with pytest.raises(Unprocessable) as caught:
        repository.post("git/refs", {"ref": "refs/heads/main", "sha": tip})
    assert caught.value.already_exists
    assert "POST /repos/octo/demo/git/refs: GitHub answered 422" in str(caught.value)
    world.worker.server.hub.installations.suspend(NAME)
    with pytest.raises(Forbidden, match="suspended"):
        repository.get()


def test_lists_are_read_page_by_page(repository: Repository) -> None:
    for number in range(7):
        repository.post("labels", {"name": f"label {number}", "color": "ffffff"})
    assert len(list(repository.pages("labels", per_page=3))) == 7
    assert next(iter(repository.pages("labels", per_page=3)))["name"] == "label 0"


def test_a_spent_limit_says_when_to_come_back(world: World) -> None:
    repository = world.app.repository(NAME)
    repository.get()
    world.server.hub.rate_limit = 1
    with pytest.raises(RateLimited) as caught:
        repository.post("issues", {"title": "No"})
    assert caught.value.retry_at > 0


ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/repos/o/r/text": (200, {}, b"hello"),
    "/repos/o/r/broken": (200, {}, b'{"half'),
    "/repos/o/r/empty": (204, {}, b""),
    "/repos/o/r/conflict": (409, {}, b'{"message": "moved"}'),
    "/repos/o/r/soon": (429, {"Retry-After": "3600"}, b'{"message": "slow down"}'),
    "/repos/o/r/secondary": (
        403,
        {"Retry-After": "60"},
        b'{"message": "You have exceeded a secondary rate limit"}',
    ),
    "/repos/o/r/elsewhere": (301, {"Location": "http://example.invalid/x"}, b""),
    "/repos/o/r/proxy": (502, {}, b"<html>Bad Gateway</html>"),
    "/repos/o/r/zip": (302, {"Location": "/big"}, b""),
}


@pytest.fixture
def odd() -> Iterator[tuple[Repository, list[dict[str, str]]]]:
    """A server with answers that a proxy or an outage gives, and the headers it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(dict(self.headers))
            if self.path == "/big":
                self._answer(200, {}, b"x" * 5000)
                return
            status, headers, body = ANSWERS[self.path]
            target = headers.get("Location", "")
            if target.startswith("/"):
                headers = {"Location": f"http://{self.headers['Host']}{target}"}
            self._answer(status, headers, body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.do_GET()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    token = Token("ghs_secret", api=f"http://127.0.0.1:{server.server_port}", pace=AT_ONCE)
    yield token.repository("o/r"), seen
    server.shutdown()
    server.server_close()
    thread.join()


Odd = tuple[Repository, list[dict[str, str]]]


def test_answers_without_json(odd: Odd) -> None:
    repository, _ = odd
    assert repository.get("text")["data"] == "hello"
    assert repository.post("empty") is None
    with pytest.raises(Unreachable):
        repository.get("broken")
    with pytest.raises(Unreachable) as caught:
        repository.post("proxy")
    assert caught.value.status == 502
    with pytest.raises(Conflict, match="moved"):
        repository.get("conflict")


@pytest.mark.parametrize("path", ["soon", "secondary"])
def test_a_long_wait_is_the_callers_to_plan(odd: Odd, path: str) -> None:
    """No thread sleeps an hour: the answer says when to come back."""
    repository, seen = odd
    for ask in (repository.get, repository.post):
        with pytest.raises(RateLimited):
            ask(path)
    assert len(seen) == 2


def test_a_redirect_to_another_host_is_not_followed(odd: Odd) -> None:
    with pytest.raises(Unreachable):
        odd[0].get("elsewhere")


def test_downloads_are_fetched_without_the_token_and_up_to_a_limit(odd: Odd) -> None:
    repository, seen = odd
    assert repository.download("zip", 5000) == b"x" * 5000
    assert ["Authorization" in headers for headers in seen] == [True, False]
    with pytest.raises(Unreachable, match="larger than 4,999"):
        repository.download("zip", 4999)
    with pytest.raises(Unreachable, match="no place"):
        repository.download("text", 10)


def test_no_server_is_an_error_of_ours() -> None:
    gone = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    port = gone.server_port
    gone.server_close()
    repository = Token("t", api=f"http://127.0.0.1:{port}", pace=AT_ONCE).repository("o/r")
    with pytest.raises(Unreachable, match="no usable answer"):
        repository.get("text")
