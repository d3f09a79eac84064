"""What GitHub said, as values: the few fields that Pawl looks at, read once at the border."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from pawl.core.snapshot import JobStatus
from pawl.github.names import read_title


def _status(text: str) -> JobStatus:
    """GitHub also says requested, waiting, pending: all of them have not begun."""
    if text == "completed":
        return "completed"
    return "in_progress" if text == "in_progress" else "queued"


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _labels(data: dict[str, Any]) -> frozenset[str]:
    return frozenset(label if isinstance(label, str) else str(label["name"]) for label in data["labels"])


@dataclass(frozen=True)
class Home:
    """What GitHub says of a repository itself."""

    name: str
    """``owner/name``, as it is called today."""
    default_branch: str
    public: bool
    """Whether anybody may read it; one that is internal to an enterprise is not."""
    archived: bool
    fork: bool
    page: str
    """Its address for people."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From ``GET /repos/{owner}/{name}``."""
        return cls(
            name=data["full_name"],
            default_branch=data["default_branch"],
            public=not data["private"],
            archived=bool(data.get("archived")),
            fork=bool(data.get("fork")),
            page=data["html_url"],
        )


@dataclass(frozen=True)
class Branch:
    """The tip of a branch, and what GitHub requires before it may move."""

    name: str
    sha: str
    protected: bool = False
    required_checks: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From ``GET branches/{branch}``."""
        required = (data.get("protection") or {}).get("required_status_checks") or {}
        checks = tuple(str(name) for name in required.get("contexts") or ())
        return cls(data["name"], data["commit"]["sha"], bool(data.get("protected")), checks)


@dataclass(frozen=True)
class Pull:
    """A pull request."""

    number: int
    branch: str
    base: str
    """The branch it is to be merged into."""
    head: str
    own: bool
    """Whether it comes from this repository and from no fork."""
    open: bool
    merged: bool
    merge_commit: str
    labels: frozenset[str]
    updated_at: str = ""
    ended_by: str | None = None
    """Who closed it, where Pawl knows without asking."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From an item of ``GET pulls``."""
        merged = bool(data.get("merged_at"))
        source = data["head"]["repo"] or {}  # none once a fork is gone
        return cls(
            number=data["number"],
            branch=data["head"]["ref"],
            base=data["base"]["ref"],
            head=data["head"]["sha"],
            own=source.get("id") == data["base"]["repo"]["id"],  # its name may have changed
            open=data["state"] == "open",
            merged=merged,
            merge_commit=(data.get("merge_commit_sha") or "") if merged else "",
            labels=_labels(data),
            updated_at=data.get("updated_at") or "",
        )


@dataclass(frozen=True)
class ConfigFile:
    """A configuration as it is written down."""

    sha: str
    """Git's name of its content."""
    text: str


@dataclass(frozen=True)
class Invitation:
    """The pull request that offers Pawl to a repository."""

    number: int
    head: str
    open: bool
    merged: bool
    body: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From an item of ``GET pulls``."""
        return cls(
            number=data["number"],
            head=data["head"]["sha"],
            open=data["state"] == "open",
            merged=bool(data.get("merged_at")),
            body=data.get("body") or "",
        )


@dataclass(frozen=True)
class CheckRun:
    """A check run on a commit."""

    id: int
    name: str
    head: str
    status: JobStatus
    conclusion: str
    external_id: str
    text: str
    own: bool
    """Whether Pawl's own App made it: others may give theirs any name."""
    began: datetime | None = None
    """When its job was first seen to run; none before that, and where GitHub tells no time."""
    summary: str = ""
    app: str = ""
    """Slug of the App that made it; empty where GitHub does not say."""

    @classmethod
    def read(cls, data: dict[str, Any], owns: Callable[[Mapping[str, Any] | None], bool]) -> Self:
        """From ``GET check-runs/{id}`` or an item of a commit's list."""
        return cls(
            id=data["id"],
            name=data["name"],
            head=data["head_sha"],
            status=_status(data["status"]),
            conclusion=data.get("conclusion") or "",
            external_id=data.get("external_id") or "",
            text=(data.get("output") or {}).get("text") or "",
            own=owns(data.get("app")),
            began=_time(data.get("started_at")) if data["status"] == "in_progress" else None,
            summary=(data.get("output") or {}).get("summary") or "",
            app=str((data.get("app") or {}).get("slug") or ""),
        )

    @property
    def attempt(self) -> tuple[str, int] | None:
        """What its external id names: ``("12", 1)``, or ``("c3", 1)`` for a calibration."""
        number, _, attempt = self.external_id.partition(".")
        return (number, int(attempt)) if re.fullmatch("[1-9][0-9]{0,8}", attempt) else None


@dataclass(frozen=True)
class Status:
    """A commit status: the older kind of check."""

    context: str
    state: str


@dataclass(frozen=True)
class Dispatched:
    """A workflow run of the measuring workflow, with what its title says."""

    id: int
    loop: str
    key: str
    check_run: int
    status: JobStatus
    conclusion: str
    url: str
    since: datetime | None = field(default=None, compare=False)
    """When it was started, or started again; none until the job is first read, since the answer to a start does not say."""

    @classmethod
    def read(cls, data: dict[str, Any], default_branch: str) -> Self | None:
        """From an item of a workflow's runs.

        None where the title is not one of Pawl's, or where the workflow's file came from another branch than the default
        one: whoever may start workflows could let such a run say anything.
        """
        titled = read_title(data.get("display_title") or "")
        if titled is None or data["event"] != "workflow_dispatch" or data["head_branch"] != default_branch:
            return None
        return cls(
            id=data["id"],
            loop=titled.loop,
            key=titled.key,
            check_run=titled.check_run,
            status=_status(data["status"] or ""),
            conclusion=data.get("conclusion") or "",
            url=data.get("html_url") or "",
            since=datetime.fromisoformat(data.get("run_started_at") or data["created_at"]),
        )


@dataclass(frozen=True)
class Comment:
    """A comment on an issue or a pull request."""

    id: int
    number: int
    """The issue or pull request."""
    author: str
    person: bool
    """Whether a person wrote it, and no App."""
    body: str
    edited: bool
    """Whether somebody has changed it since."""
    at: str
    """When it was written, UTC, ISO 8601."""

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From an item of ``GET issues/comments``."""
        user = data.get("user") or {}
        return cls(
            id=data["id"],
            number=int(str(data["issue_url"]).rsplit("/", 1)[-1]),
            author=str(user.get("login", "")),
            person=user.get("type") == "User" and not data.get("performed_via_github_app"),
            body=data.get("body") or "",
            edited=data["created_at"] != data["updated_at"],
            at=data["created_at"],
        )


@dataclass(frozen=True)
class Issue:
    """An issue; for Pawl the tracking one."""

    number: int
    title: str
    body: str
    open: bool
    labels: frozenset[str]
    author: str

    @classmethod
    def read(cls, data: dict[str, Any]) -> Self:
        """From an item of ``GET issues``."""
        return cls(
            number=data["number"],
            title=data["title"],
            body=data.get("body") or "",
            open=data["state"] == "open",
            labels=_labels(data),
            author=(data.get("user") or {}).get("login", ""),
        )
