"""What becomes of whole repositories: renamed, handed to another owner, archived, opened to everybody."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

_BY_ID = re.compile(r"/repositories/(\d+)(/.*)?")


class Residence:
    """Changes of a repository's name, owner and state, each with the event that GitHub sends."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def rename(self, full_name: str, name: str) -> str:
        """Give a repository another name; the old one redirects until another repository takes it."""
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            old = repo["name"]
            self._move(repo, repo["owner"], name)
            self._announce(repo, "renamed", changes={"repository": {"name": {"from": old}}})
            return str(repo["full_name"])

    def transfer(self, full_name: str, owner: str) -> str:
        """Hand a repository to another owner. The old installation loses it; the new owner's has it where it has all."""
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            self.hub.create_user(owner)
            before = self.hub.user(repo["owner"])
            with suppress(HubError):  # it was not installed there
                self.hub.installations.uninstall(full_name)
            repo["collaborators"] = {owner: "admin"}
            self._move(repo, owner, repo["name"])
            installation = self.hub.store.find("installation", owner)
            if installation and installation.get("selection", "selected") == "all":
                self.hub.installations.install(repo["full_name"])
            changes = {"owner": {"from": {"user": self.hub.shapes.user(before)}}}
            self._announce(repo, "transferred", changes=changes)
            return str(repo["full_name"])

    def delete(self, full_name: str) -> None:
        """Take a repository away, and out of its installation. Its name is free for another one, which has another id."""
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            self._announce(repo, "deleted")
            with suppress(HubError):  # it was not installed there
                self.hub.installations.uninstall(full_name)
            self.hub.store.remove(repo)

    def archive(self, full_name: str, archived: bool = True) -> None:
        """Make a repository read-only, or let it live again."""
        self._set(full_name, {"archived": archived}, "archived" if archived else "unarchived")

    def publish(self, full_name: str, public: bool = True) -> None:
        """Let everybody read a repository, or only those who were let in."""
        self._set(full_name, {"private": not public}, "publicized" if public else "privatized")

    def rename_default_branch(self, full_name: str, name: str, actor: str) -> None:
        """Give the default branch another name; open pull requests to it follow. Jobs keep the name they began under."""
        hub, store = self.hub, self.hub.store
        with store.transaction():
            repo = hub.repository(full_name)
            old = repo["default_branch"]
            hub.refs.update(
                repo, f"refs/heads/{name}", store.ref(repo["id"], f"refs/heads/{old}"), actor, checked=False
            )
            repo = {**hub.repository(full_name), "default_branch": name}
            store.save(repo)
            for issue in store.all("issue", repo["id"]):
                if issue["state"] == "open" and issue["pull"] and issue["pull"]["base_ref"] == old:
                    store.save({**issue, "pull": {**issue["pull"], "base_ref": name}})
            hub.refs.update(repo, f"refs/heads/{old}", None, actor, checked=False)
            self._announce(hub.repository(full_name), "edited", changes={"default_branch": {"from": old}})

    def rename_app(self, slug: str) -> None:
        """Give the App another name, and so another slug: its account and everything it wrote have that login from now on.

        GitHub sends no event of this.
        """
        hub, store = self.hub, self.hub.store
        with store.transaction():
            old = hub.bot
            hub.app_fact = {**hub.app_fact, "slug": slug, "name": slug}
            store.save(hub.app_fact)
            account = hub.user(old)
            store.save({**account, "login": hub.bot, "key": hub.bot})
            for kind, key in (
                ("issue", "user"),
                ("comment", "user"),
                ("token", "login"),
                ("check_run", "by"),
            ):
                for item in store.all(kind):
                    if item.get(key) == old:
                        store.save({**item, key: hub.bot})

    def by_name(self, path: str) -> str:
        """A path below ``/repositories/{id}``, as one below ``/repos/{owner}/{name}``."""
        match = _BY_ID.fullmatch(path)
        repo = self.hub.store.get("repo", int(match[1])) if match else None
        return f"/repos/{repo['full_name']}{match[2] or ''}" if match and repo else path

    def _set(self, full_name: str, changes: Fact, action: str) -> None:
        with self.hub.store.transaction():
            repo = {**self.hub.repository(full_name), **changes}
            self.hub.store.save(repo)
            self._announce(repo, action)

    def _move(self, repo: Fact, owner: str, name: str) -> None:
        self.hub.store.add("renamed", {"to": repo["id"]}, key=repo["full_name"].lower())
        full_name = f"{owner}/{name}"
        repo |= {"owner": owner, "name": name, "full_name": full_name, "key": full_name.lower()}
        self.hub.store.save(repo)

    def _announce(self, repo: Fact, action: str, **more: Any) -> None:
        self.hub.events.emit(repo, "repository", repo["owner"], more, action)
