"""Self-hosted runners of a repository: registered just in time, listed, removed; and the comment that says how they are.

Registering and removing needs `administration: write`, which the App never has: it is done with a credential of the
machine's own (docs/runner-hardening.md). To list them takes `administration: read`, which may be granted. Source: GitHub's
REST reference, self-hosted runners.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pawl.core.config_file import parse_config
from pawl.core.waiting import Runner
from pawl.github.client import Repository
from pawl.github.errors import NotFound, Unprocessable
from pawl.github.rules_file import rules_file
from pawl.messages.labels import TRACKING
from pawl.messages.runner import RUNNERS, RUNNERS_TITLE

DEFAULT_GROUP = 1
"""The runner group that every repository has."""


@dataclass(frozen=True)
class Registration:
    """A runner that may connect once."""

    id: int
    jit: str = field(repr=False)
    """What the runner's program is handed: it holds the runner's key."""


def register(client: Repository, name: str, labels: tuple[str, ...]) -> Registration:
    """Register a runner that takes one job and is then forgotten by GitHub.

    Raises:
        Conflict: the name is taken.
        GitHubError: GitHub refuses, or does not answer.
    """
    body = {"name": name, "runner_group_id": DEFAULT_GROUP, "labels": list(labels), "work_folder": "_work"}
    made = client.post("actions/runners/generate-jitconfig", body)
    return Registration(int(made["runner"]["id"]), str(made["encoded_jit_config"]))


def listed(client: Repository) -> Iterator[Runner]:
    """Every runner of the repository; those of its organisation are not among them."""
    for item in client.pages("actions/runners", "runners"):
        labels = tuple(str(label["name"]) for label in item["labels"])
        yield Runner(
            int(item["id"]), str(item["name"]), item["status"] == "online", bool(item["busy"]), labels
        )


def remove(client: Repository, runner: int) -> bool:
    """Remove a runner; false where it has a job, and stays. One that is gone already counts as removed."""
    try:
        client.delete(f"actions/runners/{runner}")
    except NotFound:
        return True
    except Unprocessable:
        return False
    return True


def is_private(client: Repository) -> bool:
    """Whether only people who were let in can read the repository."""
    return bool(client.get()["private"])


def pinned_images(client: Repository) -> tuple[str, ...]:
    """The images that the repository's loops name by digest, as its rules stand.

    Raises:
        ConfigError: the rules cannot be read.
        GitHubError: GitHub refuses, or does not answer.
    """
    file = rules_file(client)
    images = [loop.run.image or "" for loop in parse_config(file.text).loops.values()] if file else []
    return tuple(dict.fromkeys(image for image in images if "@sha256:" in image))


class HealthComment:
    """One comment on each open tracking issue, edited in place; without such an issue, on one of the runners' own."""

    def __init__(self, client: Repository, marker: str) -> None:
        self._client, self._marker = client, marker
        self._written: dict[int, int] = {}

    def tell(self, text: str) -> None:
        """Let the comment say this.

        Raises:
            GitHubError: GitHub refuses, or does not answer.
        """
        for issue in self._places():
            if issue not in self._written:
                self._find(issue)
            if issue in self._written:
                try:
                    self._client.patch(f"issues/comments/{self._written[issue]}", {"body": text})
                    continue
                except NotFound:  # somebody deleted it
                    del self._written[issue]
            self._written[issue] = int(self._client.post(f"issues/{issue}/comments", {"body": text})["id"])

    def _places(self) -> list[int]:
        for label in (TRACKING.name, RUNNERS.name):
            found = [int(item["number"]) for item in self._client.pages("issues", labels=label, state="open")]
            if found:
                return found
        body = {"title": RUNNERS_TITLE, "labels": [RUNNERS.name]}
        return [int(self._client.post("issues", body)["number"])]

    def _find(self, issue: int) -> None:
        for item in self._client.pages(f"issues/{issue}/comments"):
            if (item.get("body") or "").startswith(self._marker):
                self._written[issue] = int(item["id"])
                return
