"""Where the App learns who it is: environment variables, overridden by the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args
from urllib.parse import urlsplit

from pawl.control.credentials import Credentials, read_credentials
from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.meta.means import Means

N = TypeVar("N", int, float)
Server = Literal["waitress", "granian"]

API = "https://api.github.com"
DATABASE = "sqlite:///pawl.db"


@dataclass(frozen=True)
class Settings:
    """Everything the App needs to start. Secrets do not show in its repr."""

    app_id: int
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    api: str = API
    database: str = DATABASE
    host: str = "127.0.0.1"
    port: int = 8080
    server: Server = "waitress"
    timer: float = 300.0
    """Seconds between two rounds over all repositories, which heal what no webhook announced."""
    seconds_between_writes: float = 1.0
    """GitHub asks for a second between writes; a server of your own may not."""
    means: Means = field(default_factory=Means, repr=False)
    """What its proposers may use."""

    @property
    def seed_key(self) -> bytes:
        """The secret behind all seeds: derived from the App's key, so that there is nothing else to back up."""
        return hashlib.sha256(b"pawl seeds\0" + self.private_key.encode()).digest()


def api_address(text: str) -> str:
    """An address of GitHub's API, as it was given.

    Raises:
        SettingsError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(
            f"{text!r} is no address of an API; it looks like https://github.example.com/api/v3"
        )
    return text


@dataclass(frozen=True)
class Place:
    """Where the server listens, and whose App it is."""

    host: str
    port: int
    api: str
    public_address: str
    """Where GitHub reaches it; empty if nobody has said."""
    server: Server = "waitress"
    database: str = DATABASE


def credentials_file(environment: Mapping[str, str]) -> Path:
    """Where `/setup` keeps the App's credentials."""
    return Path(environment.get("PAWL_CREDENTIALS") or "pawl-app.json")


def read_place(environment: Mapping[str, str], **given: object) -> Place:
    """Where to listen, from PAWL_* variables; values given by name win where they are not None.

    Raises:
        SettingsError: one is unusable.
    """
    value = _Values(environment, given)
    return Place(
        host=value("host", "PAWL_HOST", "127.0.0.1"),
        port=_number("PAWL_PORT", value("port", "PAWL_PORT", "8080"), int, most=65535),
        api=api_address(value("api", "PAWL_API", API)),
        public_address=environment.get("PAWL_PUBLIC_ADDRESS", "").rstrip("/"),
        server=_server(value("server", "PAWL_SERVER", "waitress")),
        database=_database(value("database", "PAWL_DATABASE", DATABASE)),
    )


def read_settings(environment: Mapping[str, str], **given: object) -> Settings:
    """Settings from PAWL_* variables; values given by name win where they are not None.

    Where neither says who the App is, the file does that `/setup` has written.

    Raises:
        SettingsError: one is missing or unusable.
    """
    value, place = _Values(environment, given), read_place(environment, **given)
    named = given.get("app_id") is not None or environment.get("PAWL_APP_ID")
    kept = None if named else read_credentials(credentials_file(environment))
    if kept is None:
        key = _private_key(environment, given)
        app_id = _number("PAWL_APP_ID", value("app_id", "PAWL_APP_ID"), int, least=1)
        kept = Credentials(app_id, key, value("webhook_secret", "PAWL_WEBHOOK_SECRET"))
    return Settings(
        app_id=kept.app_id,
        private_key=kept.private_key,
        webhook_secret=kept.webhook_secret,
        api=place.api,
        database=place.database,
        host=place.host,
        port=place.port,
        server=place.server,
        timer=_number("PAWL_TIMER", value("timer", "PAWL_TIMER", "300"), float, least=1, most=86400),
        seconds_between_writes=seconds_between_writes(environment),
        means=read_means(environment),
    )


def seconds_between_writes(environment: Mapping[str, str]) -> float:
    """What ``PAWL_SECONDS_BETWEEN_WRITES`` says, or the second that GitHub asks for.

    Raises:
        SettingsError: it is no such number.
    """
    name = "PAWL_SECONDS_BETWEEN_WRITES"
    return _number(name, environment.get(name) or "1", float, most=3600)


@dataclass(frozen=True)
class _Values:
    environment: Mapping[str, str]
    given: Mapping[str, object]

    def __call__(self, name: str, variable: str, default: str | None = None) -> str:
        found = self.given.get(name)
        text = str(found) if found is not None else self.environment.get(variable) or default or ""
        if not text and default is None:
            raise SettingsError(
                f"{variable} is not set. It is on the App's settings page on GitHub; see docs/app.md"
            )
        return text


def _server(text: str) -> Server:
    known: tuple[Server, ...] = get_args(Server)
    for server in known:
        if server == text:
            return server
    raise SettingsError(f"PAWL_SERVER must be one of {', '.join(known)}, not {text!r}")


def _database(text: str) -> str:
    # Here, since a machine that runs jobs reads settings too, and has no database.
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        make_url(text)
    except (ArgumentError, ValueError):
        raise SettingsError(
            f"PAWL_DATABASE must be an SQLAlchemy address like sqlite:////var/lib/pawl/pawl.db, not {text!r}"
        ) from None
    return text


def _private_key(environment: Mapping[str, str], given: Mapping[str, object]) -> str:
    # Secret stores and .env files hold a key on one line.
    key = environment.get("PAWL_PRIVATE_KEY", "").replace("\\n", "\n")
    path = given.get("private_key_file") or environment.get("PAWL_PRIVATE_KEY_FILE")
    if path:
        try:
            key = Path(str(path)).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the App's private key cannot be read from {path}: {error}") from None
    if path and "PRIVATE KEY" not in key:
        raise SettingsError(f"{path} holds no private key; GitHub gives the App's key as a .pem file")
    if "PRIVATE KEY" not in key:
        raise SettingsError(
            "no private key: set PAWL_PRIVATE_KEY_FILE to the .pem file that GitHub gave you for the App"
        )
    return key


def _number(variable: str, text: str, kind: type[N], least: int = 0, most: int = 2**53) -> N:
    try:
        number = kind(text)
    except ValueError:
        raise SettingsError(f"{variable} must be a number, not {text!r}") from None
    if not least <= number <= most:  # no NaN is between any two
        raise SettingsError(f"{variable} must be between {least} and {most}, but is {text}")
    return number
