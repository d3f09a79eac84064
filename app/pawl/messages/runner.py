"""How a machine's runners are, as a comment in the tracking issue tells it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pawl.messages.labels import Label
from pawl.messages.quoting import Safe, code
from pawl.messages.rendering import render

RUNNERS = Label("pawl:runner", "5319e7", "Where Pawl's runners say how they are")
RUNNERS_TITLE = "Pawl's runners"
MARKER = "<!-- pawl-runner "
"""How every such comment begins, so that nobody takes one for a person's."""


@dataclass(frozen=True)
class Place:
    """One runner of a machine, as people see it."""

    name: str
    labels: tuple[str, ...]
    jobs: int
    """Taken since the supervisor was started."""
    trouble: str = ""
    """Why there is no runner at the moment."""


@dataclass(frozen=True)
class Health:
    """A machine's runners at one moment."""

    host: str
    at: str
    """When, as people read it."""
    duty: str
    """`takes jobs`, `drains` or `has ended`."""
    places: Sequence[Place]


def runner_marker(host: str) -> str:
    """The first line of the comment of one machine; a host's name has letters, digits and hyphens."""
    return f"{MARKER}{host} -->"


def runner_health(health: Health) -> str:
    """The comment."""
    rows = [
        {
            "name": code(place.name),
            "labels": Safe(", ".join(code(label) for label in place.labels)),
            "jobs": Safe(str(place.jobs)),
            "trouble": code(place.trouble[:300].replace("|", "/")) if place.trouble else "",
        }
        for place in health.places
    ]
    return render(
        "runner",
        marker=Safe(runner_marker(health.host)),
        host=code(health.host),
        at=Safe(health.at),
        duty=Safe(health.duty),
        rows=rows,
    )
