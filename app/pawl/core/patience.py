"""How many commands of one person a repository answers: enough for somebody in a hurry, too few to make it shout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta

from pawl.core.asks import NEEDED, Ask, NotUnderstood, Verb, read_command
from pawl.core.ledger import AskLine, Line

PER_HOUR = 20
"""Commands of one person that all loops of a repository answer in an hour: several times what a person in a hurry writes."""
STOPS = frozenset({Verb.PAUSE, Verb.HOLD, Verb.CLOSE})
"""Obeyed from those who may however much they have said: a person can always stop a loop. None is answered by a comment."""
TOO_MANY = (
    f"these are more than {PER_HOUR} commands within an hour in this repository, and Pawl answers no more of them until it "
    f"is quieter. What stops a loop ({', '.join(f'/pawl {verb}' for verb in sorted(STOPS))}) still works for those who may"
)


class Patience:
    """Counts what people said within the last hour, by the ledgers' lines and what is added to them.

    Args:
        lines: of the loop's ledger, and of the other ledgers of its repository.
        at: the time now, UTC, ISO 8601.
    """

    def __init__(self, lines: Iterable[Line], at: str) -> None:
        since = datetime.fromisoformat(at) - timedelta(hours=1)
        asks = (line for line in lines if isinstance(line, AskLine))
        late = [line for line in asks if datetime.fromisoformat(line.at) > since]
        self._said = Counter(line.by for line in late)
        self._told = {line.by for line in late if line.reason == TOO_MANY}

    def ends_before(self, ask: Ask) -> bool:
        """Whether this command is one too many."""
        if self._said[ask.by] < PER_HOUR:
            return False
        with suppress(NotUnderstood):
            verb = read_command(ask.text)[0]
            return not (verb in STOPS and ask.level.reaches(NEEDED[verb]))
        return True

    def count(self, ask: Ask, refusal: str) -> bool:
        """Count a command that has its answer; gives whether the answer is to be shown. The refusal is, once."""
        shown = refusal != TOO_MANY or ask.by not in self._told
        self._said[ask.by] += 1
        if refusal == TOO_MANY:
            self._told.add(ask.by)
        return shown
