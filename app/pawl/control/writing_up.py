"""From proposals that were made to their pull requests, their traces and their cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from pawl.control.figures import Figures
from pawl.control.proposing import Rests, lines_of, opening_of, traces_of
from pawl.control.thinking import Thinker, Thought
from pawl.core.actions import Append, KeepTraces
from pawl.core.config import Loop
from pawl.core.snapshot import Snapshot
from pawl.github.act import Actor
from pawl.github.errors import Moved, RateLimited, Unreachable
from pawl.github.observe import observe


class WriteUp:
    """Writes up the proposals of one repository, and remembers whose proposers rest.

    Args:
        actor: what applies actions to the repository.
        thinker: where proposals wait.
        figures: where they are counted.
        clock: the time now, with its zone.
    """

    def __init__(
        self, actor: Actor, thinker: Thinker, figures: Figures, clock: Callable[[], datetime]
    ) -> None:
        self._actor, self._thinker, self._figures, self._clock = actor, thinker, figures, clock
        self.rests = Rests()

    def open_all(self, loop: str, rules: Loop) -> None:
        """Open what has been made for a loop since the last look.

        Raises:
            GitHubError: GitHub did not do what was asked; what was half open is finished by the next look.
        """
        while (thought := self._thinker.take(loop)) is not None:
            self._open(thought, loop, rules)

    def record(self, thought: Thought, snapshot: Snapshot) -> None:
        """Tell the ledger what a proposal has cost."""
        at = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        if lines := lines_of(thought, snapshot, at):
            self._actor.apply(Append(lines), snapshot)

    def _open(self, thought: Thought, loop: str, rules: Loop) -> None:
        """What it has cost, then its pull request and its trace."""
        snapshot = observe(self._actor.view, loop, rules)
        try:
            self.record(thought, snapshot)
            outcome = "edit" if thought.edit is not None else "none"
            self._figures.proposals.labels(rules.agent.proposer, outcome).inc()
            self._figures.dollars.inc(thought.proposal.spend.money or 0.0)
            if thought.edit is None:
                self.rests.failed(thought, snapshot, self._clock())
                return
            self.rests.offered(loop)
            self._actor.open_experiment(opening_of(thought, snapshot))
            if traces := traces_of(thought):
                self._actor.apply(KeepTraces(thought.number, traces), snapshot)
        except (RateLimited, Unreachable, Moved):
            self._thinker.put_back(loop, thought)  # it may be half open: the next look finishes it
            raise
