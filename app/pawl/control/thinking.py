"""Proposals are made here, apart from looks, so that a slow model blocks no merge."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

import structlog

from pawl.core.calibration import calibration_of
from pawl.core.edit import Edit, objections
from pawl.core.ledger import VerdictLine
from pawl.core.snapshot import Snapshot
from pawl.meta.proposer import Context, NoProposal, Proposer, Tried

log = structlog.get_logger(__name__)

_FIGURE = re.compile(r"[-+]?(?:\d[\d.,]*(?:e[-+]?\d+)?|\binf\b|\bnan\b)", re.IGNORECASE)

TRIES = 3
"""Edits a proposer may hand in before its turn is over, when they break the rules of edits."""


@dataclass(frozen=True)
class Thought:
    """What came out of asking a proposer: an edit on a base, or the reason why there is none."""

    number: int
    base: str
    edit: Edit | None = None
    reason: str = ""
    seen: int = 0
    """Ledger lines that the proposer could see."""


def context_of(snapshot: Snapshot, number: int) -> Context:
    """What a proposer is shown: verdicts, and effects in sigma rounded to half of one; never a sealed number."""
    verdicts = [line for line in snapshot.ledger if isinstance(line, VerdictLine)]
    latest = {line.experiment: line for line in verdicts}
    return Context(
        loop=snapshot.loop,
        rules=snapshot.rules,
        source=snapshot.base.content.decode("utf-8", errors="replace"),
        number=number,
        tried=tuple(tried_of(line, snapshot) for line in latest.values()),
        in_flight=tuple(dict(item.parameters) for item in snapshot.experiments if item.number not in latest),
        sources=frozenset(line.content for line in verdicts) | {item.digest for item in snapshot.experiments},
    )


def tried_of(line: VerdictLine, snapshot: Snapshot) -> Tried:
    """One concluded experiment as a proposer may see it."""
    gain = line.effect_sigma
    if gain is None and line.effect is not None:
        sigma = line.sigma or calibration_of(snapshot.ledger, line.inputs).sigma
        gain = line.effect / sigma if sigma else None
    rounded = None if gain is None else max(-99.0, min(99.0, round(gain * 2) / 2))
    return Tried(
        number=line.experiment,
        verdict=str(line.verdict),
        parameters=dict(line.parameters),
        gain=rounded,
        hypothesis=line.hypothesis,
        # What the runs said in figures stays here: a reason quotes them exactly, and sealed ones too.
        reason=_FIGURE.sub("…", line.reason) if line.runs else line.reason,
    )


def think(proposer: Proposer, snapshot: Snapshot, number: int) -> Thought:
    """Ask a proposer for an edit that may be opened as a pull request. Whatever it does, this returns."""
    base = snapshot.base
    seen = len(snapshot.ledger)
    context = context_of(snapshot, number)
    reason = ""
    for _ in range(TRIES):
        try:
            edit = proposer.propose(context)
            found = _objections(edit, snapshot)
        except NoProposal as error:
            return Thought(number, base.sha, reason=str(error), seen=seen)
        except Exception as error:
            log.exception("proposer failed", loop=snapshot.loop, proposer=proposer.name)
            return Thought(
                number,
                base.sha,
                reason=f"the proposer {proposer.name} failed ({type(error).__name__})",
                seen=seen,
            )
        if not found:
            return Thought(number, base.sha, edit, seen=seen)
        reason = f"the proposer {proposer.name} offered no edit that may be made: {found[0]}"
    return Thought(number, base.sha, reason=reason, seen=seen)


def _objections(edit: Any, snapshot: Snapshot) -> tuple[str, ...]:
    """What is wrong with what a proposer handed in, whatever it is."""
    if not isinstance(edit, Edit):
        return (f"it is a {type(edit).__name__} and no edit",)
    if not all(isinstance(text, str) for text in (edit.content, edit.hypothesis, edit.proposer)):
        return ("its content, hypothesis and proposer must be text",)
    if not isinstance(edit.predicted, (int, float, type(None))):
        return ("its predicted effect must be a number",)
    rules, candidate = snapshot.rules, edit.content.encode(errors="surrogatepass")
    return objections(rules.edit, snapshot.base.content, candidate, rules.limits.changed_lines)


class Thinker:
    """Runs proposals one at a time for each loop, and keeps what comes out until the next look takes it.

    Args:
        executor: where proposals run.
        wake: called when one is ready.
    """

    def __init__(self, executor: Executor, wake: Callable[[], None]) -> None:
        self._executor, self._wake = executor, wake
        self._lock = threading.Lock()
        self._busy: dict[str, Future[None]] = {}
        self._ready: dict[str, Thought] = {}

    def submit(self, proposer: Proposer, snapshot: Snapshot, number: int) -> None:
        """Start a proposal for the snapshot's loop, unless one is being made or waits to be taken."""
        loop = snapshot.loop
        with self._lock:
            if loop in self._busy or loop in self._ready:
                return
            self._busy[loop] = self._executor.submit(self._think, proposer, snapshot, number)

    def busy(self, loop: str) -> bool:
        """Whether a proposal for the loop is being made, or waits to be taken."""
        with self._lock:
            return loop in self._busy or loop in self._ready

    def take(self, loop: str) -> Thought | None:
        """The loop's finished proposal, once."""
        with self._lock:
            return self._ready.pop(loop, None)

    def put_back(self, loop: str, thought: Thought) -> None:
        """Keep a proposal that could not be opened, for the next look."""
        with self._lock:
            self._ready.setdefault(loop, thought)

    def wait(self, loop: str) -> None:
        """Wait until the loop's proposal, if one is being made, is there to be taken."""
        with self._lock:
            future = self._busy.get(loop)
        if future is not None:
            future.result()

    def _think(self, proposer: Proposer, snapshot: Snapshot, number: int) -> None:
        thought = think(proposer, snapshot, number)
        with self._lock:
            self._ready[snapshot.loop] = thought
            self._busy.pop(snapshot.loop, None)
        self._wake()
