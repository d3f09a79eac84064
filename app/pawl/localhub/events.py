"""Webhooks: written down in the transaction that caused them, signed, and sent in order by one thread."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.gitstore import moment
from pawl.localhub.shapes import Json, node
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

# GitHub gives a receiver ten seconds.
_ANSWER_SECONDS = 10


class Events:
    """The outbox. Nothing is sent twice by itself; a failed delivery stays on record until someone asks again."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._thread: threading.Thread | None = None
        self._stopped = False

    # -- writing down ------------------------------------------------------------------------------------------------

    def emit(self, repo: Fact, event: str, actor: str, payload: Json, action: str | None = None) -> None:
        """Announce what happened in a repository to the App, where it is installed and listens."""
        try:
            installation = self.hub.installations.of(repo)
        except HubError:
            return
        if installation["suspended_at"]:
            return
        body = {**({"action": action} if action else {}), **payload}
        body.setdefault("repository", self.hub.shapes.repository(repo))
        body["sender"] = self.hub.shapes.user(self.hub.user(actor))
        body["installation"] = {"id": installation["id"], "node_id": node("Installation", installation["id"])}
        self._queue(event, action, body, installation["id"], repo["id"])

    def ping(self) -> None:
        """Greet a new webhook address."""
        hook = {
            "type": "App", "id": self._hook_id, "name": "web", "active": True, "events": self.hub.app_fact["events"],
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********",
                       "url": self.hub.app_fact["webhook_url"]},
            "app_id": self.hub.app_fact["app_id"], "created_at": self.hub.now(), "updated_at": self.hub.now(),
        }  # fmt: skip
        self._queue(
            "ping", None, {"zen": "It turns one way.", "hook_id": self._hook_id, "hook": hook}, None, None
        )

    def _repositories(self, repos: list[Fact]) -> list[Json]:
        return [
            {
                "id": repo["id"], "node_id": node("Repository", repo["id"]), "name": repo["name"],
                "full_name": repo["full_name"], "private": repo["private"],
            }
            for repo in repos
        ]  # fmt: skip

    def installation(self, installation: Fact, action: str) -> None:
        """The App was installed, removed, suspended or let back in."""
        repos = [repo for repo_id in installation["repos"] if (repo := self.hub.store.get("repo", repo_id))]
        body = {
            "action": action,
            "installation": self.hub.shapes.installation(installation),
            "repositories": self._repositories(repos),
            "requester": None,
            "sender": self.hub.shapes.login(installation["account"]),
        }
        self._queue("installation", action, body, installation["id"], None)

    def installation_repositories(
        self, installation: Fact, added: list[Fact] | None = None, removed: list[Fact] | None = None
    ) -> None:
        """The App may see more or fewer repositories."""
        action = "added" if added else "removed"
        body = {
            "action": action,
            "installation": self.hub.shapes.installation(installation),
            "repositories_added": self._repositories(added or []),
            "repositories_removed": self._repositories(removed or []),
            "repository_selection": installation.get("selection", "selected"),
            "requester": None,
            "sender": self.hub.shapes.login(installation["account"]),
        }
        self._queue("installation_repositories", action, body, installation["id"], None)

    @property
    def _hook_id(self) -> int:
        return int(self.hub.app_fact["app_id"]) + 7_000_000

    def _queue(
        self, event: str, action: str | None, body: Json, installation: int | None, repo: int | None
    ) -> None:
        if not self.hub.app_fact.get("webhook_url"):
            return
        self.hub.store.add(
            "delivery",
            {
                "guid": str(uuid.uuid4()), "event": event, "action": action, "payload": body,
                "installation_id": installation, "repository_id": repo, "redelivery": False, "status_code": 0,
                "status": "", "duration": 0.0, "delivered_at": None, "answer": "",
            },
            key="pending",
        )  # fmt: skip

    def redeliver(self, delivery_id: int) -> None:
        """Send a delivery again, under its old GUID."""
        old = self.hub.store.get("delivery", delivery_id)
        if not old:
            raise not_found()
        fresh = {name: value for name, value in old.items() if name not in ("id", "repo", "key")}
        self.hub.store.add("delivery", {**fresh, "redelivery": True}, key="pending")

    # -- sending -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to deliver."""
        self._stopped = False
        self._thread = threading.Thread(target=self._deliver_all, name="localhub-webhooks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the delivery under way and stop; what waits is sent after the next start."""
        with self.hub.store.changed:
            self._stopped = True
            self.hub.store.changed.notify_all()
        if self._thread:
            self._thread.join()
            self._thread = None

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is waiting to be delivered."""
        with self.hub.store.changed:
            return self.hub.store.changed.wait_for(lambda: not self._pending(), timeout)

    def _pending(self) -> list[Fact]:
        return self.hub.store.all("delivery", key="pending")

    def _next(self) -> list[Fact]:
        changed = self.hub.store.changed
        with changed:
            while not self._stopped:
                pending = self._pending()
                if pending and not self.hub.faults.held(len(pending)):
                    return pending
                changed.wait()
        return []

    def _deliver_all(self) -> None:
        while pending := self._next():
            count = self.hub.faults.take_order()
            for delivery in [*reversed(pending[:count]), *pending[count:]]:
                if self._stopped:
                    return
                self._deliver(delivery)

    def _deliver(self, delivery: Fact) -> None:
        if self.hub.webhook_observer:
            self.hub.webhook_observer(delivery["event"], delivery["action"], delivery["payload"])
        fate = "send" if delivery["redelivery"] else self.hub.faults.webhook(delivery["event"])
        started = time.monotonic()
        if fate == "drop":
            code, answer = 0, ""
        else:
            code, answer = self._send(delivery)
            if fate == "double":
                self._send(delivery)
        status = {0: "failed to connect to host"}.get(
            code, "OK" if code < 400 else "Invalid HTTP Response: " + str(code)
        )
        done = {
            "key": "done", "status_code": code, "status": status, "answer": answer,
            "duration": round(time.monotonic() - started, 3), "delivered_at": moment(self.hub.clock()),
        }  # fmt: skip
        with self.hub.store.transaction():
            self.hub.store.save({**delivery, **done})

    def headers(self, delivery: Fact, data: bytes) -> dict[str, str]:
        """The headers of a delivery, signature included."""
        signature = hmac.new(self.hub.app_fact["secret"].encode(), data, hashlib.sha256).hexdigest()
        return {
            "User-Agent": "GitHub-Hookshot/localhub", "Content-Type": "application/json", "Accept": "*/*",
            "X-GitHub-Event": delivery["event"], "X-GitHub-Delivery": delivery["guid"],
            "X-GitHub-Hook-ID": str(self._hook_id), "X-Hub-Signature-256": "sha256=" + signature,
            "X-GitHub-Hook-Installation-Target-ID": str(self.hub.app_fact["app_id"]),
            "X-GitHub-Hook-Installation-Target-Type": "integration",
        }  # fmt: skip

    def _send(self, delivery: Fact) -> tuple[int, str]:
        import requests

        data = json.dumps(delivery["payload"]).encode()
        with requests.Session() as session:
            session.trust_env = False
            try:
                answer = session.post(
                    self.hub.app_fact["webhook_url"], data=data, headers=self.headers(delivery, data),
                    timeout=_ANSWER_SECONDS, allow_redirects=False,
                )  # fmt: skip
            except requests.RequestException:
                return 0, ""
            return answer.status_code, answer.text[:1000]

    def shape(self, delivery: Fact, full: bool) -> dict[str, Any]:
        """A `hook-delivery-item`, or the whole `hook-delivery`."""
        item = {
            name: delivery[name]
            for name in (
                "id", "guid", "redelivery", "duration", "status", "status_code", "event", "action",
                "installation_id", "repository_id",
            )
        }  # fmt: skip
        item |= {"delivered_at": delivery["delivered_at"], "throttled_at": None}
        if full:
            data = json.dumps(delivery["payload"]).encode()
            item["url"] = self.hub.app_fact["webhook_url"] or ""
            item["request"] = {"headers": self.headers(delivery, data), "payload": delivery["payload"]}
            item["response"] = {"headers": {}, "payload": delivery["answer"]}
        return item
