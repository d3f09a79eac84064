"""What an installation grants Pawl, permission by permission: its owner may leave out any of them, at any time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

PERMISSIONS = {
    "actions": "write",
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "read",
}
"""What Pawl needs on a repository; docs name the reason for each."""
OPTIONAL = {"administration": "read"}
"""What it uses where somebody grants it, and never asks for: the list of runners, for jobs that none of them takes."""
DISPENSABLE = frozenset({"metadata", "statuses"})
"""Permissions without which it works all the same: GitHub gives the first to every App, and does without the second."""
_BY_PATH = (
    (r"/check-(runs|suites)", "checks"),
    (r"/status(es)?$", "statuses"),
    (r"/actions/", "actions"),
    (r"/issues", "issues"),
    (r"/pulls/\d+/merge$", "contents"),
    (r"/pulls", "pull_requests"),
    (r"/(contents|git|branches|commits|compare)(/|$)", "contents"),
)
"""Permission by what stands in a request's path behind the repository's name. Source: GitHub's REST reference."""
_LEVELS = ("none", "read", "write", "admin")


@dataclass(frozen=True)
class Grant:
    """The permissions of one installation."""

    permissions: Mapping[str, str] = field(default_factory=lambda: dict(PERMISSIONS))
    """Level by name, as GitHub tells it; what is not told is not granted."""
    page: str = ""
    """Where its owner changes them; empty where that is not known."""

    @classmethod
    def read(cls, installation: Mapping[str, Any]) -> Self:
        """From an item of ``GET /app/installations``."""
        return cls(dict(installation.get("permissions") or {}), str(installation.get("html_url") or ""))

    @property
    def usable(self) -> dict[str, str]:
        """What a token may be asked for: what Pawl needs or makes use of, as far as it is granted."""
        uses = {**PERMISSIONS, **OPTIONAL}
        levels = {name: min(most, self._level(name), key=_rank) for name, most in uses.items()}
        return {name: level for name, level in levels.items() if level != "none"}

    @property
    def lacking(self) -> dict[str, str]:
        """What Pawl needs, cannot do without, and is not granted."""
        return {
            name: level
            for name, level in PERMISSIONS.items()
            if name not in DISPENSABLE and not self.allows(name, level)
        }

    def allows(self, name: str, level: str) -> bool:
        """Whether a permission reaches a level."""
        return _rank(self._level(name)) >= _rank(level)

    def _level(self, name: str) -> str:
        level = self.permissions.get(name, "none")
        return level if level in _LEVELS else "none"


def needed_for(doing: str) -> tuple[str, str] | None:
    """The permission and level that a refused request needs, by its verb and path; none where these do not say.

    Args:
        doing: as of `GitHubError`.
    """
    verb, _, path = doing.partition(" ")
    below = re.sub(r"^/repos/[^/]+/[^/]+", "", path)
    name = next((name for pattern, name in _BY_PATH if re.match(rf"(/commits/[^/]+)?{pattern}", below)), None)
    return (name, "read" if verb == "GET" else "write") if name else None


def _rank(level: str) -> int:
    return _LEVELS.index(level)
