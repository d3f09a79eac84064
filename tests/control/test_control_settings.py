"""Settings from the environment: what is wrong is named, and no secret shows."""

from __future__ import annotations

import io
import json
import logging
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pawl.commands import serve as serving
from pawl.commands.claim import claimed
from pawl.commands.logs import log_as_json
from pawl.control.errors import SettingsError
from pawl.control.settings import Settings, read_settings

KEY = "-----BEGIN RSA PRIVATE KEY-----\nSECRETKEY\n-----END RSA PRIVATE KEY-----\n"
ENVIRONMENT = {"PAWL_APP_ID": "7", "PAWL_PRIVATE_KEY": KEY, "PAWL_WEBHOOK_SECRET": "hush"}


def test_three_variables_are_enough() -> None:
    settings = read_settings(ENVIRONMENT)
    assert (settings.app_id, settings.private_key, settings.webhook_secret) == (7, KEY, "hush")
    assert settings.api == "https://api.github.com"
    assert settings.host == "127.0.0.1"


def test_values_given_by_name_win() -> None:
    environment = {**ENVIRONMENT, "PAWL_PORT": "1", "PAWL_API": "https://one.example"}
    settings = read_settings(environment, port=2, api=None, app_id=9)
    assert (settings.port, settings.api, settings.app_id) == (2, "https://one.example", 9)


def test_the_key_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(KEY)
    assert read_settings({**ENVIRONMENT, "PAWL_PRIVATE_KEY_FILE": str(path)}).private_key == KEY
    assert read_settings(ENVIRONMENT, private_key_file=path).private_key == KEY


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    settings = read_settings({**ENVIRONMENT, "PAWL_API": "", "PAWL_PORT": "", "PAWL_DATABASE": ""})
    assert (settings.api, settings.port) == ("https://api.github.com", 8080)
    assert settings.database.startswith("sqlite")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PAWL_APP_ID": None}, "PAWL_APP_ID is not set"),
        ({"PAWL_APP_ID": ""}, "PAWL_APP_ID is not set"),
        ({"PAWL_APP_ID": "pawl"}, "PAWL_APP_ID must be a number, not 'pawl'"),
        ({"PAWL_APP_ID": "0"}, "PAWL_APP_ID must be between 1"),
        ({"PAWL_WEBHOOK_SECRET": None}, "PAWL_WEBHOOK_SECRET is not set"),
        ({"PAWL_WEBHOOK_SECRET": ""}, "PAWL_WEBHOOK_SECRET is not set"),
        ({"PAWL_PRIVATE_KEY": None}, "PAWL_PRIVATE_KEY_FILE"),
        ({"PAWL_PRIVATE_KEY": "hush"}, "PAWL_PRIVATE_KEY_FILE"),
        ({"PAWL_PRIVATE_KEY_FILE": "/no/such/file"}, "cannot be read from /no/such/file"),
        ({"PAWL_PORT": "http"}, "PAWL_PORT must be a number"),
        ({"PAWL_PORT": "70000"}, "PAWL_PORT must be between 0 and 65535"),
        ({"PAWL_PORT": "-1"}, "PAWL_PORT must be between"),
        (
            {"PAWL_DATABASE": "/var/lib/pawl.db"},
            "PAWL_DATABASE must be an SQLAlchemy address like sqlite:////",
        ),
        ({"PAWL_SERVER": "apache"}, "PAWL_SERVER must be one of waitress, granian, not 'apache'"),
        ({"PAWL_TIMER": "soon"}, "PAWL_TIMER must be a number"),
        ({"PAWL_TIMER": "0"}, "PAWL_TIMER must be between 1"),
        ({"PAWL_TIMER": "nan"}, "PAWL_TIMER must be between"),
        ({"PAWL_TIMER": "inf"}, "PAWL_TIMER must be between"),
        ({"PAWL_SECONDS_BETWEEN_WRITES": "-1"}, "PAWL_SECONDS_BETWEEN_WRITES must be between 0"),
    ],
)
def test_each_wrong_variable_is_named(changes: dict[str, str | None], words: str) -> None:
    environment = {name: value for name, value in {**ENVIRONMENT, **changes}.items() if value is not None}
    with pytest.raises(SettingsError) as caught:
        read_settings(environment)
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "SECRETKEY" not in str(caught.value)


def test_a_key_file_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"key\.pem"):
        read_settings(ENVIRONMENT, private_key_file=path)


def test_no_secret_shows() -> None:
    settings = read_settings(ENVIRONMENT)
    assert "hush" not in repr(settings)
    assert "SECRETKEY" not in repr(settings)
    assert settings.seed_key.hex() not in repr(settings)


def test_seeds_hang_on_the_key_alone() -> None:
    """So that nothing but the App's credentials needs a backup, and nobody without them can foresee a seed."""
    one, other = read_settings(ENVIRONMENT), read_settings({**ENVIRONMENT, "PAWL_WEBHOOK_SECRET": "new"})
    assert one.seed_key == other.seed_key
    changed = {**ENVIRONMENT, "PAWL_PRIVATE_KEY": KEY.replace("SECRET", "OTHER")}
    assert read_settings(changed).seed_key != one.seed_key
    assert len(one.seed_key) == 32


def test_a_key_that_is_none_ends_serving_in_a_sentence(tmp_path: Path) -> None:
    """It used to end in a traceback."""
    settings = Settings(7, KEY, "hush", database=f"sqlite:///{tmp_path / 'pawl.db'}", port=0)
    level = logging.getLogger().level
    try:
        with pytest.raises(SettingsError, match="private key cannot be used") as caught:
            serving.serve(settings, threading.Event())
    finally:
        logging.getLogger().setLevel(level)
    assert "SECRETKEY" not in str(caught.value)


def test_a_database_without_its_driver_ends_serving_in_a_sentence() -> None:
    """An address that SQLAlchemy knows, of a server that nobody has the client for, used to end in a traceback."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    plain = serialization.NoEncryption()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain
    ).decode()
    settings = Settings(7, pem, "hush", database="oracle://there/pawl", port=0)
    with pytest.raises(SettingsError, match="PAWL_DATABASE needs a driver that is not installed"):
        serving.serve(settings, threading.Event())


def test_a_database_is_claimed_by_one_server_at_a_time(tmp_path: Path) -> None:
    """Two that were started by mistake both looked, and neither said so."""
    address = f"sqlite:///{tmp_path / 'pawl.db'}"
    with ExitStack() as first, ExitStack() as second:
        assert claimed(address, first)
        assert not claimed(address, second)
        first.close()
        assert claimed(address, second)
    assert all(claimed(other, ExitStack()) for other in ("sqlite://", "postgresql://there/pawl"))
    assert claimed(f"sqlite:///{tmp_path / 'missing' / 'pawl.db'}", ExitStack())


def test_what_libraries_log_is_json_like_every_other_line() -> None:
    stream = io.StringIO()
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        log_as_json(stream)
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("waitress").exception("Exception while serving %s", "/webhooks")
        structlog.get_logger("pawl").info("serving", address="here")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    foreign, own = (json.loads(line) for line in stream.getvalue().splitlines())
    assert set(foreign) == {"event", "level", "timestamp", "exception"}
    assert (foreign["event"], foreign["level"]) == ("Exception while serving /webhooks", "error")
    assert "ValueError: broken" in foreign["exception"]
    assert (own["event"], own["address"]) == ("serving", "here")
