"""Proposals are made here, apart from looks, so that a slow model blocks no merge."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from pawl.control.contexts import context_of, learnable
from pawl.core.edit import Edit
from pawl.core.snapshot import Snapshot
from pawl.meta.checking import check_edit
from pawl.meta.proposer import Context, Library, NoProposal, Proposal, Proposer, Spend

log = structlog.get_logger(__name__)

TRIES = 3
"""Edits that a proposer which costs nothing may hand in before its turn is over, when they break the rules of edits."""


@dataclass(frozen=True)
class Thought:
    """What came out of asking a proposer, on a base."""

    number: int
    base: str
    proposal: Proposal = field(default_factory=Proposal)
    seen: int = 0
    """Ledger lines that the proposer could learn from."""

    @property
    def edit(self) -> Edit | None:
        """The edit; none if there is none that may be made."""
        return self.proposal.edit

    @property
    def reason(self) -> str:
        """Why there is no edit."""
        return self.proposal.reason


def think(
    proposer: Proposer, snapshot: Snapshot, number: int, library: Library | None, now: datetime
) -> Thought:
    """Ask a proposer for an edit that may be opened as a pull request. Whatever it does, this returns.

    Args:
        proposer: who is asked.
        snapshot: the loop as it is.
        number: the experiment's number.
        library: what the proposer may read beside its context.
        now: the time, with its zone.
    """

    def thought(proposal: Proposal) -> Thought:
        return Thought(number, snapshot.base.sha, proposal, learnable(snapshot.ledger))

    try:
        context = context_of(snapshot, number, library, now)
    except Exception as error:
        log.exception("context failed", loop=snapshot.loop)
        reason = f"what the proposer is shown could not be put together ({type(error).__name__})"
        return thought(Proposal(reason=reason, rests=False))
    for _ in range(TRIES):
        try:
            proposal: Any = proposer.propose(context)
            objection = _objection(proposal, context)
        except NoProposal as error:
            return thought(Proposal(reason=str(error)))
        except Exception as error:
            log.exception("proposer failed", loop=snapshot.loop, proposer=proposer.name)
            reason = f"the proposer {proposer.name} failed ({type(error).__name__})"
            return thought(Proposal(reason=reason, rests=False))
        if not objection:
            return thought(proposal)
        if isinstance(proposal, Proposal) and (proposal.halt or proposal.spend != Spend()):
            break  # to ask it again costs again
    reason = f"the proposer {proposer.name} offered no edit that may be made: {objection}"
    if not isinstance(proposal, Proposal):
        return thought(Proposal(reason=reason))
    return thought(replace(proposal, edit=None, reason=reason, notes=(), rests=proposal.spend == Spend()))


def _objection(proposal: Any, context: Context) -> str:
    """What is wrong with what a proposer handed in, whatever it is; empty if nothing is."""
    if not isinstance(proposal, Proposal):
        return f"it answered with a {type(proposal).__name__}"
    edit: Any = proposal.edit
    if edit is None:
        return "" if proposal.reason else "it gave neither an edit nor a reason"
    if proposal.halt:
        return proposal.halt
    if not isinstance(edit, Edit):
        return f"it is a {type(edit).__name__} and no edit"
    if not all(isinstance(text, str) for text in (edit.content, edit.hypothesis, edit.proposer)):
        return "its content, hypothesis and proposer must be text"
    if not isinstance(edit.predicted, (int, float, type(None))):
        return "its predicted effect must be a number"
    found = check_edit(context, edit.content)
    return found[0] if found else ""


class Thinker:
    """Runs proposals, and keeps what comes out until a look takes it. No experiment's is made twice at a time.

    Args:
        executor: where proposals run.
        wake: called when one is ready.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        executor: Executor,
        wake: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._executor, self._wake, self._clock = executor, wake, clock
        self._lock = threading.Lock()
        self._busy: dict[tuple[str, int], Future[None]] = {}
        self._ready: dict[tuple[str, int], Thought] = {}

    def submit(
        self, proposer: Proposer, snapshot: Snapshot, number: int, library: Library | None = None
    ) -> None:
        """Start the proposal for an experiment, unless it is being made or waits to be taken."""
        key = (snapshot.loop, number)
        with self._lock:
            if key not in self._busy and key not in self._ready:
                self._busy[key] = self._executor.submit(self._think, proposer, snapshot, number, library)

    def busy(self, loop: str) -> tuple[int, ...]:
        """Numbers of the loop's proposals that are being made, or wait to be taken."""
        with self._lock:
            return tuple(sorted(number for name, number in {*self._busy, *self._ready} if name == loop))

    def take(self, loop: str) -> Thought | None:
        """The first of the loop's finished proposals, once."""
        with self._lock:
            ready = min((key for key in self._ready if key[0] == loop), default=None)
            return self._ready.pop(ready) if ready is not None else None

    def put_back(self, loop: str, thought: Thought) -> None:
        """Keep a proposal that could not be opened, for the next look."""
        with self._lock:
            self._ready.setdefault((loop, thought.number), thought)

    def wait(self, loop: str) -> None:
        """Wait until the loop's proposals that are being made are there to be taken."""
        with self._lock:
            futures = [future for (name, _), future in self._busy.items() if name == loop]
        for future in futures:
            future.result()

    def _think(self, proposer: Proposer, snapshot: Snapshot, number: int, library: Library | None) -> None:
        thought = think(proposer, snapshot, number, library, self._clock())
        key = (snapshot.loop, number)
        with self._lock:
            self._ready[key] = thought
            self._busy.pop(key, None)
        self._wake()
