"""What a webhook means for the cached view of a repository: which facets to read again, and nothing more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pawl.github.facets import Facet

ALL: frozenset[Facet] = frozenset({"refs", "pulls", "tracking", "comments", "jobs", "checks"})

_FACETS: dict[str, frozenset[Facet]] = {
    "push": frozenset({"refs", "pulls"}),
    "create": frozenset({"refs"}),
    "delete": frozenset({"refs", "pulls"}),
    "pull_request": frozenset({"refs", "pulls"}),
    "pull_request_review": frozenset({"pulls"}),
    "issues": frozenset({"tracking"}),
    "issue_comment": frozenset({"comments"}),
    "check_run": frozenset({"checks"}),
    "check_suite": frozenset({"checks"}),
    "status": frozenset({"checks"}),
    "workflow_run": frozenset({"jobs"}),
    "repository": ALL,
}
_UNTOLD = frozenset({"requested"})
"""Actions that tell nothing Pawl does not know: it queued the job itself."""
SUBSCRIBED = frozenset(_FACETS)
"""Events that the App must be subscribed to; those about installations come without being asked for."""
INSTALLATION_EVENTS = frozenset({"installation", "installation_repositories"})
LISTING_EVENTS = INSTALLATION_EVENTS | {"repository"}
"""Events after which GitHub is asked again where the App is installed: names, owners and archives change there too."""
LONGEST = 200
"""Characters of a name; GitHub's own are shorter."""


class Delivered(NamedTuple):
    """A webhook that GitHub has signed."""

    event: str
    """X-GitHub-Event."""
    guid: str
    """X-GitHub-Delivery, which a redelivery shares."""
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class Event:
    """The part of a delivery that matters."""

    name: str
    action: str
    repository: str
    sender: str
    began: int | None = None
    """The workflow run that it says has begun; none where it says nothing of the kind."""
    merged: int | None = None
    """The pull request that it says is merged; none where it says nothing of the kind."""
    checked: str = ""
    """The commit whose checks or statuses it tells of; empty where it tells of none."""
    checker: str = ""
    """Login of the App whose check it tells of; empty where it tells of none."""

    @classmethod
    def read(cls, name: str, payload: Mapping[str, Any]) -> Event:
        """The event in a payload; parts that are missing or of another type are empty."""
        check = _mapping(payload.get(name)) if name in ("check_run", "check_suite") else {}
        slug = named_text(_mapping(check.get("app")).get("slug"))
        return cls(
            name=name,
            action=named_text(payload.get("action")),
            repository=named_text(_mapping(payload.get("repository")).get("full_name")),
            sender=named_text(_mapping(payload.get("sender")).get("login")),
            began=_began(payload) if name == "workflow_run" else None,
            merged=_merged(payload) if name == "pull_request" else None,
            checked=named_text(payload.get("sha") if name == "status" else check.get("head_sha")),
            checker=slug and f"{slug}[bot]",
        )

    def stale_facets(self, own_login: str) -> frozenset[Facet]:
        """What to read again because of it; empty for events that tell nothing new.

        Pawl's own effects are in its view already. A workflow run is never its own effect, though GitHub names the App
        that dispatched it as the sender; nor is another App's check of a commit, whose sender is who has pushed it.
        """
        if self.name == "workflow_run":
            return frozenset() if self.action in _UNTOLD else _FACETS[self.name]
        if self.sender == own_login and self.checker in ("", own_login):
            return frozenset()
        return _FACETS.get(self.name, frozenset())


def _began(payload: Mapping[str, Any]) -> int | None:
    run = _mapping(payload.get("workflow_run")).get("id")
    return run if payload.get("action") == "in_progress" and isinstance(run, int) else None


def _merged(payload: Mapping[str, Any]) -> int | None:
    pull = _mapping(payload.get("pull_request"))
    number = pull.get("number")
    closed = payload.get("action") == "closed" and pull.get("merged") is True
    return number if closed and isinstance(number, int) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def named_text(value: Any) -> str:
    """A text that a name can be; anything else says nothing. JSON may hold half a surrogate pair: no database takes it."""
    named = isinstance(value, str) and len(value) <= LONGEST and value.isprintable()
    return value if named else ""
