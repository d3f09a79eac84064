"""The hub itself: accounts, repositories, the App and its installations, and the parts that act on them."""

from __future__ import annotations

import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pawl.localhub.actions import Actions
from pawl.localhub.artifacts import Artifacts
from pawl.localhub.checks import Checks
from pawl.localhub.errors import invalid, not_found
from pawl.localhub.events import Events
from pawl.localhub.faults import Faults
from pawl.localhub.gitstore import GitStore, moment
from pawl.localhub.installations import Installations
from pawl.localhub.jit import JitRunners
from pawl.localhub.pulls import Pulls
from pawl.localhub.refs import Refs
from pawl.localhub.residence import Residence
from pawl.localhub.service import Service
from pawl.localhub.shapes import ACTIONS_BOT
from pawl.localhub.store import Fact, Store
from pawl.localhub.work_shapes import WorkShapes

APP_PERMISSIONS = {
    "actions": "write", "checks": "write", "contents": "write", "issues": "write",
    "metadata": "read", "pull_requests": "write", "statuses": "write", "workflows": "write",
}  # fmt: skip
APP_EVENTS = [
    "check_run", "check_suite", "create", "delete", "issue_comment", "issues", "label", "pull_request",
    "pull_request_review", "push", "repository", "status", "workflow_job", "workflow_run",
]  # fmt: skip
ROLES = ("none", "read", "triage", "write", "maintain", "admin")


@dataclass(frozen=True)
class AppRegistration:
    """What the person who registers a GitHub App writes down."""

    id: int
    slug: str
    name: str
    private_key_pem: str
    webhook_secret: str


@dataclass(frozen=True)
class Exchange:
    """One API request: `template` is the route, `installation` the id behind the token, if one was."""

    method: str
    template: str
    path: str
    repository: str | None
    status: int
    not_modified: bool
    installation: int | None
    caller: str | None


class Hub:
    """A GitHub for one App, in a folder. Everything it was told survives the process."""

    def __init__(
        self, home: Path, clock: Callable[[], float] = time.time, private_key_pem: str | None = None
    ) -> None:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.home = home
        self.clock = clock
        self.store = Store(home / "hub.sqlite3")
        self.url = "http://127.0.0.1:0"
        self.api_url = self.url + "/api/v3"
        self.rate_limit = 5000
        self.rate_spent = 0  # requests of this hour that every caller has made elsewhere
        self.faults = Faults()
        self.unknown_routes: list[tuple[str, str]] = []
        self.request_log: deque[Exchange] = deque(maxlen=100_000)
        self.webhook_observer: Callable[[str, str | None, dict[str, Any]], None] | None = None
        self._counts: Counter[str] = Counter()
        self._gits: dict[int, GitStore] = {}
        self._gits_lock = threading.Lock()
        self.shapes = WorkShapes(self)
        self.events = Events(self)
        self.pulls = Pulls(self)
        self.refs = Refs(self)
        self.checks = Checks(self)
        self.actions = Actions(self)
        self.service = Service(self)
        self.artifacts = Artifacts(self)
        self.installations = Installations(self)
        self.jit = JitRunners(self)
        self.residence = Residence(self)
        self.app_fact = self.store.find("app", "app") or self._register_app(private_key_pem or _new_key())

    @classmethod
    def open(
        cls, home: Path, clock: Callable[[], float] = time.time, private_key_pem: str | None = None
    ) -> Hub:
        """Create the hub in an empty folder (with that key, if one is given), or continue the one that lives there."""
        return cls(home, clock, private_key_pem)

    def close(self) -> None:
        """Stop delivering webhooks and close all files; from here on plain git can read the repositories' folders."""
        self.events.stop()
        for repo in self.repositories():
            self.git(repo).mirror(self.store.refs(repo["id"]), repo["default_branch"])
        for git in self._gits.values():
            git.close()
        self.store.close()

    def now(self) -> str:
        """The hub's time, as GitHub writes it."""
        return moment(self.clock())

    # -- the App ---------------------------------------------------------------------------------------------------

    def _register_app(self, pem: str) -> Fact:
        with self.store.transaction():
            self._ensure_user("pawl-developer")
            self._ensure_user("pawl-local[bot]", "Bot")
            self._ensure_user(ACTIONS_BOT, "Bot")
            self._ensure_user("github", "Organization")
            return self.store.add(
                "app",
                {
                    "app_id": 1000 + secrets.randbelow(900_000), "slug": "pawl-local", "name": "Pawl (local)",
                    "owner": "pawl-developer", "pem": pem, "secret": secrets.token_hex(20),
                    "webhook_url": None, "permissions": APP_PERMISSIONS, "events": APP_EVENTS,
                    "created_at": self.now(),
                },
                key="app",
            )  # fmt: skip

    @property
    def app(self) -> AppRegistration:
        """The registered App and its credentials."""
        fact = self.app_fact
        return AppRegistration(fact["app_id"], fact["slug"], fact["name"], fact["pem"], fact["secret"])

    @property
    def bot(self) -> str:
        """The login under which the App acts."""
        return f"{self.app_fact['slug']}[bot]"

    def set_webhook_url(self, url: str | None) -> None:
        """Where webhooks go from now on; a ping is sent. None: nowhere."""
        with self.store.transaction():
            self.app_fact = {**self.app_fact, "webhook_url": url}
            self.store.save(self.app_fact)
            if url:
                self.events.ping()

    # -- accounts and repositories -----------------------------------------------------------------------------------

    def _ensure_user(self, login: str, kind: str = "User") -> Fact:
        return self.store.find("user", login) or self.store.add(
            "user", {"login": login, "type": kind}, key=login
        )

    def user(self, login: str) -> Fact:
        """The account of that login; HubError 404."""
        found = self.store.find("user", login)
        if not found:
            raise not_found()
        return found

    def create_user(self, login: str) -> str:
        """Create the account if it is new, and return its personal token (always the same)."""
        with self.store.transaction():
            self._ensure_user(login)
            for token in self.store.all("token"):
                if token["type"] == "user" and token["login"] == login:
                    return str(token["key"])
            token_text = "ghp_" + secrets.token_urlsafe(27)
            self.store.add("token", {"type": "user", "login": login}, key=token_text)
            return token_text

    def users(self) -> list[str]:
        """Logins of all accounts that are people."""
        return [user["login"] for user in self.store.all("user") if user["type"] == "User"]

    def create_repository(
        self,
        full_name: str,
        private: bool = True,
        default_branch: str = "main",
        description: str | None = None,
        fork: bool = False,
    ) -> Fact:
        """Create an empty repository (its owner too, if new). An existing one is returned as it is."""
        owner, _, name = full_name.partition("/")
        if not owner or not name or "/" in name:
            raise ValueError(f"a repository is called OWNER/NAME, not {full_name!r}")
        with self.store.transaction():
            found = self.store.find("repo", full_name.lower())
            if found:
                return found
            self._ensure_user(owner)
            now = self.now()
            made = self.store.add(
                "repo",
                {
                    "fork": fork, "archived": False, "owner": owner,
                    "name": name, "full_name": full_name, "private": private, "next_number": 1,
                    "default_branch": default_branch, "description": description, "created_at": now,
                    "updated_at": now, "pushed_at": now, "collaborators": {owner: "admin"}, "protection": {},
                    "actions_may_open_pulls": False,
                },
                key=full_name.lower(),
            )  # fmt: skip
            installation = self.store.find("installation", owner)
            if installation and installation.get("selection", "selected") == "all":
                self.installations.install(full_name)
            return made

    def repositories(self) -> list[Fact]:
        """All repositories."""
        return self.store.all("repo")

    def repository(self, full_name: str) -> Fact:
        """The repository of that name; HubError 404."""
        found = self.store.find("repo", full_name.lower())
        if not found:
            raise not_found()
        return found

    def add_collaborator(self, full_name: str, login: str, permission: str = "write") -> None:
        """Let a user in: `read`, `write` or `admin`; `none` throws them out."""
        with self.store.transaction():
            self._ensure_user(login)
            repo = self.repository(full_name)
            repo["collaborators"][login] = permission
            self.store.save(repo)

    def allow_merges(self, full_name: str, *methods: str) -> None:
        """Of `merge`, `squash` and `rebase` those that pull requests may be merged by."""
        with self.store.transaction():
            self.store.save({**self.repository(full_name), "merge_methods": list(methods)})

    def permission(self, repo: Fact, login: str) -> str:
        """What a user may do in a repository."""
        given = repo["collaborators"].get(login, "none")
        return "read" if given == "none" and not repo["private"] else str(given)

    def protect(
        self,
        full_name: str,
        branch: str,
        *,
        checks: Iterable[str] = (),
        strict: bool = False,
        reviews: int = 0,
        restrict_pushes: Iterable[str] | None = None,
        enforce_admins: bool = False,
        ruleset: bool = False,
    ) -> None:
        """Protect a branch. `restrict_pushes` names the logins and App slugs that may still push; None lets all.

        With `ruleset` by a ruleset instead of the older protection: the API tells of it elsewhere, and it binds admins too.
        """
        rule = {
            "checks": list(checks), "strict": strict, "reviews": reviews,
            "enforce_admins": enforce_admins or ruleset, "ruleset": ruleset,
            "restrict": None if restrict_pushes is None else list(restrict_pushes),
        }  # fmt: skip
        with self.store.transaction():
            repo = self.repository(full_name)
            repo["protection"][branch] = rule
            self.store.save(repo)

    def unprotect(self, full_name: str, branch: str) -> None:
        """Remove a branch's protection."""
        with self.store.transaction():
            repo = self.repository(full_name)
            repo["protection"].pop(branch, None)
            self.store.save(repo)

    def let_actions_open_pulls(self, full_name: str, allowed: bool = True) -> None:
        """The setting that lets jobs' own tokens open pull requests; off in a new repository, as on GitHub."""
        with self.store.transaction():
            self.store.save({**self.repository(full_name), "actions_may_open_pulls": allowed})

    def git(self, repo: Fact) -> GitStore:
        """A repository's git objects."""
        with self._gits_lock:
            if repo["id"] not in self._gits:
                self._gits[repo["id"]] = GitStore(self.home / "git" / f"{repo['id']}.git")
            return self._gits[repo["id"]]

    def push_files(self, full_name: str, files: Mapping[str, bytes | str | None], message: str, *,
                   branch: str | None = None, login: str | None = None) -> str:  # fmt: skip
        """Commit files (None deletes) on a branch as a user would push them; returns the commit's SHA."""
        with self.store.transaction():
            repo = self.repository(full_name)
            name = f"refs/heads/{branch or repo['default_branch']}"
            tip = self.store.ref(repo["id"], name)
            if tip is None and branch:
                tip = self.store.ref(repo["id"], f"refs/heads/{repo['default_branch']}")
            git = self.git(repo)
            changes = [
                (path, None, None)
                if data is None
                else (path, 0o100644, git.write_blob(data.encode() if isinstance(data, str) else data))
                for path, data in files.items()
            ]
            tree = git.write_tree(tip, changes)
            login = login or repo["owner"]
            who = self.identity(login)
            sha = git.write_commit(tree, [tip] if tip else [], message, who, who)
            self.refs.update(repo, name, sha, login, checked=False)
            return sha

    def identity(self, login: str) -> Any:
        """The git identity of an account at this moment."""
        from pawl.localhub.gitstore import Person

        user = self.user(login)
        return Person(login, f"{user['id']}+{login}@users.noreply.github.com", int(self.clock()))

    # -- looking back ----------------------------------------------------------------------------------------------------

    def record(self, exchange: Exchange) -> None:
        """Remember an API request."""
        self.request_log.append(exchange)
        if exchange.repository:
            self._counts[exchange.repository.lower()] += 1

    def api_requests(self, full_name: str) -> int:
        """How many API requests went to a repository since the hub was opened."""
        return self._counts[full_name.lower()]

    @property
    def deliveries(self) -> list[Fact]:
        """All webhook deliveries, oldest first: guid, id, event, action, status_code, key (`pending` or `done`)."""
        return self.store.all("delivery")

    def wait_idle(self, timeout: float = 10.0) -> bool:
        """Wait until no webhook is on its way; False where that takes longer than `timeout` seconds."""
        return self.events.wait_idle(timeout)

    def next_number(self, repo: Fact) -> int:
        """The next issue or pull request number."""
        fresh = self.store.get("repo", repo["id"])
        assert fresh is not None
        number: int = fresh["next_number"]
        self.store.save({**fresh, "next_number": number + 1})
        return number


def require_text(value: Any, resource: str, field: str) -> str:
    """A non-empty string, or GitHub's 422."""
    if not isinstance(value, str) or not value.strip():
        raise invalid(resource, field, "missing_field")
    return value


def _new_key() -> str:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
