"""What people ask Pawl for, in comments and by buttons: read strictly, and obeyed from those who may.

A command is the first line of a comment, and nothing else of it. Nothing in a comment is ever interpreted further.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

IDEA = 500
"""Characters of an idea, or of a reason."""
SAID = 200
"""Characters of a command that are kept."""
_COMMAND = re.compile(r"/pawl(?:[ \t]+(?P<verb>[A-Za-z]+)(?P<rest>[ \t].*)?)?[ \t]*")


class Verb(StrEnum):
    """What can be asked."""

    STATUS = "status"
    EXPLAIN = "explain"
    BUDGET = "budget"
    HELP = "help"
    TRY = "try"
    RERUN = "rerun"
    MERGE = "merge"
    CLOSE = "close"
    HOLD = "hold"
    PAUSE = "pause"
    RESUME = "resume"
    DISMISS = "dismiss"


class Level(StrEnum):
    """What a person may do in a repository, by GitHub's names for it."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    @classmethod
    def of(cls, name: str) -> Level:
        """A role by its name; a name that nobody knows is none."""
        return cls(name) if name in cls._value2member_map_ else cls.NONE

    def reaches(self, other: Level) -> bool:
        """Whether this is at least the other."""
        order = list(Level)
        return order.index(self) >= order.index(other)


NEEDED = {
    Verb.STATUS: Level.READ,
    Verb.EXPLAIN: Level.READ,
    Verb.BUDGET: Level.READ,
    Verb.HELP: Level.READ,
    Verb.HOLD: Level.TRIAGE,
    Verb.CLOSE: Level.TRIAGE,
    Verb.PAUSE: Level.TRIAGE,
    Verb.TRY: Level.WRITE,
    Verb.RERUN: Level.WRITE,
    Verb.MERGE: Level.WRITE,
    Verb.RESUME: Level.WRITE,
    Verb.DISMISS: Level.MAINTAIN,
}
"""Who may: whoever may triage may stop things, whoever may write may move them on."""
AFTER_INCIDENT = Level.MAINTAIN
"""What it takes to resume, or to merge, while an incident is open."""
WANTED = {Verb.TRY: "an idea", Verb.DISMISS: "the reason"}
"""What must stand behind a verb, on the same line; nothing may stand behind any other."""
OF_EXPERIMENTS = frozenset({Verb.EXPLAIN, Verb.RERUN, Verb.MERGE, Verb.CLOSE, Verb.HOLD})
"""What is asked of one experiment, in its pull request."""


class NotUnderstood(Exception):
    """A command that is none; the text says why, for whoever wrote it."""


@dataclass(frozen=True)
class Labelled:
    """Who has put a label where it is."""

    by: str
    level: Level


@dataclass(frozen=True)
class Ask:
    """A command that the ledger has no answer to yet."""

    id: str
    """The comment's id, or ``press-`` and the digest of the delivery that told of a button."""
    by: str
    level: Level
    text: str
    """The command's line."""
    number: int
    """The issue or pull request it stands in."""
    experiment: int | None = None
    """The experiment whose pull request that is; none in the tracking issue."""
    comment: int = 0
    """The comment; 0 for a button."""
    head: str = ""
    """The commit whose check run the button is of; empty for a comment, which is about whatever is there."""

    @property
    def key(self) -> str:
        """Names its one line in the ledger."""
        return f"ask:{self.id}"


def command_line(body: str) -> str:
    """The first line of a comment, if it is a command; empty otherwise."""
    first = body.replace("\r\n", "\n").split("\n", 1)[0]
    return first[: SAID + IDEA] if re.match(r"/pawl(?:\s|$)", first) else ""


def read_command(text: str) -> tuple[Verb, str]:
    """A command's verb and, for ``try`` and ``dismiss``, the idea or the reason behind it.

    Raises:
        NotUnderstood: it is no command that exists.
    """
    found = _COMMAND.fullmatch(text)
    name = (found["verb"] or "help").lower() if found else ""
    if found is None or name not in Verb._value2member_map_:
        raise NotUnderstood("there is no such command")
    verb, rest = Verb(name), (found["rest"] or "").strip()
    if verb in WANTED and not rest:
        raise NotUnderstood(f"/pawl {verb} wants {WANTED[verb]} behind it, on the same line")
    if verb not in WANTED and rest:
        raise NotUnderstood(f"/pawl {verb} stands alone on its line")
    return verb, rest[:IDEA]
