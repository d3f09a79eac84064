"""What can go wrong between Pawl and GitHub, one class per meaning."""

from __future__ import annotations

from typing import Any


class GitHubError(Exception):
    """A request that did not succeed; the classes below say what that means.

    Attributes:
        status: HTTP status of the answer, 0 where there was none.
        message: GitHub's own words, with its field errors.
        doing: what Pawl asked for, as verb and path.
        documentation: GitHub's page on that request; may be empty.
    """

    hint = ""

    def __init__(self, status: int, message: str, doing: str, documentation: str = "") -> None:
        self.status, self.message, self.doing, self.documentation = status, message, doing, documentation
        answered = f"GitHub answered {status}" if status else "no usable answer from GitHub"
        parts = [f"{doing}: {answered} ({message})", self.hint, documentation and f"See {documentation}"]
        super().__init__(". ".join(part.rstrip(".") for part in parts if part))


class NotFound(GitHubError):
    """Not there, or not for us to see."""

    hint = "Either it does not exist, or Pawl is not installed on that repository"


class Conflict(GitHubError):
    """Something moved in the meantime (409)."""


class Unprocessable(GitHubError):
    """GitHub understood and refuses: a rule, a missing object, or something that is there already (405, 422)."""

    @property
    def already_exists(self) -> bool:
        """Whether it refuses because an earlier request had its effect."""
        return "already exists" in self.message.lower() or "already_exists" in self.message

    @property
    def not_fast_forward(self) -> bool:
        """Whether a branch was not moved because it is no longer where it was seen."""
        return "fast forward" in self.message.lower().replace("-", " ")

    @property
    def method_not_allowed(self) -> bool:
        """Whether a pull request was not merged because the repository's settings do not allow that way of merging."""
        return "not allowed on this repository" in self.message.lower()

    @property
    def in_the_way(self) -> bool:
        """Whether another branch's name is a folder of this one's, or the other way round: git cannot hold both."""
        return "reference update failed" in self.message.lower()


class Forbidden(GitHubError):
    """The credentials are wrong, or do not reach this far (401, 403)."""

    hint = (
        "Check the App's id and private key, or the token, and that the installation has accepted the permissions "
        "Pawl needs (its page under Settings, GitHub Apps)"
    )


class RateLimited(GitHubError):
    """Too many requests. `retry_at` is when to come back, in seconds since 1970."""

    def __init__(self, status: int, message: str, doing: str, retry_at: float) -> None:
        self.retry_at = retry_at
        super().__init__(status, message, doing)


class Unreachable(GitHubError):
    """No connection, no answer in time, or an answer that is no answer (5xx, not JSON).

    A write may have had its effect all the same: look before it is made again.
    """

    hint = "If that lasts, check the network, the proxy, and PAWL_API where it is set"


class Moved(Exception):
    """What a decision rested on has changed since it was seen: look again. Nothing was written."""


class Refused(Exception):
    """GitHub's own rules keep a commit out of the branch; the text is its reason, for a person."""


class Unobservable(Exception):
    """A loop that cannot be looked at until a person changes something; the text says what."""


def in_the_way(branch: str) -> str:
    """What to tell whoever must make room for one of Pawl's branches."""
    folders = branch.split("/")[:-1]
    names = " or ".join("/".join(folders[: depth + 1]) for depth in range(len(folders)))
    return f"GitHub cannot create the branch {branch}: a branch named {names} is in its way. Rename or delete that one"


def said(data: Any) -> tuple[str, str]:
    """Message and documentation link of an error answer, the field errors included."""
    if not isinstance(data, dict):
        return ("no reason given", "")
    parts = [str(data.get("message") or data.get("data") or "no reason given")[:500]]
    errors = data.get("errors")
    for error in errors if isinstance(errors, list) else []:
        if isinstance(error, dict):
            known = [str(error[name]) for name in ("resource", "field", "code") if error.get(name)]
            parts.append(str(error.get("message") or " ".join(known)))
        else:
            parts.append(str(error))
    return "; ".join(parts), str(data.get("documentation_url") or "")
