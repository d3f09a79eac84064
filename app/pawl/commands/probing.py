"""The throw-away ground that probes of GitHub stand on, the transcript of what was said, and how a probe ends."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pawl.github.app import App
from pawl.github.client import Connection, Repository
from pawl.github.errors import GitHubError

NAMESPACE = "pawl/conformance"
"""Every branch and ref that a probe makes lies below it. The default branch is only read."""
PATIENCE = 60.0
"""Seconds in which GitHub must have followed up on something."""
POLL = 2.0
LONGEST_TEXT = 2000
LONGEST_LIST = 20

_SECRET_KEYS = frozenset(
    {"token", "pem", "client_secret", "webhook_secret", "secret", "temp_clone_token", "encoded_jit_config"}
)
_SECRETS = re.compile(
    r"\b(?:gh[a-z]_|github_pat_|ey)[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+){0,2}|-----BEGIN[^-]+PRIVATE KEY-----[^-]*"
)
_QUERY = re.compile(r"(https?://[^\s\"?]+)\?[^\s\"]+")


class Failed(Exception):
    """GitHub does not do what is assumed; the text says what it did."""


class Skipped(Exception):
    """The assumption cannot be tried here; the text says why."""


def redacted(value: Any) -> Any:
    """A request or answer without secrets, and without more than a reader needs."""
    if isinstance(value, dict):
        return {
            key: "(removed)" if key in _SECRET_KEYS and item else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [redacted(item) for item in value[:LONGEST_LIST]]
    if isinstance(value, str):
        text = _QUERY.sub(r"\1?(removed)", _SECRETS.sub("(removed)", value))
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… ({len(text)} characters)"
    return value


class Recorder(Connection):
    """A connection that notes what is sent and answered."""

    def __init__(self, inner: Connection) -> None:
        self._inner = inner
        self.exchanges: list[dict[str, Any]] = []

    def send(self, verb: str, path: str, body: Any = None, **parameters: Any) -> tuple[dict[str, Any], Any]:
        """One request, noted without its headers, which hold the credentials."""
        exchange: dict[str, Any] = {"request": f"{verb} {redacted(path)}"}
        if parameters:
            exchange["query"] = redacted(parameters)
        if body is not None:
            exchange["body"] = redacted(body)
        self.exchanges.append(exchange)
        try:
            headers, answer = self._inner.send(verb, path, body, **parameters)
        except GitHubError as error:
            exchange["refused"] = {"status": error.status, "message": redacted(error.message)}
            raise
        exchange["answer"] = redacted(answer)
        if "location" in headers:
            exchange["location"] = redacted(str(headers["location"]))
        return headers, answer


@dataclass
class Ground:
    """A base branch in a repository, made for one round of probes, and everything that was put on it.

    Args:
        repository: a client of the repository.
        mark: names the round; two rounds never share one.
        app: Pawl as an App; none for a plain token.
        local: whether this is a GitHub on this machine.
        sleep: how to wait.
    """

    repository: Repository
    mark: str
    app: App | None = None
    local: bool = False
    sleep: Callable[[float], None] = time.sleep
    default_branch: str = field(init=False, default="")
    tip: str = field(init=False, default="")
    jobs: list[int] = field(init=False, default_factory=list)
    _count: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        # The client offers no hook, and needs none elsewhere.
        self.recorder = Recorder(self.repository._connection)
        self.client = Repository(self.recorder, self.repository.name, self.repository.signed)

    @property
    def prefix(self) -> str:
        """Below which all branches of this round lie."""
        return f"{NAMESPACE}/{self.mark}"

    @property
    def label(self) -> str:
        """A label that only this round has."""
        return f"pawl-conformance-{self.mark}"

    def prepare(self) -> None:
        """Find out where the default branch is.

        Raises:
            GitHubError: the repository is empty, or not for us to see.
        """
        self.default_branch = str(self.client.get()["default_branch"])
        self.tip = str(self.client.get(f"branches/{self.default_branch}")["commit"]["sha"])

    # Making things.

    def name(self, what: str) -> str:
        """A new name below the prefix."""
        self._count += 1
        return f"{self.prefix}/{what}-{self._count}"

    def branch(self, what: str, sha: str | None = None) -> str:
        """A new branch at a commit, by default at the default branch's tip; returns its name."""
        name = self.name(what)
        self.client.post("git/refs", {"ref": f"refs/heads/{name}", "sha": sha or self.tip})
        return name

    def commit(self, parent: str | None, text: str, message: str = "A probe [skip ci]") -> dict[str, Any]:
        """A commit that puts a text into ``pawl-conformance.txt``, on no branch yet."""
        body: dict[str, Any] = {
            "tree": [{"path": "pawl-conformance.txt", "mode": "100644", "type": "blob", "content": text}]
        }
        if parent is not None:
            body["base_tree"] = self.client.get(f"git/commits/{parent}")["tree"]["sha"]
        tree = self.client.post("git/trees", body)["sha"]
        made: dict[str, Any] = self.client.post(
            "git/commits", {"message": message, "tree": tree, "parents": [parent] if parent else []}
        )
        return made

    def pull(self, message: str = "A probe [skip ci]") -> tuple[dict[str, Any], str, str]:
        """A pull request of one commit against a base of its own; returns it with the names of head and base."""
        base = self.branch("base")
        head = self.branch("head", self.commit(self.tip, self.name("text"), message)["sha"])
        body = {
            "title": f"Probe {self.mark}: closes itself",
            "body": "Opened by `pawl conformance`, which closes it again. Nothing of it is merged into a branch of yours.",
            "head": head,
            "base": base,
        }
        return self.client.post("pulls", body), head, base

    def put(self, branch: str, path: str, text: str, sha: str | None, message: str) -> dict[str, Any]:
        """A file put on a branch by a commit of its own."""
        body = {
            "message": message,
            "content": base64.b64encode(text.encode()).decode(),
            "branch": branch,
            **({"sha": sha} if sha else {}),
        }
        made: dict[str, Any] = self.client.put(f"contents/{path}", body)
        return made

    # Finding out.

    def refusal(self, doing: Callable[[], Any], *statuses: int) -> GitHubError:
        """The refusal that a request must meet.

        Raises:
            Failed: it was not refused, or with another status.
        """
        try:
            answer = doing()
        except GitHubError as error:
            if error.status not in statuses:
                raise Failed(f"it was refused with {error.status} ({error.message})") from error
            return error
        raise Failed(f"it was not refused; the answer was {str(redacted(answer))[:200]}")

    def until(self, told: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
        """What is told as soon as it is true.

        Raises:
            Failed: it is not, after so many seconds.
        """
        waited = 0.0
        while not (answer := told()):
            if waited >= seconds:
                raise Failed(f"after {seconds:.0f} seconds: {what}")
            self.sleep(POLL)
            waited += POLL
        return answer

    # Leaving nothing behind.

    def clean(self) -> list[str]:
        """Close, cancel and delete everything of this round; returns what could not be, in words."""
        left: list[str] = []

        def attempt(what: str, doing: Callable[[], Any]) -> None:
            try:
                doing()
            except GitHubError as error:
                if error.status not in (404, 422):  # gone already
                    left.append(f"{what}: {error.message}")

        for job in self.jobs:
            try:
                if self.client.get(f"actions/runs/{job}")["status"] != "completed":
                    self.client.post(f"actions/runs/{job}/cancel")
            except GitHubError as error:
                if error.status not in (404, 409):
                    left.append(f"job {job}: {error.message}")
        attempt("pull requests", self._close_pulls)
        for ref in list(self._refs()):
            attempt(ref, lambda ref=ref: self.client.delete(f"git/{ref}"))  # type: ignore[misc]
        attempt(f"label {self.label}", lambda: self.client.delete(f"labels/{self.label}"))
        return left

    def _close_pulls(self) -> None:
        for pull in list(self.client.pages("pulls", state="open")):
            if str(pull["head"]["ref"]).startswith(self.prefix + "/"):
                self.client.patch(f"issues/{pull['number']}", {"state": "closed"})

    def _refs(self) -> Iterator[str]:
        for kind in ("heads/", ""):
            for item in self.client.get(f"git/matching-refs/{kind}{self.prefix}/"):
                yield str(item["ref"])


def require(true: object, otherwise: str) -> None:
    """The heart of a probe.

    Raises:
        Failed: it is not true.
    """
    if not true:
        raise Failed(otherwise)


def host_of(address: str) -> str:
    """The host and port of an address."""
    return urlsplit(address).netloc
