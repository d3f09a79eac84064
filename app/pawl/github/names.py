"""What Pawl calls things on GitHub, and how it knows them again: branches, check runs, the titles of jobs."""

from __future__ import annotations

import re
from typing import NamedTuple

from pawl.core.measurement import Request

_EXPERIMENT = re.compile(r"pawl/(?P<loop>[a-z0-9][a-z0-9-]{0,38})/(?P<number>[1-9][0-9]{0,8})")
_TITLE = re.compile(
    r"pawl (?P<loop>[a-z0-9][a-z0-9-]{0,38}) (?P<key>c?[0-9]{1,9}\.[0-9]{1,9}) (?P<check_run>[0-9]{1,18})"
)

ONBOARDING_BRANCH = "pawl/onboarding"
"""Where the pull request comes from that offers Pawl to a repository."""
CONFIG_CHECK = "pawl/config"
"""The check run that says what is wrong with a configuration. `config` is no loop's name, so it is never a loop's check."""


def experiment_branch(loop: str, number: int) -> str:
    """The branch that an experiment's pull request comes from."""
    return f"pawl/{loop}/{number}"


def experiment_of(branch: str, loop: str) -> int | None:
    """The number of the experiment a branch belongs to; none if it is no experiment of this loop."""
    match = _EXPERIMENT.fullmatch(branch)
    return int(match["number"]) if match and match["loop"] == loop else None


def is_experiment(branch: str) -> bool:
    """Whether a branch is named as an experiment's, of whichever loop."""
    return _EXPERIMENT.fullmatch(branch) is not None


def check_name(loop: str, key: str = "") -> str:
    """The name of the check run that holds a request. A calibration of a commit never hides the verdict that made it."""
    return f"pawl/{loop}/calibration" if key.startswith("c") else f"pawl/{loop}"


def job_title(loop: str, request: Request) -> str:
    """The title of the job that answers a request: how the job is found again."""
    return f"pawl {loop} {request.key} {request.check_run}"


class Titled(NamedTuple):
    """What the title of a job says."""

    loop: str
    key: str
    check_run: int


def read_title(title: str) -> Titled | None:
    """The same, read back; none where the title is not one of Pawl's."""
    match = _TITLE.fullmatch(title)
    return Titled(match["loop"], match["key"], int(match["check_run"])) if match else None
