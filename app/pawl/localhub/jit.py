"""Just-in-time runners: registered for one repository, connected with the key they were handed, gone after one job."""

from __future__ import annotations

import base64
import json
import secrets
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

_LABELS = 100


class JitRunners:
    """Runners of one repository each, beside those that serve every one.

    What GitHub's program and its service say to each other is private; of the configuration only the outside is known:
    base64 of an object of files, each as base64.
    """

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def register(self, repo: Fact, body: dict[str, Any]) -> tuple[Fact, str]:
        """A new runner, and what its program is handed; HubError 409 where the name is taken."""
        name, labels = body.get("name"), body.get("labels")
        if not isinstance(name, str) or not name or "runner_group_id" not in body:
            raise invalid("Runner", "name", "missing_field")
        if not isinstance(labels, list) or not 1 <= len(labels) <= _LABELS:
            raise invalid("Runner", "labels")
        if self.hub.store.find("runner", name):
            raise HubError(409, "Already exists - A runner with this name already exists.")
        fact = {"name": name, "labels": sorted(set(labels)), "online": False, "secret": secrets.token_hex(16)}
        runner = self.hub.store.add("runner", fact, repo["id"], name)
        files = {
            ".runner": {"agentId": runner["id"], "agentName": name, "serverUrl": self.hub.url,
                        "workFolder": body.get("work_folder", "_work"), "ephemeral": True},
            ".credentials": {"scheme": "OAuth", "data": {"clientId": str(runner["id"])}},
            ".credentials_rsaparams": {"key": runner["secret"]},
        }  # fmt: skip
        packed = {file: _encoded(content) for file, content in files.items()}
        return runner, _encoded(packed)

    def runners(self, repo: Fact) -> list[Fact]:
        """Those that serve a repository."""
        return [item for item in self.hub.store.all("runner") if item["repo"] in (None, repo["id"])]

    def runner(self, repo: Fact, runner_id: int) -> Fact:
        """One of them; HubError 404."""
        found = self.hub.store.get("runner", runner_id)
        if not found or found["repo"] not in (None, repo["id"]):
            raise not_found()
        return found

    def remove(self, repo: Fact, runner_id: int) -> None:
        """Forget a runner; HubError 422 while it has a job."""
        found = self.runner(repo, runner_id)
        if self.hub.shapes.runner(found)["busy"]:
            raise HubError(
                422, f'Bad request - Runner "{found["name"]}" is still running a job" and cannot be deleted'
            )
        self.hub.store.remove(found)

    def connect(self, name: str, key: str) -> Fact:
        """A program has come with a runner's key; HubError 403 where it is not that, or was used before."""
        with self.hub.store.transaction():
            found = self.hub.store.find("runner", name)
            if not found or found.get("secret") != key or found["online"]:
                raise HubError(
                    403, "The runner registration has been deleted or was used, or its key is another"
                )
            found["online"] = True
            self.hub.store.save(found)
            return found

    def lose(self, name: str) -> None:
        """The program behind a runner is gone without a word."""
        with self.hub.store.transaction():
            if found := self.hub.store.find("runner", name):
                self.hub.store.save({**found, "online": False})

    def admit(self, name: str, key: str) -> None:
        """HubError 403 where a runner that was handed a key asks for a job without it."""
        found = self.hub.store.find("runner", name)
        if found and "secret" in found and (found["secret"] != key or not found["online"]):
            raise HubError(403, "not this runner's key")

    def served(self, name: str | None) -> None:
        """A runner has ended its job: one that was registered just in time is forgotten."""
        found = self.hub.store.find("runner", name) if name else None
        if found and "secret" in found:
            self.hub.store.remove(found)


def _encoded(content: Any) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()
