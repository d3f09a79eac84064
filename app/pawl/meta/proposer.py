"""The proposer port: what a meta-agent is shown, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pawl.core.config import Loop
from pawl.core.edit import Edit
from pawl.meta.atif import Trajectory


@dataclass(frozen=True)
class Tried:
    """One concluded experiment, as a proposer may see it: never a sealed number, and effects only coarsely."""

    number: int
    verdict: str
    parameters: Mapping[str, float]
    gain: float | None
    """Effect in sigma, rounded to half a sigma, positive where better; none where nothing was measured."""
    hypothesis: str = ""
    reason: str = ""
    """Why it ended so, without any figure of a run."""
    meaning: str = ""
    """Digest of what its content says to Python; empty where it says nothing."""


@dataclass(frozen=True)
class InFlight:
    """An experiment that is open now, in this lane or another."""

    number: int
    hypothesis: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    meaning: str = ""


@dataclass(frozen=True)
class Failure:
    """Why an experiment's runs failed, as far as it can be told by rule."""

    kind: str
    """``oom``, ``crash``, ``timeout``, ``invalid`` or ``violation``."""
    exception: str = ""
    """Name of the exception, like ``ZeroDivisionError``."""
    where: str = ""
    """File and line, like ``train.py:12``."""
    said: str = ""
    """The exception's own words."""
    peak_memory_mb: float | None = None
    """In units of 10^6 bytes."""


@dataclass(frozen=True)
class Detail:
    """What is kept of one experiment beside its ledger line. All texts are data that a candidate may have written."""

    number: int
    diff: str = ""
    failure: Failure | None = None
    log: str = ""
    """Tail of the last screening or confirming candidate run's own output, never the evaluator's."""
    tasks: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Practice tasks by name: score of the baseline and of the candidate."""


@dataclass(frozen=True)
class FailedTask:
    """What the present version of a harness did in a practice task that it did not do well."""

    experiment: int
    """The experiment whose runs tell of it."""
    name: str
    score: float
    trajectory: str
    """ATIF's JSON, or whatever the run left in its place: data that a candidate may have written."""


@dataclass(frozen=True)
class Direction:
    """A comment on the tracking issue by a person who may write to the repository."""

    author: str
    text: str
    at: str


class NotThere(Exception):
    """The library does not have what was asked for; the text says what and why, for whoever asked."""


class Library(Protocol):
    """What a proposer may read while it thinks: the base without its private files, and the public history.

    Everything is read-only and bounded, and no credential is reachable through it. Methods may be called from one thread
    at a time, and raise `NotThere` with a sentence where there is nothing.
    """

    def paths(self) -> tuple[str, ...]:
        """Files of the base, in order."""
        ...

    def file(self, path: str) -> bytes:
        """One file of the base."""
        ...

    def checkout(self, folder: Path) -> None:
        """Write the base's files into an empty folder."""
        ...

    def detail(self, number: int) -> Detail:
        """What is kept of a concluded experiment."""
        ...

    def trace(self, number: int) -> str:
        """How the proposal of an experiment was made, as ATIF's JSON."""
        ...

    def trajectories(self, number: int) -> Mapping[str, str]:
        """Trajectories of an experiment's practice tasks, as ATIF's JSON by ``<arm>/<task>``."""
        ...

    def directions(self) -> tuple[Direction, ...]:
        """What people with write access have asked for, oldest first."""
        ...


@dataclass(frozen=True)
class Spent:
    """US dollars that the loop's proposals have cost so far."""

    today: float = 0.0
    month: float = 0.0


@dataclass(frozen=True)
class Context:
    """Everything one proposal may depend on."""

    loop: str
    rules: Loop
    source: str
    """The editable file on the base."""
    number: int
    """The experiment this proposal is for; it also seeds whatever the proposer draws."""
    tried: tuple[Tried, ...] = ()
    """Oldest first."""
    in_flight: tuple[InFlight, ...] = ()
    sources: frozenset[str] = frozenset()
    """Digests (SHA-256) of every content that was tried or is in flight: proposing one again would spend runs on nothing."""
    baseline: float | None = None
    """The metric of the base on the split that selects, in its own unit."""
    sigma: float | None = None
    """Noise of one run, in the metric's unit."""
    program: str = ""
    """The program file's text; empty where there is none."""
    details: tuple[Detail, ...] = ()
    """Of the newest experiments."""
    failed: tuple[FailedTask, ...] = ()
    """In loops over a harness: some of the practice tasks that the present version fails."""
    directions: tuple[Direction, ...] = ()
    spent: Spent = Spent()
    library: Library | None = None


@dataclass(frozen=True)
class Spend:
    """What a proposal cost. Fields as in `pawl.core.ledger.SpendLine`."""

    models: tuple[str, ...] = ()
    requests: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    money: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Proposal:
    """What came of asking a proposer: an edit, or the reason why there is none; and how it was made, at what cost."""

    edit: Edit | None = None
    reason: str = ""
    """Why there is no edit, in one sentence for a person; empty with one."""
    trace: Trajectory | None = None
    spend: Spend = Spend()
    notes: tuple[str, ...] = ()
    """What a person should know of an edit all the same: files that were dropped, limits that were reached."""
    halt: str = ""
    """Why the loop must stop until a person resumes: another model than the pinned one answered. Empty if it need not."""
    rests: bool = True
    """Without an edit: whether asking again before the base or the ledger changes would give the same."""


class NoProposal(Exception):
    """There is nothing to propose, and asking again would not change that; its text says why, for a person."""


class Proposer(Protocol):
    """Whoever proposes edits. Holds no write token, and sees no seal or holdout number."""

    name: str
    reads: bool
    """Whether it wants more than the ledger's lines and the file: what is read for it costs requests to GitHub."""

    def propose(self, context: Context) -> Proposal:
        """An edit of the context's source, or why there is none.

        Raises:
            NoProposal: instead of a proposal that holds nothing but a reason.
        """
        ...
