"""Whether a repository is offered Pawl: one pull request, once, and never again after a no."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Offer(StrEnum):
    """What is to be done about the pull request that offers Pawl."""

    NOTHING = "nothing"
    BRANCH = "branch"
    """Make its branch, then look again."""
    OPEN = "open"
    """Open it from the branch that is there."""
    REFRESH = "refresh"
    """Let it say what its branch says now."""
    FAREWELL = "farewell"
    """Say, once, that the no was understood."""


@dataclass(frozen=True)
class Ground:
    """What is known of a repository that has no configuration."""

    archived: bool
    fork: bool
    empty: bool
    chosen: bool
    """Whether somebody picked this repository; false where the App was installed on everything an account has."""
    recognised: bool
    """Whether a layout was recognised in it."""
    used: bool
    """Whether it has a ledger: whoever took the configuration away knows Pawl already."""
    branch: bool
    """Whether the offer's branch is there."""
    pull: Literal["", "open", "closed", "merged"]
    """State of the offer's pull request; empty if there never was one."""


def offer(ground: Ground) -> Offer:
    """What to do now; each step leads to a ground on which it is not done again."""
    if ground.archived or ground.pull == "merged":
        return Offer.NOTHING
    if ground.pull == "open":
        return Offer.REFRESH
    if ground.pull == "closed":
        return Offer.FAREWELL
    if ground.fork or ground.empty or ground.used:
        return (
            Offer.NOTHING
        )  # a fork's owner came for somebody else's code, and an empty one has nothing to improve
    if ground.branch:
        return Offer.OPEN
    return Offer.BRANCH if ground.chosen or ground.recognised else Offer.NOTHING
