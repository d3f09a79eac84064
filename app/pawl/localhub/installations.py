"""Where the App is installed, what that grants, and the tokens that are minted for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

TOKEN_SECONDS = 3600
LEVELS = ("none", "read", "write", "admin")


class Installations:
    """The App's installations, one for each owner."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def install(
        self, full_name: str, permissions: Mapping[str, str] | None = None, everywhere: bool = False
    ) -> int:
        """Install the App on a repository and return the installation's id (one per owner).

        `everywhere` lets a new installation cover all repositories of the owner, those to come included.
        """
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            found = self.hub.store.find("installation", repo["owner"])
            now = self.hub.now()
            if found:
                if repo["id"] not in found["repos"]:
                    found["repos"].append(repo["id"])
                    self.hub.store.save({**found, "updated_at": now})
                    self.hub.events.installation_repositories(found, added=[repo])
                return int(found["id"])
            installation = self.hub.store.add(
                "installation",
                {
                    "account": repo["owner"], "selection": "all" if everywhere else "selected", "repos": [
                        other["id"] for other in self.hub.repositories()
                        if other["id"] == repo["id"] or (everywhere and other["owner"] == repo["owner"])
                    ], "created_at": now, "updated_at": now,
                    "suspended_at": None,
                    "permissions": {"metadata": "read", **(permissions or self.hub.app_fact["permissions"])},
                },
                key=repo["owner"],
            )  # fmt: skip
            self.hub.events.installation(installation, "created")
            return int(installation["id"])

    def grant(self, full_name: str, permissions: Mapping[str, str]) -> None:
        """Let the owner of the installation that covers a repository grant these permissions, and no others."""
        with self.hub.store.transaction():
            installation = self.of(self.hub.repository(full_name))
            installation["permissions"] = {"metadata": "read", **permissions}
            self.hub.store.save(installation)
            self.hub.events.installation(installation, "new_permissions_accepted")

    def uninstall(self, full_name: str) -> None:
        """Remove the App from a repository; from the last one, the installation goes too."""
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            installation = self.of(repo)
            if len(installation["repos"]) > 1:
                installation["repos"].remove(repo["id"])
                self.hub.store.save(installation)
                self.hub.events.installation_repositories(installation, removed=[repo])
            else:
                self.hub.events.installation(installation, "deleted")
                self.hub.store.remove(installation)

    def suspend(self, full_name: str, suspended: bool = True) -> None:
        """Suspend (or let back in) the installation that covers a repository."""
        with self.hub.store.transaction():
            installation = self.of(self.hub.repository(full_name))
            installation["suspended_at"] = self.hub.now() if suspended else None
            self.hub.store.save(installation)
            self.hub.events.installation(installation, "suspend" if suspended else "unsuspend")

    def of(self, repo: Fact) -> Fact:
        """The installation that covers a repository; HubError 404."""
        found = self.hub.store.find("installation", repo["owner"])
        if not found or repo["id"] not in found["repos"]:
            raise not_found()
        return found

    def token(
        self, installation: Fact, permissions: Mapping[str, str] | None, repos: list[int] | None
    ) -> Fact:
        """Mint a token for one hour. Nothing asked for (also an empty object) means all that was granted."""
        if installation["suspended_at"]:
            raise HubError(403, "This installation has been suspended")
        granted = dict(installation["permissions"])
        for name, level in (permissions or {}).items():
            if LEVELS.index(granted.get(name, "none")) < LEVELS.index(level if level in LEVELS else "admin"):
                raise HubError(422, "The permissions requested are not granted to this installation.")
        if permissions:
            granted = {"metadata": "read", **permissions}
        return self.hub.store.add(
            "token",
            {
                "type": "installation", "installation": installation["id"], "login": self.hub.bot, "repos": repos,
                "permissions": granted, "expires": self.hub.clock() + TOKEN_SECONDS,
            },
            key="ghs_" + secrets.token_urlsafe(36),
        )  # fmt: skip
