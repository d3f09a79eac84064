"""The loops of one repository: look, decide, act, until there is nothing left to do."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from pawl.control.thinking import Thinker, Thought
from pawl.core.actions import Action, Merge, Propose, UpdateTracking
from pawl.core.config import Loop
from pawl.core.config_file import ConfigError
from pawl.core.decide import Circumstances, decide
from pawl.core.ledger import LedgerError
from pawl.core.snapshot import Snapshot
from pawl.github.act import Actor
from pawl.github.errors import Moved, RateLimited, Refused, Unobservable, Unreachable
from pawl.github.facets import Facet
from pawl.github.observe import observe
from pawl.github.view import RepositoryView
from pawl.meta.registry import proposer_for

log = structlog.get_logger(__name__)

MAX_ROUNDS = 12
"""Rounds of one look. A loop comes to rest in fewer; what is left waits for the next look."""


@dataclass(frozen=True)
class Looked:
    """What one look at a loop found and did."""

    loop: str
    snapshot: Snapshot | None = None
    actions: tuple[Action, ...] = ()
    problem: str = ""
    """Why the loop cannot be looked at, for a person."""


class RepositoryLoops:
    """Everything Pawl does in one repository. Looks are serialised by the caller; `note` may be called from any thread.

    Args:
        name: ``owner/name``.
        view: the cached facets of the repository.
        actor: what applies actions to it.
        thinker: where proposals are made.
        seed_key: the secret from which seeds are drawn.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        name: str,
        view: RepositoryView,
        actor: Actor,
        thinker: Thinker,
        seed_key: bytes,
        clock: Callable[[], datetime],
    ) -> None:
        self.name, self.view, self._actor, self._thinker = name, view, actor, thinker
        self._seed_key, self._clock = seed_key, clock
        self._stale: set[Facet] = set()
        self._noting = threading.Lock()
        self._resting: dict[str, Thought] = {}
        """Loops whose proposer had nothing to offer, with what it had seen."""
        self._refusals: dict[str, str] = {}
        """Final commits that GitHub would not let into their branch, with its words; until something changes."""
        self.notices: dict[str, tuple[str, ...]] = {}
        """Why nothing happens, by loop, as the last look saw it."""

    def note(self, facets: frozenset[Facet]) -> None:
        """Something may have changed: these facets are read again by the next look."""
        with self._noting:
            self._stale |= facets

    def thinking(self) -> bool:
        """Whether a proposal is being made, or waits to be opened."""
        return any(self._thinker.busy(loop) for loop in list(self.notices))

    def look(self, only: str | None = None) -> list[Looked]:
        """Look at every loop of the repository, or at one, and do what is to be done.

        Raises:
            GitHubError: GitHub did not do what was asked; the view is forgotten, and the next look starts afresh.
            ConfigError: the configuration cannot be used.
        """
        with self._noting:
            stale, self._stale = self._stale, set()
        for facet in stale:
            self.view.forget(facet)
        if stale:
            self._refusals.clear()  # what GitHub refused it may allow now
        try:
            config = self.view.config()
            if config is None:
                return []
            return [
                self._step(loop, rules)
                for loop, rules in config.loops.items()
                if only is None or loop == only
            ]
        except ConfigError:
            raise
        except Exception:
            self.view.forget_all()
            raise

    def rules(self, only: str | None = None) -> dict[str, Loop]:
        """The repository's loops, or one of them; none where there is no configuration.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        config = self.view.config()
        loops = config.loops if config is not None else {}
        return {loop: rules for loop, rules in loops.items() if only is None or loop == only}

    def look_until_rest(self, only: str | None = None) -> list[Looked]:
        """Look, wait for the proposals that were asked for, and look again: one whole round for a caller without a server.

        Raises: as `look`.
        """
        first = self.look(only)
        for looked in first:
            self._thinker.wait(looked.loop)
        again = {looked.loop: looked for looked in self.look(only)}
        return [
            replace(again[looked.loop], actions=(*looked.actions, *again[looked.loop].actions))
            for looked in first
            if looked.loop in again
        ]

    def plan(self, loop: str, rules: Loop) -> tuple[Snapshot, tuple[Action, ...]]:
        """One dry round: what is seen, and what would be done.

        Raises:
            Unobservable: the loop cannot be looked at.
        """
        snapshot = self._observe(loop, rules)
        return snapshot, decide(snapshot, Circumstances(self._clock(), self._seed_key))

    def _step(self, loop: str, rules: Loop) -> Looked:
        done: list[Action] = []
        snapshot: Snapshot | None = None
        try:
            self._open(loop, rules)
            for _ in range(MAX_ROUNDS):
                snapshot, actions = self.plan(loop, rules)
                self.notices[loop] = next((a.notices for a in actions if isinstance(a, UpdateTracking)), ())
                changed = False
                for action in actions:
                    if self._apply(action, snapshot):
                        changed = True
                        done.append(action)
                if not changed:
                    break
        except Moved as moved:
            log.info("moved", repository=self.name, loop=loop, what=str(moved))
            self.view.forget_all()
        except (Unobservable, LedgerError) as problem:
            self.notices[loop] = (str(problem),)
            return Looked(loop, snapshot, tuple(done), str(problem))
        return Looked(loop, snapshot, tuple(done))

    def _observe(self, loop: str, rules: Loop) -> Snapshot:
        snapshot = observe(self.view, loop, rules)
        rest = self._resting.get(loop)
        if rest is not None and (rest.base, rest.seen) != (snapshot.base.sha, len(snapshot.ledger)):
            rest = self._resting.pop(loop, None) and None
        return replace(
            snapshot,
            proposing=self._thinker.busy(loop),
            proposer_rests=rest.reason if rest is not None else "",
            refusals=dict(self._refusals),
        )

    def _apply(self, action: Action, snapshot: Snapshot) -> bool:
        """Apply one action; whether it changed anything that another round could build on."""
        if isinstance(action, Propose):
            self._thinker.submit(proposer_for(snapshot.rules), snapshot, action.number)
            return False
        try:
            changed = self._actor.apply(action, snapshot)
        except Refused as refused:
            if not isinstance(action, Merge):
                raise
            self._refusals[action.commit] = str(refused)
            changed = True
        if changed:
            log.info("acted", repository=self.name, loop=snapshot.loop, action=type(action).__name__)
        return changed and not isinstance(action, UpdateTracking)

    def _open(self, loop: str, rules: Loop) -> None:
        """Open the pull request of a proposal that has been made since the last look."""
        thought = self._thinker.take(loop)
        if thought is None:
            return
        if thought.edit is None:
            self._resting[loop] = thought
            return
        try:
            self._actor.open_experiment(loop, rules, thought.number, thought.edit, thought.base)
        except (RateLimited, Unreachable):
            self._thinker.put_back(loop, thought)  # it may be half open: the next look finishes it
            raise
