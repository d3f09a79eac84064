"""Pawl's credentials: a GitHub App that mints narrow tokens per repository, or the token of a job."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from github import Auth
from github.GithubException import GithubException
from github.InstallationAuthorization import InstallationAuthorization

from pawl.github.budget import Budget
from pawl.github.client import Connection, Identity, Repository
from pawl.github.grants import OPTIONAL, PERMISSIONS, Grant
from pawl.github.requester import API, Pace, connect


@dataclass(frozen=True)
class Installation:
    """An account that installed the App."""

    id: int
    account: str
    suspended: bool = False
    everything: bool = False
    """Whether it covers all repositories of the account, those to come included."""
    grant: Grant = field(default_factory=Grant)


@dataclass(frozen=True)
class Delivery:
    """A webhook that GitHub tried to deliver. It never tries again by itself."""

    id: int
    guid: str
    event: str
    action: str
    delivered_at: str
    status_code: int
    redelivery: bool
    installation: int | None
    repository: int | None


@dataclass(frozen=True)
class _Granted:
    """What one installation grants: as far as it was told, and asked anew."""

    known: Callable[[], Grant]
    ask: Callable[[], Grant]


class _NarrowAuth(Auth.AppInstallationAuth):
    """An installation's token for one repository, with what Pawl needs as far as it is granted, and no more.

    PyGithub renews it shortly before it expires, but cannot narrow it to a repository. It is renewed too when more or
    less is granted than before: a token keeps the permissions that it was made with.
    """

    def __init__(self, app: Auth.AppAuth, installation: int, repository: str, granted: _Granted) -> None:
        super().__init__(app, installation)
        self._repository, self._granted = repository, granted
        self._permissions: dict[str, str] = {}

    @property
    def _is_expired(self) -> bool:
        return super()._is_expired or self._permissions != self._granted.known().usable

    def _get_installation_authorization(self) -> InstallationAuthorization:
        try:
            return self._mint(self._granted.known().usable)
        except GithubException as error:
            if error.status != 422:
                raise
            # It grants less than was known: GitHub gives no token then, so that this one is the first.
            return self._mint(self._granted.ask().usable)

    def _mint(self, permissions: dict[str, str]) -> InstallationAuthorization:
        headers, data = self.requester.requestJsonAndCheck(
            "POST",
            f"/app/installations/{self.installation_id}/access_tokens",
            input={"repositories": [self._repository], "permissions": permissions},
        )
        self._permissions = permissions
        return InstallationAuthorization(self.requester, headers, data)


def _signing(private_key: str) -> Callable[[dict[str, Any]], str]:
    """Signs with a key that is read once: PyGithub reads it for every request, and no other thread goes on for 60 ms.

    Raises:
        ValueError: the key is none of RSA's.
    """
    key = load_pem_private_key(private_key.encode(), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("GitHub's keys are RSA's")
    return lambda claims: jwt.encode(claims, key, algorithm="RS256")


class App:
    """Pawl as a GitHub App.

    Args:
        app_id: the App's id, from its settings page.
        private_key: its key, PEM. Never shown, logged or stored by this class.
        api: address of the API.
        pace: how fast requests follow each other.

    Raises:
        ValueError: the key is none.
    """

    def __init__(self, app_id: int, private_key: str, api: str = API, pace: Pace | None = None) -> None:
        self.id, self.api, self.pace = app_id, api, pace or Pace()
        try:
            self._auth = Auth.AppAuth(app_id, sign_func=_signing(private_key))
        except (TypeError, UnsupportedAlgorithm, ValueError):  # encrypted, of another kind, or none at all
            raise ValueError(
                "the App's private key cannot be used: it must be the whole PEM file that GitHub offers under "
                "Private keys on the App's settings page, from BEGIN to END"
            ) from None
        self._connection = Connection(connect(self._auth, api, self.pace))
        self._identity: Identity | None = None
        self.events: frozenset[str] = frozenset()
        """What it is subscribed to, as GitHub last told its identity."""
        self._grants: dict[int, Grant] = {}
        self._budgets: dict[int, Budget] = {}

    def __repr__(self) -> str:
        return f"App({self.id}, {self.api!r})"

    @property
    def identity(self) -> Identity:
        """The App by its slug, as GitHub last told it; asked the first time."""
        return self._identity or self.ask_identity()

    def ask_identity(self) -> Identity:
        """The same, asked anew: with an App's name its slug changes, and the login of everything that it wrote."""
        told = self._connection.send("GET", "/app")[1]
        self._identity, self.events = Identity(str(told["slug"]), self.id), frozenset(told["events"])
        return self._identity

    def repository(self, name: str, installation: int | None = None) -> Repository:
        """A client for one repository, with a token that reaches no other.

        Args:
            name: ``owner/name``.
            installation: where the App is installed for it; asked of GitHub if it is not given.

        Raises:
            NotFound: the App is not installed there.
        """
        if installation is None:
            found = self._connection.send("GET", f"/repos/{name}/installation")[1]
            installation = int(found["id"])
            self._learn(found)
        granted = self._granted(installation)
        auth = _NarrowAuth(self._auth, installation, name.split("/")[-1], granted)
        budget = self._budgets.setdefault(installation, Budget())
        connection = Connection(connect(auth, self.api, self.pace), budget)
        return Repository(connection, name, self, granted.known)

    def _granted(self, installation: int) -> _Granted:
        def ask() -> Grant:
            told = self._connection.send("GET", f"/app/installations/{installation}")[1]
            return self._learn(told)

        return _Granted(lambda: self._grants.get(installation, Grant()), ask)

    def _learn(self, told: dict[str, Any]) -> Grant:
        grant = self._grants[int(told["id"])] = Grant.read(told)
        return grant

    def installations(self) -> Iterator[Installation]:
        """Every account that installed the App."""
        for item in self._connection.pages("/app/installations"):
            account = (item["account"] or {}).get("login", "")
            everything = item["repository_selection"] == "all"
            suspended = bool(item["suspended_at"])
            yield Installation(item["id"], account, suspended, everything, self._learn(item))

    def repositories(self, installation: int) -> Iterator[tuple[str, int]]:
        """Name (``owner/name``) and id of each repository of an installation, archived ones left out."""
        auth = self._auth.get_installation_auth(installation, {"metadata": "read"})
        connection = Connection(connect(auth, self.api, self.pace))
        for item in connection.pages("/installation/repositories", "repositories"):
            if not item.get("archived"):
                yield str(item["full_name"]), int(item["id"])

    def deliveries(self) -> Iterator[Delivery]:
        """Webhook deliveries, newest first, as far back as GitHub keeps them; read no further than needed."""
        for item in self._connection.pages("/app/hook/deliveries"):
            yield _delivery(item)

    def redeliver(self, attempt: int) -> None:
        """Have one delivery made again, under its old id."""
        self._connection.send("POST", f"/app/hook/deliveries/{attempt}/attempts")


def _delivery(item: dict[str, Any]) -> Delivery:
    return Delivery(
        id=item["id"],
        guid=item["guid"],
        event=item["event"],
        action=item.get("action") or "",
        delivered_at=item["delivered_at"],
        status_code=item["status_code"],
        redelivery=item["redelivery"],
        installation=item.get("installation_id"),
        repository=item.get("repository_id"),
    )


_UNKNOWN = Grant({**PERMISSIONS, **OPTIONAL})
"""Of a token: GitHub does not tell what it may do, so that everything is tried."""


class Token:
    """Pawl inside a job: the job's own token, whose check runs belong to the App behind GitHub Actions.

    Args:
        token: never shown, logged or stored by this class.
        slug: of the App that the token belongs to.
        api: address of the API.
        pace: how fast requests follow each other.
    """

    def __init__(
        self, token: str, slug: str = "github-actions", api: str = API, pace: Pace | None = None
    ) -> None:
        self.identity, self.api = Identity(slug), api
        self._connection = Connection(connect(Auth.Token(token), api, pace or Pace()))

    def __repr__(self) -> str:
        return f"Token({self.identity.slug!r}, {self.api!r})"

    def ask_identity(self) -> Identity:
        """What it was told: no request says whose a token is."""
        return self.identity

    def repository(self, name: str) -> Repository:
        """A client for one repository."""
        return Repository(self._connection, name, self, lambda: _UNKNOWN)
