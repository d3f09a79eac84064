"""What is said where an installation does not grant what Pawl needs."""

from __future__ import annotations

from collections.abc import Mapping

from pawl.messages.quoting import Safe, code
from pawl.messages.rendering import render

TITLE = "Pawl waits for permissions"
MARKER = Safe("<!-- pawl-permissions -->")
UNREAD = (
    "commit statuses are not read before a merge, since the installation does not grant statuses (read); "
    "check runs are, and what the branch requires GitHub enforces itself"
)
_PURPOSES = {
    "actions": "start measuring jobs and read what they found",
    "checks": "keep the state of every attempt in a check run",
    "contents": "read the rules, and write the experiments' branches, the ledger and the loop's branch",
    "issues": "keep the tracking issue and its labels",
    "pull_requests": "open, comment on and close experiments",
}


def waiting_words(lacking: Mapping[str, str], page: str) -> str:
    """Why a loop stands still, in a sentence.

    Args:
        lacking: level by name.
        page: where the installation's owner grants it; empty where that is not known.
    """
    named = ", ".join(f"{name} ({level}), to {_purpose(name)}" for name, level in sorted(lacking.items()))
    place = page or "the installation's page, under Settings, GitHub Apps"
    return (
        f"the App's installation does not grant {named}. If its own page asks its owner for nothing, whoever "
        "registered the App adds it to the App's settings first, under Permissions and events. Its owner grants it "
        f"on {place}"
    )


def waiting_page(lacking: Mapping[str, str], page: str) -> str:
    """The same where there is no tracking issue: an issue, a check run or a comment of its own."""
    rows = [
        {"permission": code(f"{name}: {level}"), "purpose": Safe(_purpose(name))}
        for name, level in sorted(lacking.items())
    ]
    return render("permissions", marker=MARKER, lacking=rows, page=code(page) if page else "")


def granted_page() -> str:
    """What stands there once it is granted."""
    return render("permissions_granted", marker=MARKER)


def _purpose(name: str) -> str:
    return _PURPOSES.get(name, "work")
