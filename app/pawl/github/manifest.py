"""Registering the App with GitHub by the manifest flow: a form that a person confirms, and a code that becomes credentials.

Source: GitHub docs, "Registering a GitHub App from a manifest"; operation ``apps/create-from-manifest``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from github import Auth

from pawl.github.client import Connection
from pawl.github.grants import PERMISSIONS
from pawl.github.requester import Pace, connect

_CODE = re.compile(r"[A-Za-z0-9_-]{1,200}")
_ACCOUNT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})")


@dataclass(frozen=True)
class Registered:
    """The App that GitHub made of a manifest. Secrets do not show in its repr."""

    app_id: int
    slug: str
    page: str
    """Its public page on GitHub."""
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)
    """Empty where the manifest named no address for webhooks."""


def manifest(name: str, here: str, events: Iterable[str], webhooks: str = "") -> dict[str, Any]:
    """What the App is to be.

    Args:
        name: its name, which no other App on GitHub may have.
        here: address of the server as the person's browser reaches it.
        events: webhooks to subscribe to.
        webhooks: address of the server as GitHub reaches it; empty for an App that polls alone.
    """
    made: dict[str, Any] = {
        "name": name,
        "url": here,
        "redirect_url": f"{here}/setup/created",
        "description": "Measures proposed edits of one file, and merges those that hold.",
        "public": False,
        "default_permissions": dict(PERMISSIONS),
    }
    if webhooks:
        made["hook_attributes"] = {"url": f"{webhooks}/webhooks", "active": True}
        made["default_events"] = sorted(events)
    return made


def site_of(api: str) -> str:
    """The address for people that belongs to an API's address."""
    parts = urlsplit(api)
    if parts.hostname == "api.github.com":
        return "https://github.com"
    # GitHub Enterprise Server: https://HOST/api/v3. Data residency: https://api.SUBDOMAIN.ghe.com
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}"


def registration_page(site: str, organisation: str, state: str) -> str:
    """Where the manifest is posted to: the person's own account, or an organisation's.

    Raises:
        ValueError: that is no name of an account.
    """
    if not organisation:
        return f"{site}/settings/apps/new?state={state}"
    if not _ACCOUNT.fullmatch(organisation):
        raise ValueError(f"{organisation[:60]!r} is no name of an organisation on GitHub")
    return f"{site}/organizations/{organisation}/settings/apps/new?state={state}"


def convert(api: str, code: str) -> Registered:
    """Exchange the code that GitHub sent the browser back with for the App's credentials: once, within an hour.

    Raises:
        ValueError: that is no code.
        GitHubError: GitHub does not know it (any more), or cannot be reached.
    """
    if not _CODE.fullmatch(code):
        raise ValueError("that is no code of GitHub's")
    connection = Connection(connect(_Anonymous(), api, Pace()))
    made = connection.send("POST", f"/app-manifests/{code}/conversions")[1]
    return Registered(
        app_id=int(made["id"]),
        slug=str(made["slug"]),
        page=str(made["html_url"]),
        private_key=str(made["pem"]),
        webhook_secret=str(made.get("webhook_secret") or ""),
    )


class _Anonymous(Auth.Auth):
    """No credentials: there are none yet."""

    token_type = ""
    token = ""

    def authentication(self, headers: dict[str, str]) -> None:
        """Add nothing."""
