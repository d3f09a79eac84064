"""What Pawl sees when it looks at a loop: GitHub's state as plain values, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pawl.core.asks import Ask, Labelled, Verb
from pawl.core.config import Loop
from pawl.core.decision import Verdict
from pawl.core.digest import sha256
from pawl.core.ledger import AnyLine, AskLine, LostLine, OutcomeLine, RebasedLine, VerdictLine
from pawl.core.measurement import Record, Request
from pawl.core.waiting import Untaken

JobStatus = Literal["queued", "in_progress", "completed"]


@dataclass(frozen=True)
class Base:
    """The tip of the loop's branch."""

    sha: str
    inputs: str
    """Inputs digest of its tree under the loop's rules."""
    content: bytes
    """The editable file."""
    entries_digest: Mapping[str, str] = field(default_factory=dict)
    """Path to blob name of every input, for computing the digest after a merge."""
    required_checks: tuple[str, ...] = ()
    """Names of the checks that GitHub requires before the branch may move; empty where it is not protected."""
    protected: bool = False
    surroundings: str = ""
    """The same as `inputs` without the editable file: what the fences around a candidate are made of."""


@dataclass(frozen=True)
class Job:
    """A GitHub Actions workflow run that measures."""

    id: int
    key: str
    """The request's key, from the job's title."""
    check_run: int
    status: JobStatus
    conclusion: str = ""
    url: str = ""
    since: datetime | None = field(default=None, compare=False)
    """When it was dispatched, once GitHub has said so."""
    record: Record | None = None
    trouble: str = ""
    """Why a completed job has no usable record, for a person."""
    record_text: str = ""
    """The record as it was uploaded."""
    trajectories: Mapping[str, str] = field(default_factory=dict)
    """Trajectories of a task loop's screening runs, as ATIF's JSON by ``<arm>/<task>``."""


@dataclass(frozen=True)
class Attempt:
    """A measurement that holds a head: the App's check run on it."""

    number: int
    check_run: int
    status: JobStatus
    request: Request | None
    """What was asked for, read back from the check run; none if it cannot be read any more."""
    job: Job | None = None
    began: datetime | None = None
    """When Pawl first saw the job run; none before."""


@dataclass(frozen=True)
class Check:
    """Another check or status on a final commit."""

    name: str
    status: JobStatus
    conclusion: str = ""


@dataclass(frozen=True)
class Experiment:
    """One pull request from ``pawl/<loop>/<n>``."""

    number: int
    pull: int
    head: str
    parent: str
    """The commit its head was made on."""
    parent_inputs: str
    parent_content: bytes
    content: bytes
    """The editable file at its head."""
    inputs_after: str
    """Inputs digest of the parent's tree with this content."""
    open: bool = True
    merged: bool = False
    ended_by: str = ""
    """Who merged or closed it, where GitHub says so."""
    merge_commit: str = ""
    final: bool = False
    """Whether its head is a final commit: one that other workflows may see."""
    objections: tuple[str, ...] = ()
    """Why its head is no edit that may be measured."""
    labels: frozenset[str] = frozenset()
    attempt: Attempt | None = None
    checks: tuple[Check, ...] = ()
    branch_exists: bool = True
    unnoticed: bool = False
    """Whether it is merged, and GitHub has not noticed yet: without its branch it would be closed unmerged."""
    hypothesis: str = ""
    proposer: str = ""
    predicted: float | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    """Exact ids of the models that proposed it."""

    @property
    def digest(self) -> str:
        """SHA-256 of the candidate's bytes."""
        return sha256(self.content)


@dataclass(frozen=True)
class Tracking:
    """The loop's tracking issue."""

    number: int
    open: bool = True
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Calibrating:
    """A calibration's job that the ledger does not know yet."""

    request: Request
    job: Job
    status: JobStatus = "queued"
    """Of its check run."""
    began: datetime | None = None
    """When Pawl first saw the job run; none before."""


@dataclass(frozen=True)
class Orphan:
    """A job that measures a head which its experiment no longer has: somebody pushed another one."""

    request: Request
    job: Job
    pull: int


@dataclass(frozen=True)
class Late:
    """The record of a job that was given up as lost without one."""

    lost: LostLine
    record: Record
    text: str
    """The record as it was uploaded."""


@dataclass(frozen=True)
class Snapshot:
    """A loop, as GitHub shows it at one moment."""

    repository: str
    loop: str
    rules: Loop
    base: Base
    ledger: tuple[AnyLine, ...] = ()
    experiments: tuple[Experiment, ...] = ()
    """Every experiment without an outcome in the ledger, by number."""
    calibrating: tuple[Calibrating, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    """Jobs on heads that were replaced, as long as the ledger does not know what they ran."""
    late: tuple[Late, ...] = ()
    """Records that came after their jobs were given up, of experiments in flight; as long as no line tells of them."""
    tracking: Tracking | None = None
    stop: bool = False
    """Whether the ref ``refs/pawl/stop`` exists."""
    public: bool = False
    """Whether anybody may read the repository, and so propose code to its runners from a fork."""
    last_number: int = 0
    """The largest experiment number in use anywhere."""
    unopened: tuple[int, ...] = ()
    """Experiments whose branch holds their edit, but of which there is no pull request."""
    leftovers: tuple[int, ...] = ()
    """Merged experiments whose branch is there still, though the ledger has their outcome."""
    proposing: tuple[int, ...] = ()
    """Numbers of the proposals that are being made now, or wait to be opened."""
    proposer_rests: str = ""
    """Why the proposer has nothing to offer on this base; empty if it may be asked."""
    now: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """When it was looked at."""
    asks: tuple[Ask, ...] = ()
    """What people asked for, oldest first, as far as the ledger has no answer to it."""
    elsewhere: tuple[AskLine, ...] = ()
    """What other loops of the repository were asked for; read only where this one is asked for something."""
    resumer: Labelled | None = None
    """Who put the label that resumes on the tracking issue; none where it is not there, or GitHub does not say."""
    braked_by: str = ""
    """Who paused the loop, or let it go on, where that is news to the ledger and GitHub says so."""
    untaken: Mapping[int, Untaken] = field(default_factory=dict)
    """What is known of jobs that have waited for a runner for too long, by the job's number."""
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Heads that GitHub's own rules keep out of the branch, with its words."""
    unread: str = ""
    """What is not read on GitHub for want of a permission, in a sentence; empty if everything is."""

    def verdict_of(self, experiment: Experiment) -> VerdictLine | None:
        """The verdict on exactly this content on exactly this base; another base or content has none."""
        for line in reversed(self.ledger):
            if self._asked(line, experiment, Verb.RERUN):
                return None
            if (
                isinstance(line, VerdictLine)
                and line.experiment == experiment.number
                and line.content == experiment.digest
                and line.inputs == experiment.parent_inputs
            ):
                return line
        return None

    def approved(self, experiment: Experiment) -> bool:
        """Whether a person who may has asked for exactly this content to be merged."""
        return any(self._asked(line, experiment, Verb.MERGE) for line in self.ledger)

    def asked_by(self, experiment: int) -> str:
        """Who asked for an experiment's end, where it was a person; empty otherwise."""
        asked = (
            line.by
            for line in reversed(self.ledger)
            if isinstance(line, AskLine) and line.obeyed and line.experiment == experiment
            if line.verb in (Verb.MERGE, Verb.CLOSE)
        )
        return next(asked, "")

    @staticmethod
    def _asked(line: AnyLine, experiment: Experiment, verb: Verb) -> bool:
        return (
            isinstance(line, AskLine)
            and line.obeyed
            and (line.verb, line.experiment, line.content) == (verb, experiment.number, experiment.digest)
        )

    def was_kept(self, experiment: Experiment) -> bool:
        """Whether this very content was to keep on another base, or is what Pawl made of such a keep on this one.

        Content that somebody pushed since then has to pass every stage.
        """
        return any(
            line.experiment == experiment.number and line.content == experiment.digest
            for line in self.ledger
            if isinstance(line, RebasedLine)
            or (isinstance(line, VerdictLine) and line.verdict is Verdict.KEEP)
        )

    def outcomes(self) -> dict[int, OutcomeLine]:
        """Outcome lines by experiment."""
        return {line.experiment: line for line in self.ledger if isinstance(line, OutcomeLine)}
