"""The loops of one repository: look, decide, act, until there is nothing left to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from pawl.control.desk import Desk
from pawl.control.due import Due
from pawl.control.figures import Figures
from pawl.control.news import News
from pawl.control.presses import Press, asks_of, settled
from pawl.control.tending import Tending
from pawl.control.thinking import Thought
from pawl.control.writing_up import WriteUp
from pawl.core.actions import Action, Merge, MergeAsked, Propose, UpdateTracking
from pawl.core.chain import LedgerError
from pawl.core.config import Loop
from pawl.core.config_file import ConfigError
from pawl.core.decide import Circumstances, decide
from pawl.core.edit import objections
from pawl.core.ledger import AskLine
from pawl.core.planning import untaken
from pawl.core.snapshot import Snapshot
from pawl.core.waiting import Untaken
from pawl.github.act import Actor
from pawl.github.errors import Moved, Refused, Unobservable
from pawl.github.grants import Grant
from pawl.github.observe import observe
from pawl.github.view import RepositoryView
from pawl.messages.permissions import UNREAD, waiting_words

log = structlog.get_logger(__name__)

MAX_ROUNDS = 12
"""Rounds of one look. A loop comes to rest in fewer; what is left waits for the next look."""


class Inbox(Protocol):
    """Where pressed buttons wait until a look has seen to them."""

    def presses(self, repository: str) -> list[Press]:
        """A repository's presses."""
        ...

    def forget_presses(self, presses: Iterable[Press]) -> None:
        """These have been seen to."""
        ...


@dataclass(frozen=True)
class Beside:
    """What a server has beside the loops, and a round by hand has not."""

    figures: Figures = field(default_factory=Figures)
    """Where what is done is counted."""
    inbox: Inbox | None = None
    """Where pressed buttons wait; none where nobody can press any."""
    tending: Tending | None = None
    """What is done beside the loops; none where only they are looked at."""


@dataclass(frozen=True)
class Looked:
    """What one look at a loop found and did."""

    loop: str
    snapshot: Snapshot | None = None
    actions: tuple[Action, ...] = ()
    problem: str = ""
    """Why the loop cannot be looked at, for a person."""


class RepositoryLoops:
    """Everything Pawl does in one repository. Looks are serialised by the caller.

    Args:
        view: the cached facets of the repository.
        actor: what applies actions to it.
        desk: where proposals are made, and with what.
        seed_key: the secret from which seeds are drawn.
        clock: the time now, with its zone.
        beside: what a server has more.
    """

    def __init__(
        self,
        view: RepositoryView,
        actor: Actor,
        desk: Desk,
        seed_key: bytes,
        clock: Callable[[], datetime],
        beside: Beside | None = None,
    ) -> None:
        self.view, self._actor, self._desk, self._beside = view, actor, desk, beside or Beside()
        self._seed_key, self._clock = seed_key, clock
        self._thinker = desk.thinker
        self._write_up = WriteUp(actor, desk.thinker, self._beside.figures, clock)
        self._presses = tuple[Press, ...]()
        self.idle = False
        """Whether the last look found no loop here."""
        self.news = News()
        """What the next look reads again."""
        self._due = Due()
        self._refusals: dict[str, str] = {}
        """Final commits that GitHub would not let into their branch, with its words; until something changes."""
        self.notices: dict[str, tuple[str, ...]] = {}
        """Why nothing happens, by loop, as the last look saw it."""

    @property
    def name(self) -> str:
        """The repository, ``owner/name``."""
        return self.view.name

    def round(self, everything: bool) -> None:
        """The timer came by.

        Args:
            everything: whether the next look reads everything again, as it does where something keeps a loop from going on:
                what has to change then, like a rule of GitHub's, may be announced by nobody.
        """
        if everything or self.idle or self._refusals or any(list(self.notices.values())):
            self.news.everything()
        self.news.round()

    def thinking(self) -> bool:
        """Whether a proposal is being made, waits to be opened, or is to be asked for again after a while."""
        busy = any(self._thinker.busy(loop) for loop in list(self.notices))
        return busy or self._write_up.rests.next_at(self._clock()) is not None

    def asks_again_in(self) -> float | None:
        """Seconds until something is due that nobody announces: a proposer, a job that is overdue, a look after a move."""
        now = self._clock()
        times = [self._write_up.rests.next_at(now), self._scarce_until(), *self._due.times()]
        at = min((at for at in times if at is not None), default=None)
        return max(0.0, (at - now).total_seconds()) if at is not None else None

    def look(self, only: str | None = None) -> list[Looked]:
        """Look at every loop of the repository, or at one, and do what is to be done.

        Raises:
            GitHubError: GitHub did not do what was asked; the view is forgotten, and the next look starts afresh.
            ConfigError: the configuration cannot be used.
        """
        self._due.begin()
        if self.news.take(self.view):
            self._refusals.clear()  # what GitHub refused it may allow now
        inbox, tending = self._beside.inbox, self._beside.tending
        if tending is not None and (grant := self.view.client.grant).lacking:
            return self._wait(tending, grant)
        try:
            with self._afresh_if_it_fails():
                rules = self.rules(only)
                self.idle = not rules and only is None
                self._presses = tuple(inbox.presses(self.name)) if inbox and rules else ()
                for press in self._presses:
                    self.view.people.forget_level(press.by)
                looked = [self._step(loop, of_loop) for loop, of_loop in rules.items()]
                self._due.end()
                if inbox and self._presses:
                    snapshots = [item.snapshot for item in looked if item.snapshot is not None]
                    inbox.forget_presses(settled(self._presses, self.rules(), snapshots))
                if tending is not None:
                    tending.look({each.loop: each.problem for each in looked if each.problem})
                return looked
        except ConfigError as error:
            if tending is not None:  # the loops stop; people are told why where they look
                with self._afresh_if_it_fails():
                    tending.look({}, error)
            raise

    def _wait(self, tending: Tending, grant: Grant) -> list[Looked]:
        """The loops stop until their installation grants what they need; what was begun is not touched."""
        why = waiting_words(grant.lacking, grant.page)
        self.notices = dict.fromkeys(self.notices, (why,))
        with self._afresh_if_it_fails():
            tending.wait(grant)
        return []

    @contextmanager
    def _afresh_if_it_fails(self) -> Iterator[None]:
        """What is known may be wrong where something fails on the way; rules that are wrong are known rightly."""
        try:
            yield
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

    def wanted(self, loop: str, rules: Loop) -> tuple[Snapshot, tuple[int, ...]]:
        """What is seen of a loop, and the numbers of the proposals that it is ready for.

        Raises:
            Unobservable: the loop cannot be looked at.
        """
        snapshot, actions = self.plan(loop, rules)
        return snapshot, tuple(action.number for action in actions if isinstance(action, Propose))

    def hand_in(self, loop: str, rules: Loop, thought: Thought) -> str:
        """Take a proposal that was made elsewhere, and whose maker is not trusted; the next look opens it.

        Gives why it is not taken, in a sentence; empty if it is. What it has cost is recorded either way.

        Raises:
            Unobservable: the loop cannot be looked at.
        """
        snapshot, numbers = self.wanted(loop, rules)
        why = ""
        if thought.number not in numbers:
            why = f"no proposal is wanted for experiment {thought.number} now"
        elif thought.base != snapshot.base.sha:
            why = f"the base has moved to {snapshot.base.sha[:12]} since the proposal was made"
        elif thought.edit is not None:
            content, base = thought.edit.content.encode(), snapshot.base.content
            found = objections(rules.edit, base, content, rules.limits.changed_lines)
            why = thought.proposal.halt or next(iter(found), "")
        if not why:
            self._thinker.put_back(loop, thought)
        else:
            self._write_up.record(thought, snapshot)
        return why

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
            self._write_up.open_all(loop, rules)
            for _ in range(MAX_ROUNDS):
                snapshot, actions = self.plan(loop, rules)
                self._due.expect(snapshot)
                self.notices[loop] = next((a.notices for a in actions if isinstance(a, UpdateTracking)), ())
                changed = False
                for action in actions:
                    if changed and isinstance(action, UpdateTracking):
                        continue  # another round follows, and tells more
                    if self._apply(action, snapshot):
                        changed = True
                        done.append(action)
                if not changed:
                    break
        except Moved as moved:
            log.info("moved", repository=self.name, loop=loop, why=str(moved))
            self.view.forget_all()
            self._due.moved(self._clock())
        except (Unobservable, LedgerError) as problem:
            self.notices[loop] = (str(problem),)
            return Looked(loop, snapshot, tuple(done), str(problem))
        return Looked(loop, snapshot, tuple(done))

    def _observe(self, loop: str, rules: Loop) -> Snapshot:
        now = self._clock()
        snapshot = observe(self.view, loop, rules)
        late = [job for job, at in untaken(snapshot).items() if now >= at]
        asks = (*snapshot.asks, *asks_of(self._presses, snapshot, self.view))
        return replace(
            snapshot,
            now=now,
            untaken={job: Untaken(self.view.jobs.labels_of(job), self.view.jobs.runners()) for job in late},
            proposing=self._thinker.busy(loop),
            proposer_rests=self._write_up.rests.notice(snapshot, self._clock()) or self._scarce(),
            refusals=dict(self._refusals),
            asks=asks,
            elsewhere=self._elsewhere(loop) if asks else (),
            unread="" if self.view.client.grant.allows("statuses", "read") else UNREAD,
        )

    def _elsewhere(self, loop: str) -> tuple[AskLine, ...]:
        with self.view.lock:
            return self.view.ledger.asked(other for other in self.rules() if other != loop)

    def _scarce_until(self) -> datetime | None:
        at = self.view.client.scarce_until
        return datetime.fromtimestamp(at, UTC) if at else None

    def _scarce(self) -> str:
        """Why no proposal is asked for where GitHub lets few more requests be sent; empty where there are enough."""
        at = self._scarce_until()
        return (
            f"few requests to GitHub are left until {at:%H:%M} UTC, and what is begun needs them"
            if at
            else ""
        )

    def _apply(self, action: Action, snapshot: Snapshot) -> bool:
        """Apply one action; whether it changed anything that another round could build on."""
        if isinstance(action, Propose):
            self._desk.ask(snapshot, action.number)
            return False
        try:
            changed = self._actor.apply(action, snapshot)
        except Refused as refused:
            if not isinstance(action, (Merge, MergeAsked)):
                raise
            self._refusals[action.commit if isinstance(action, Merge) else action.head] = str(refused)
            changed = True
        if changed:
            self._beside.figures.actions.labels(type(action).__name__).inc()
            log.info("acted", repository=self.name, loop=snapshot.loop, action=type(action).__name__)
        return changed and not isinstance(action, UpdateTracking)
