"""`/setup` as a person with a browser lives it, against a GitHub over HTTP: from nothing to an App that answers."""

from __future__ import annotations

import html
import io
import json
import re
import stat
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pawl.commands.register import Registration, SetupServer, reached_at, register, unregistered
from pawl.control.credentials import Credentials, keep_credentials, read_credentials
from pawl.control.errors import SettingsError
from pawl.control.settings import Place, read_settings
from pawl.github.app import App
from pawl.github.manifest import manifest, registration_page, site_of
from pawl.localhub import Hub, HubServer
from pawl.web.setup import STATES, _States


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    github = Hub.open(tmp_path / "github")
    with HubServer(github) as server:
        yield server
    github.close()


class Browser:
    """A person's browser: knows the address that was printed, and presses buttons."""

    def __init__(self, hub: HubServer, home: Path, show: bool = False, public: str = "") -> None:
        self.hub, self.file, self.printed = hub, home / "keep" / "app.json", io.StringIO()
        place = Place("127.0.0.1", 0, hub.api_url, public)
        self.server = SetupServer(Registration(place, self.file, show), self.printed)
        self.server.start()
        self.session = requests.Session()

    @property
    def top(self) -> str:
        return self.server.address.partition("/setup")[0]

    @property
    def token(self) -> str:
        return self.server.address.partition("token=")[2]

    def fill_in(self, **form: str) -> requests.Response:
        given = {"token": self.token, "name": "Pawl of ours", "organisation": "", "webhooks": "", **form}
        return self.session.post(f"{self.top}/setup", data=given, timeout=10)

    def press(self, page: requests.Response) -> requests.Response:
        """The button that leads to GitHub, which sends the browser back."""
        target = html.unescape(re.search(r'action="([^"]+)"', page.text)[1])  # type: ignore[index]
        made = html.unescape(re.search(r'name="manifest" value="([^"]+)"', page.text)[1])  # type: ignore[index]
        return self.session.post(target, data={"manifest": made}, timeout=10)

    def close(self) -> None:
        self.session.close()
        self.server.stop()


@pytest.fixture
def browser(hub: HubServer, tmp_path: Path) -> Iterator[Browser]:
    made = Browser(hub, tmp_path)
    yield made
    made.close()


def test_from_nothing_to_an_app_that_github_knows(browser: Browser) -> None:
    form = browser.session.get(browser.server.address, timeout=10)
    assert form.status_code == 200
    assert "Register Pawl with GitHub" in form.text
    confirm = browser.fill_in(webhooks="https://pawl.example.com/")
    assert "https://pawl.example.com/webhooks" in confirm.text
    done = browser.press(confirm)
    assert done.status_code == 200, done.text
    assert f"{browser.hub.url}/apps/pawl-local/installations/new" in done.text
    assert browser.server.wait(lambda: False)

    kept = read_credentials(browser.file)
    assert kept is not None
    assert stat.S_IMODE(browser.file.stat().st_mode) == 0o600
    assert App(kept.app_id, kept.private_key, browser.hub.api_url).identity.slug == "pawl-local"
    assert browser.hub.hub.app_fact["webhook_url"] == "https://pawl.example.com/webhooks"
    for page in (form, confirm, done):
        assert kept.private_key[40:80] not in page.text
        assert kept.webhook_secret not in page.text
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Referrer-Policy"] == "no-referrer", "the token stands in the address"
    settings = read_settings({"PAWL_CREDENTIALS": str(browser.file), "PAWL_API": browser.hub.api_url})
    assert (settings.app_id, settings.webhook_secret) == (kept.app_id, kept.webhook_secret)
    assert kept.private_key not in repr(kept) + repr(settings)


def test_without_an_address_it_polls(browser: Browser) -> None:
    done = browser.press(browser.fill_in())
    assert done.status_code == 200
    kept = read_credentials(browser.file)
    assert kept is not None
    assert len(kept.webhook_secret) == 64, "nobody can sign a delivery, and the door needs a secret"
    assert browser.hub.hub.app_fact["webhook_url"] is None


def test_who_does_not_have_the_printed_address_registers_nothing(browser: Browser) -> None:
    assert browser.session.get(f"{browser.top}/setup", timeout=10).status_code == 403
    assert browser.fill_in(token="guessed").status_code == 403
    assert browser.session.post(f"{browser.top}/setup", timeout=10).status_code == 403
    for elsewhere in ("/", "/webhooks", "/readyz"):
        answer = browser.session.get(browser.top + elsewhere, timeout=10)
        assert answer.status_code == 503
        assert browser.token not in answer.text


def test_an_answer_that_this_server_did_not_ask_for_is_refused(browser: Browser) -> None:
    """Else a stranger could have the server sign in as an App of theirs."""
    browser.fill_in()
    made = json.dumps({"redirect_url": f"{browser.top}/setup/created"})
    strange = browser.session.post(
        f"{browser.hub.url}/settings/apps/new?state=made-up", data={"manifest": made}, timeout=10
    )
    assert strange.status_code == 403
    assert not browser.file.exists()


def test_a_state_is_good_for_one_answer(browser: Browser) -> None:
    done = browser.press(browser.fill_in())
    again = browser.session.get(done.url, timeout=10)
    assert again.status_code == 403


def test_a_state_grows_old_and_forms_cannot_fill_the_memory() -> None:
    now = [0.0]
    states = _States(lambda: now[0])
    first, second = states.new(), states.new()
    now[0] = 3600.0
    assert states.take(first)
    now[0] = 3600.1
    assert not states.take(second)
    listed = [states.new() for _ in range(STATES + 1)]
    assert not states.take(listed[0])
    assert states.take(listed[-1])


@pytest.mark.parametrize("code", ["", "../../user", "unknown" * 6, "a" * 300])
def test_a_code_that_github_does_not_know_is_told_to_the_person(browser: Browser, code: str) -> None:
    page = browser.fill_in()
    state = re.search(r"state=([\w-]+)", page.text)[1]  # type: ignore[index]
    query = urllib.parse.urlencode({"code": code, "state": state})
    answer = browser.session.get(f"{browser.top}/setup/created?{query}", timeout=30)
    assert answer.status_code == 502
    assert "GitHub did not hand over the credentials" in answer.text
    assert not browser.file.exists()


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"name": ""}, "1 to 34 characters"),
        ({"name": "x" * 35}, "1 to 34 characters"),
        ({"organisation": "our lab/../x"}, "no name of an organisation"),
        ({"webhooks": "javascript:alert(1)"}, "is no address"),
        ({"webhooks": "https://a.example/?x"}, "is no address"),
        ({"webhooks": "<script>"}, "is no address"),
    ],
)
def test_what_cannot_be_is_told_in_the_form(browser: Browser, form: dict[str, str], told: str) -> None:
    answer = browser.fill_in(**form)
    assert answer.status_code == 400
    assert told in html.unescape(answer.text)
    assert "<script>" not in answer.text


def test_a_form_that_is_refused_keeps_what_was_filled_in(browser: Browser) -> None:
    """A wrong organisation once emptied the name beside it."""
    answer = browser.fill_in(
        name="Pawl & Co", organisation="no such/one", webhooks="https://pawl.example.com"
    )
    filled = dict(re.findall(r'name="(name|organisation|webhooks)"[^>]* value="([^"]*)"', answer.text))
    assert {name: html.unescape(value) for name, value in filled.items()} == {
        "name": "Pawl & Co",
        "organisation": "no such/one",
        "webhooks": "https://pawl.example.com",
    }


def test_a_name_is_data(browser: Browser) -> None:
    page = browser.fill_in(name='"><img src=x onerror=x>{{7*7}}')
    assert page.status_code == 200
    assert "<img" not in page.text
    assert "{{7*7}}" in page.text


def test_credentials_can_be_printed_for_a_secret_store(hub: HubServer, tmp_path: Path) -> None:
    browser = Browser(hub, tmp_path, show=True)
    browser.press(browser.fill_in())
    browser.close()
    assert not browser.file.exists()
    printed = dict(line.split("=", 1) for line in browser.printed.getvalue().splitlines() if "=" in line)
    environment = {name: value.strip('"') for name, value in printed.items()} | {"PAWL_API": hub.api_url}
    settings = read_settings(environment)
    assert App(settings.app_id, settings.private_key, hub.api_url).identity.slug == "pawl-local"


def test_credentials_that_cannot_be_kept_are_printed_rather_than_lost(browser: Browser) -> None:
    browser.file.parent.write_text("a file is where the folder should be")
    done = browser.press(browser.fill_in())
    assert done.status_code == 200
    assert "could not be kept" in done.text
    assert "PAWL_PRIVATE_KEY=" in browser.printed.getvalue()


def test_where_credentials_could_not_be_kept_no_app_is_registered(tmp_path: Path, hub: HubServer) -> None:
    """The container's folder was another user's: it offered the form, and told of that when GitHub had made the App."""
    (tmp_path / "data").touch()
    place = Place("127.0.0.1", 0, hub.api_url, "")
    with pytest.raises(SettingsError, match=r"data/pawl-app.json \(PAWL_CREDENTIALS\) could not be written"):
        register(Registration(place, tmp_path / "data" / "pawl-app.json"), lambda: True)
    assert not register(Registration(place, tmp_path / "new" / "pawl-app.json"), lambda: True)


def test_a_kept_file_is_never_overwritten(tmp_path: Path, hub: HubServer) -> None:
    path = tmp_path / "app.json"
    keep_credentials(path, Credentials(1, "key", "secret"))
    with pytest.raises(FileExistsError):
        keep_credentials(path, Credentials(2, "key", "secret"))
    place = Place("127.0.0.1", 0, hub.api_url, "")
    with pytest.raises(SettingsError, match="is there already"):
        register(Registration(place, path), lambda: True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"app_id": "x"}', '{"app_id": 1, "private_key": "k"}'])
def test_a_kept_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "app.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="holds no credentials"):
        read_credentials(path)


def test_a_kept_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "app.json"
    keep_credentials(path, Credentials(1, "key", "secret"))
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="chmod 600"):
        read_credentials(path)


def test_half_of_the_variables_is_a_mistake_and_no_wish_to_register() -> None:
    assert unregistered({}, {})
    assert not unregistered({"PAWL_APP_ID": "1"}, {})
    assert not unregistered({"PAWL_WEBHOOK_SECRET": "s"}, {})
    assert not unregistered({}, {"app_id": 1})


@pytest.mark.parametrize(
    ("api", "site"),
    [
        ("https://api.github.com", "https://github.com"),
        ("https://github.example.com/api/v3", "https://github.example.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com"),
        ("http://127.0.0.1:9000/api/v3", "http://127.0.0.1:9000"),
    ],
)
def test_the_address_for_people(api: str, site: str) -> None:
    assert site_of(api) == site
    assert (
        registration_page(site, "our-lab", "s") == f"{site}/organizations/our-lab/settings/apps/new?state=s"
    )


def test_behind_a_proxy_with_tls_github_sends_the_browser_back_by_https(
    hub: HubServer, tmp_path: Path
) -> None:
    """The server itself is asked by http. A proxy that does not listen there lost the code, and with it the credentials."""
    browser = Browser(hub, tmp_path)
    data = {"token": browser.token, "name": "Ours", "webhooks": "https://pawl.example.com"}
    proxied = {"Host": "pawl.example.com"}
    page = browser.session.post(f"{browser.top}/setup", data=data, headers=proxied, timeout=10)
    made = html.unescape(re.search(r'name="manifest" value="([^"]+)"', page.text)[1])  # type: ignore[index]
    browser.close()
    assert json.loads(made)["redirect_url"] == "https://pawl.example.com/setup/created"


@pytest.mark.parametrize(
    ("here", "known", "reached"),
    [
        ("http://pawl.example.com", ["", "https://pawl.example.com"], "https://pawl.example.com"),
        ("http://127.0.0.1:8080", ["https://pawl.example.com", ""], "http://127.0.0.1:8080"),
        ("http://pawl.example.com", ["https://relay.example.com/x"], "http://pawl.example.com"),
    ],
)
def test_where_the_browser_comes_back_to(here: str, known: list[str], reached: str) -> None:
    assert reached_at(here, known) == reached


def test_the_printed_addresses_can_be_opened(hub: HubServer, tmp_path: Path) -> None:
    """A container listens on 0.0.0.0, and a server elsewhere on a loopback: both were printed as they stand."""
    place = Place("0.0.0.0", 0, hub.api_url, "https://pawl.example.com")
    server = SetupServer(Registration(place, tmp_path / "app.json"))
    server.start()
    server.stop()
    assert re.match(r"http://127\.0\.0\.1:\d+/setup\?token=.", server.address)
    assert server.public.startswith("https://pawl.example.com/setup?token=")


def test_the_manifest_asks_for_little() -> None:
    made = manifest("Pawl", "https://here", ["push"], "https://there")
    assert made["public"] is False
    assert "workflows" not in made["default_permissions"]
    assert "administration" not in made["default_permissions"]
    assert made["hook_attributes"] == {"url": "https://there/webhooks", "active": True}
    assert "hook_attributes" not in manifest("Pawl", "https://here", ["push"])
