"""What Pawl may do to a repository, as values. `decide` makes them, `pawl.github.act` applies each of them idempotently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pawl.core.asks import Ask, Verb
from pawl.core.decision import Fence, Finding
from pawl.core.ledger import AnyLine, Outcome, OutcomeLine, VerdictLine
from pawl.core.measurement import Request
from pawl.core.policy import Hold


@dataclass(frozen=True)
class Action:
    """Base of all actions."""


@dataclass(frozen=True)
class EnsureTracking(Action):
    """Find or open the loop's tracking issue."""


@dataclass(frozen=True)
class UpdateTracking(Action):
    """Write the loop's table, chart and state into its tracking issue, if they changed."""

    notices: tuple[str, ...] = ()
    """Sentences that say why nothing happens, or what a person should do."""


@dataclass(frozen=True)
class Propose(Action):
    """Ask the meta-agent for an edit, apart from the step, and open its pull request."""

    number: int


@dataclass(frozen=True)
class FinishOpening(Action):
    """Open the pull request of an edit whose branch is there: whoever made it died in between."""

    number: int


@dataclass(frozen=True)
class StartAttempt(Action):
    """Create the check run that holds an experiment's head, then dispatch its job."""

    experiment: int
    head: str
    request: Request
    supersedes: int | None = None
    """Check run of an earlier attempt that was cut off, to be closed first."""


@dataclass(frozen=True)
class StartCalibration(Action):
    """Create the check run of a calibration on the base commit, then dispatch its job."""

    request: Request


@dataclass(frozen=True)
class Redispatch(Action):
    """Dispatch the job of an attempt whose check run exists but whose job does not."""

    request: Request


@dataclass(frozen=True)
class MarkMeasuring(Action):
    """Show on the check run that the job runs, where, and how long it may take."""

    check_run: int
    job: int
    url: str
    request: Request
    estimate: float
    """Seconds until the job is likely to end."""
    began: datetime
    """When it was first seen to run: its deadline counts from there."""


@dataclass(frozen=True)
class TellUntaken(Action):
    """Say on the check run of a job that waits why no runner takes it."""

    check_run: int
    request: Request
    why: str
    page: str
    """Where people see the runners; empty where that is not known."""


@dataclass(frozen=True)
class Append(Action):
    """Add lines to the ledger, and files beside it, in one commit on top of the ledger as it was seen."""

    lines: tuple[AnyLine, ...]
    files: Mapping[str, str] = field(default_factory=dict)
    """Path on the ledger branch to text."""


@dataclass(frozen=True)
class KeepTraces(Action):
    """Put traces beside an experiment's other ones, where no clone fetches them."""

    experiment: int
    files: Mapping[str, str] = field(default_factory=dict)
    """Text by path below the experiment's own folder."""


@dataclass(frozen=True)
class Publish(Action):
    """Conclude the check run and write the one comment of an experiment."""

    experiment: int
    line: VerdictLine
    finding: Finding | None
    check_run: int | None
    fresh: bool
    """Whether the verdict was written in this very step, so that no comment can exist yet."""
    held: Hold | None = None
    """Why a keep is not merged now; none if nothing holds it."""
    log: str = ""
    """Tail of the last candidate run's log."""
    outcome: OutcomeLine | None = None
    """What has become of it, where the ledger does not say so yet."""


@dataclass(frozen=True)
class Close(Action):
    """Close a pull request with its final label, and delete its branch."""

    experiment: int
    outcome: Outcome
    label: str
    reason: str
    say: bool = False
    """Whether to write the reason as the experiment's comment, where no verdict was published."""


@dataclass(frozen=True)
class DeleteBranch(Action):
    """Delete the branch of an experiment that has ended."""

    experiment: int


@dataclass(frozen=True)
class Promote(Action):
    """Make the final commit on the branch's tip the head of the experiment's pull request, with its concluded check run."""

    experiment: int
    line: VerdictLine
    parent: str
    content: bytes
    check_run: int | None = None


@dataclass(frozen=True)
class Merge(Action):
    """Move the loop's branch to the experiment's final commit: fast-forward, unforced."""

    experiment: int
    commit: str
    parent: str


@dataclass(frozen=True)
class Rebase(Action):
    """Put the experiment's edit, merged onto the branch's tip, at the head of its pull request."""

    experiment: int
    parent: str
    content: bytes


@dataclass(frozen=True)
class MergeAsked(Action):
    """Let GitHub merge a pull request as it stands, because a person who may wants it whatever it measures."""

    experiment: int
    head: str
    by: str


@dataclass(frozen=True)
class HoldBack(Action):
    """Put the label that keeps an experiment from being merged on its pull request."""

    experiment: int


@dataclass(frozen=True)
class React(Action):
    """Show under a comment that it was read."""

    comment: int
    obeyed: bool


@dataclass(frozen=True)
class Answer(Action):
    """Answer a command with one comment."""

    ask: Ask
    verb: Verb | None
    """None where it was no command that exists."""
    refusal: str = ""
    """Why it is not obeyed; empty if it is."""
    notices: tuple[str, ...] = ()
    """Sentences that say why nothing happens."""


@dataclass(frozen=True)
class CancelJob(Action):
    """Cancel a job whose result nobody wants any more."""

    job: int
    force: bool = False
    """Whether to end it without waiting for what it still does: its runner is gone."""


@dataclass(frozen=True)
class CutOff(Action):
    """Conclude the check run of an attempt whose head was replaced."""

    check_run: int
    request: Request
    reason: str


@dataclass(frozen=True)
class FinishCalibration(Action):
    """Conclude the check run of a calibration."""

    check_run: int
    ok: bool
    request: Request
    reason: str
    runs: int
    fence: Fence | None = None
    """Of a canary: what the planted cheat met."""


@dataclass(frozen=True)
class AddLabels(Action):
    """Put labels on the tracking issue."""

    labels: tuple[str, ...]


@dataclass(frozen=True)
class RemoveLabels(Action):
    """Take labels off the tracking issue."""

    labels: tuple[str, ...]
