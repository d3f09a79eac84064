"""How whoever runs Pawl becomes a client of GitHub: one way for the server and for every command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.control.settings import API, Settings, api_address, read_settings, seconds_between_writes
from pawl.core.digest import sha256
from pawl.github.app import App, Token
from pawl.github.client import Repository
from pawl.github.requester import Pace
from pawl.meta.means import Means

ACTIONS = "github-actions"
"""The App behind a job's own token."""
UNSEEDED = b"nothing is measured by this"
"""In place of the key behind the seeds, where no request leaves the process."""


def app_of(settings: Settings) -> App:
    """The App, at the pace that the settings allow."""
    return App(settings.app_id, settings.private_key, settings.api, _pace(settings.seconds_between_writes))


def _pace(writes: float) -> Pace:
    """Reads are never slower than writes."""
    return Pace(between_requests=min(Pace.between_requests, writes), between_writes=writes)


@dataclass(frozen=True)
class SignedIn:
    """One repository as the caller may reach it, and what proposers may use."""

    client: Repository
    means: Means
    seed_key: bytes = field(repr=False)


def sign_in(
    environment: Mapping[str, str], name: str, api: str | None = None, seeded: bool = True
) -> SignedIn:
    """Sign in as the App where the environment names one, or with a job's token.

    Args:
        environment: ``PAWL_APP_ID`` with its key, or ``GITHUB_TOKEN`` with ``PAWL_SEED_KEY``. ``PAWL_APP_SLUG`` names the
            App that a token belongs to; by default that is GitHub Actions itself.
        name: ``owner/name``.
        api: address of the API; wins over the environment's.
        seeded: whether measurements may be asked for. Whoever only proposes shall not know the seeds to come.

    Raises:
        SettingsError: something is missing or unusable.
        GitHubError: the App cannot sign in.
    """
    if environment.get("PAWL_APP_ID"):
        settings = read_settings({"PAWL_WEBHOOK_SECRET": "unused", **environment}, api=api)
        return SignedIn(app_of(settings).repository(name), settings.means, settings.seed_key)
    token = environment.get("GITHUB_TOKEN")
    if not token:
        raise SettingsError("sign in: set PAWL_APP_ID and PAWL_PRIVATE_KEY_FILE for the App, or GITHUB_TOKEN")
    known = environment.get("PAWL_API") or environment.get("GITHUB_API_URL")
    secret = environment.get("PAWL_SEED_KEY")
    if seeded and not secret:
        raise SettingsError(
            "set PAWL_SEED_KEY to a long random secret: seeds are drawn from it, and nobody may guess it"
        )
    slug = environment.get("PAWL_APP_SLUG") or ACTIONS
    pace = _pace(seconds_between_writes(environment))
    client = Token(token, slug, api_address(api or known or API), pace).repository(name)
    seed_key = bytes.fromhex(sha256(secret)) if seeded and secret else UNSEEDED
    return SignedIn(client, read_means(environment), seed_key)
