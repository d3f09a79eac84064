"""What becomes of a proposal: lines for the ledger, and when to ask again where no edit came of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pawl.control.contexts import learnable
from pawl.control.thinking import Thought
from pawl.core.digest import sha256
from pawl.core.draft import Draft
from pawl.core.ledger import AnyLine, IncidentLine, SpendLine
from pawl.core.snapshot import Snapshot
from pawl.github.experiments import Opening
from pawl.github.traces import trace_ref
from pawl.messages.pull_requests import TRACE, Made
from pawl.meta.proposer import Spend
from pawl.meta.retelling import retold

FIRST_WAIT = timedelta(seconds=20)
PROPOSAL_TRACE = "proposal.json"
LONGEST_WAIT = timedelta(hours=1)
FAILURES = 6
"""Proposals in a row without an edit, after which the proposer rests until the base, the rules or the ledger change."""


def lines_of(thought: Thought, snapshot: Snapshot, at: str) -> tuple[AnyLine, ...]:
    """What the ledger is to say of a proposal: its cost, if it had any, and an incident, if the loop must stop.

    Args:
        thought: what came of asking.
        snapshot: the loop as it is now; the lines follow its ledger.
        at: the time now, UTC, ISO 8601.
    """
    draft, proposal = Draft(snapshot, at), thought.proposal
    mark = _mark(thought)
    if proposal.spend != Spend():
        spend = proposal.spend
        draft.add(
            SpendLine,
            f"spend:{thought.number}:{mark}",
            experiment=thought.number,
            proposer=snapshot.rules.agent.proposer,
            models=spend.models,
            requests=spend.requests,
            tokens_in=spend.tokens_in,
            tokens_cached=spend.tokens_cached,
            tokens_out=spend.tokens_out,
            money=spend.money,
            seconds=spend.seconds,
            proposed=thought.edit is not None,
            reason=thought.reason[:1000],
        )
    if proposal.halt:
        draft.add(
            IncidentLine,
            f"incident:proposal:{thought.number}:{mark}",
            experiment=None,
            reason=proposal.halt[:1000],
            stops="loop",
        )
    return tuple(draft.lines)


def opening_of(thought: Thought, snapshot: Snapshot) -> Opening:
    """The pull request that a proposal with an edit becomes."""
    assert thought.edit is not None
    return Opening(
        snapshot.loop, snapshot.rules, thought.number, thought.edit, thought.base, _made(thought, snapshot)
    )


def _made(thought: Thought, snapshot: Snapshot) -> Made:
    spend, trace = thought.proposal.spend, thought.proposal.trace
    return Made(
        models=spend.models,
        requests=spend.requests,
        tokens_in=spend.tokens_in,
        tokens_cached=spend.tokens_cached,
        tokens_out=spend.tokens_out,
        money=spend.money,
        seconds=spend.seconds,
        notes=thought.proposal.notes,
        trace=retold(trace.text(), TRACE) if trace is not None else "",
        stored=trace_ref(snapshot.loop, thought.number) if trace is not None else "",
    )


def traces_of(thought: Thought) -> dict[str, str]:
    """What is kept of how a proposal was made."""
    trace = thought.proposal.trace
    return {PROPOSAL_TRACE: trace.text()} if trace is not None else {}


def _mark(thought: Thought) -> str:
    """Names one proposal among those that were made for a number: told twice, it is the same."""
    said = thought.proposal.trace.text() if thought.proposal.trace is not None else ""
    return sha256(f"{thought.base}|{thought.reason}|{thought.proposal.spend}|{said}")[:12]


@dataclass(frozen=True)
class Rest:
    """A proposer that had nothing to offer."""

    reason: str
    base: str
    rules: str
    """Digest of the rules under which it was asked."""
    seen: int
    """Ledger lines that it could learn from."""
    until: datetime | None
    """When it is asked again; none if not before something has changed."""

    def over(self, snapshot: Snapshot, now: datetime) -> bool:
        """Whether it may be asked again."""
        known = (self.base, self.rules, self.seen)
        changed = known != (snapshot.base.sha, _rules(snapshot), learnable(snapshot.ledger))
        return changed or (self.until is not None and now >= self.until)

    @property
    def notice(self) -> str:
        """Why there is no proposal, and when there may be one, for a person."""
        again = f"; it is asked again at {self.until:%H:%M:%S} UTC" if self.until is not None else ""
        return f"{self.reason.rstrip('.')}{again}"


class Rests:
    """The proposers that rest, by loop, and how often in a row each of them has failed."""

    def __init__(self) -> None:
        self._resting: dict[str, Rest] = {}
        self._failures: dict[str, int] = {}

    def offered(self, loop: str) -> None:
        """The loop's proposer has made an edit."""
        self._resting.pop(loop, None)
        self._failures.pop(loop, None)

    def failed(self, thought: Thought, snapshot: Snapshot, now: datetime) -> None:
        """The loop's proposer has made none: let it rest, the longer the more often that has happened in a row."""
        loop = snapshot.loop
        failures = self._failures[loop] = self._failures.get(loop, 0) + 1
        wait = min(FIRST_WAIT * 2 ** min(failures - 1, 20), LONGEST_WAIT)
        asks_again = not thought.proposal.rests and failures < FAILURES
        rest = Rest(
            thought.reason, thought.base, _rules(snapshot), thought.seen, now + wait if asks_again else None
        )
        if not thought.proposal.rests and failures >= FAILURES:
            rest = replace(
                rest, reason=f"{failures} proposals in a row came to nothing; the last one: {thought.reason}"
            )
        self._resting[loop] = rest

    def notice(self, snapshot: Snapshot, now: datetime) -> str:
        """Why the loop's proposer may not be asked now; empty if it may."""
        rest = self._resting.get(snapshot.loop)
        if rest is not None and rest.over(snapshot, now):
            del self._resting[snapshot.loop]
            rest = None
        return rest.notice if rest is not None else ""

    def next_at(self, now: datetime) -> datetime | None:
        """When the first of them is asked again; none if none will be."""
        times = (rest.until for rest in self._resting.values() if rest.until is not None)
        return min((time for time in times if time > now), default=None)


def _rules(snapshot: Snapshot) -> str:
    return sha256(snapshot.rules.model_dump_json())
