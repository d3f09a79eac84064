"""The ledger: the append-only history of a loop, and what each kind of line in it says.

Every line carries its number, an idempotency key and the digest of the line before it (`pawl.core.chain`).
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal, cast

from pydantic import (
    Field,
    FiniteFloat,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from pawl.core.config import Loop
from pawl.core.decision import Verdict
from pawl.core.digest import canonical_json
from pawl.core.finding import Fence
from pawl.core.measurement import Calibration, Digest, Procedure, Purpose, RunFact, Sha, Stage, Strict


class Outcome(StrEnum):
    """What became of an experiment."""

    MERGED = "merged"
    CLOSED = "closed"
    SUPERSEDED = "superseded"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"


RULES_KEPT = 64
_rules: dict[str, Loop] = {}


def _shared(value: Any, validate: ValidatorFunctionWrapHandler) -> Loop:
    """Rules stand in every line about a measurement, and hardly ever change: the same ones are checked and kept once."""
    if not isinstance(value, dict):
        return cast(Loop, validate(value))
    text = json.dumps(value, sort_keys=True)
    found = _rules.get(text)
    if found is None:
        found = cast(Loop, validate(value))
        if len(_rules) >= RULES_KEPT:
            _rules.clear()
        _rules[text] = found
    return found


class Line(Strict):
    """What every line has. `at` is UTC, ISO 8601."""

    v: Literal[1] = 1
    seq: Annotated[int, Field(ge=1)]
    prev: Digest
    loop: str
    key: str
    at: str
    policy: Digest
    """Digest of the rules that held when it was written."""

    @property
    def text(self) -> str:
        """The line as it stands in the ledger, without the line's end."""
        return canonical_json(self.model_dump(mode="json"))


class Measured(Line):
    """What every line about a measurement has: enough to recompute what followed from it."""

    attempt: int
    rules: Annotated[Loop, WrapValidator(_shared)]
    base: Sha
    inputs: Digest
    device: str = ""
    fleet: str = ""
    """The runners that it was measured on: lines of another fleet are never compared with it."""
    runs: tuple[RunFact, ...]
    seeds: tuple[int, ...]
    calibration: Calibration
    procedure: Procedure = Procedure()
    record: Digest | None = None
    """SHA-256 of ``record.json`` beside the ledger; none where the runner was lost with its record."""
    jobs: tuple[int, ...] = ()


class CalibrationLine(Measured):
    """Runs of unchanged code."""

    kind: Literal["calibration"] = "calibration"
    number: int
    purpose: Literal[Purpose.POOL, Purpose.SENTINEL]
    ok: bool
    reason: str


class AuditLine(Measured):
    """The branch measured against the first baseline, beside the sum of the gains that were claimed on the way."""

    kind: Literal["audit"] = "audit"
    number: int
    anchor: Sha
    head_digest: Digest
    claimed: FiniteFloat
    measured: FiniteFloat | None
    error: FiniteFloat | None
    """Standard error of the difference between measured and claimed gain."""
    ok: bool
    reason: str


class CanaryLine(Measured):
    """A known cheat, planted in the base's editable file: whether anything stopped it."""

    kind: Literal["canary"] = "canary"
    number: int
    cheat: str
    content: Digest
    """SHA-256 of the editable file with the cheat in it."""
    surroundings: Digest | Literal[""] = ""
    """Inputs digest of the base without the editable file: another evaluator is another fence."""
    fence: Fence
    reason: str


class VerdictLine(Measured):
    """An experiment's verdict, and everything it was computed from."""

    kind: Literal["verdict"] = "verdict"
    experiment: int
    pull: int
    head: Sha
    start: Stage = Stage.SCREEN
    inputs_after: Digest
    """Inputs digest of the base as it would be after the merge: the sealed runs are the new pool there."""
    content: Digest
    """SHA-256 of the candidate's bytes."""
    verdict: Verdict
    stage: Stage
    reason: str
    effect: FiniteFloat | None = None
    effect_sigma: FiniteFloat | None = None
    sigma: FiniteFloat = 0.0
    screen_z: FiniteFloat | None = None
    llr: FiniteFloat | None = None
    """The evidence of the confirming pairs; with it no confirming run can be changed unseen."""
    hypothesis: str = ""
    proposer: str = ""
    predicted: FiniteFloat | None = None
    parameters: dict[str, FiniteFloat] = Field(default_factory=dict)
    meaning: Digest | None = None
    """Digest of what the candidate's bytes say to Python (`pawl.core.meaning`): two layouts of one program share it."""
    models: tuple[str, ...] = ()
    """Exact ids of the models that proposed the edit."""
    seconds_in_budget: FiniteFloat = 0.0
    seconds_outside: FiniteFloat = 0.0


class LostLine(Line):
    """A job that ended before its plan did, and is followed by another one.

    Its runner vanished, it was cancelled, or its record cannot be read. What it ran beyond the known runs, nobody knows; the
    next job draws no new seeds.
    """

    kind: Literal["lost"] = "lost"
    experiment: int
    attempt: int
    job: int
    fleet: str = ""
    known_runs: Annotated[int, Field(ge=0)]
    """Runs of the experiment that are known so far, those of earlier jobs included."""
    reason: str


class LateLine(Line):
    """Runs of a job that was given up as lost, whose record came when another one went on already.

    They were started, so they are told. They decide nothing: the job that went on makes the same runs under the same seeds,
    and whoever could choose between the two would choose the better one.
    """

    kind: Literal["late"] = "late"
    experiment: int
    attempt: int
    job: int
    fleet: str = ""
    runs: tuple[RunFact, ...]
    record: Digest
    """SHA-256 of the record, which lies beside the experiment's own as ``late-<attempt>.json``."""


class OutcomeLine(Line):
    """What became of an experiment; after the merge or close it tells of."""

    kind: Literal["outcome"] = "outcome"
    experiment: int
    outcome: Outcome
    commit: Sha | None = None
    by: str = ""
    reason: str = ""


class IncidentLine(Line):
    """Evidence of cheating, of a broken evaluator, or of another model than the pinned one: no merge until a resume."""

    kind: Literal["incident"] = "incident"
    experiment: int | None = None
    reason: str
    stops: Literal["merging", "loop"] = "merging"
    """``loop``: nothing is proposed or measured either."""


class SpendLine(Line):
    """What one proposal cost, whether or not an edit came of it."""

    kind: Literal["spend"] = "spend"
    experiment: int
    """The number the proposal was made for; several may have been made for one."""
    proposer: str
    models: tuple[str, ...] = ()
    """Exact ids by which the models named themselves."""
    requests: Annotated[int, Field(ge=0)] = 0
    """Requests to a model."""
    tokens_in: Annotated[int, Field(ge=0)] = 0
    """Input tokens, those read from a cache included."""
    tokens_cached: Annotated[int, Field(ge=0)] = 0
    tokens_out: Annotated[int, Field(ge=0)] = 0
    """Output tokens, reasoning included."""
    money: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """US dollars; none where no price is known."""
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0
    proposed: bool = True
    """Whether an edit came of it."""
    reason: str = ""
    """Why none did."""


class RebasedLine(Line):
    """A kept edit, merged onto a base whose inputs have moved: this content may start at the seal there, no other may."""

    kind: Literal["rebased"] = "rebased"
    experiment: int
    content: Digest
    inputs: Digest


class AskLine(Line):
    """What a person asked for, and whether it was done."""

    kind: Literal["ask"] = "ask"
    by: str
    level: str
    """What they may do in the repository: ``triage``, ``write`` and so on."""
    said: str
    """The command, as it was written."""
    number: int
    """The issue or pull request it stands in."""
    experiment: int | None = None
    verb: str = ""
    """Empty where it was no command that exists."""
    idea: str = ""
    """What stands behind the verb: what to try, or why something is dismissed."""
    content: Digest | None = None
    """SHA-256 of the experiment's bytes at that moment: a merge that was asked for is of these and no others."""
    obeyed: bool
    reason: str = ""
    """Why it was not."""


class RulesLine(Line):
    """The loop's rules are these from here on."""

    kind: Literal["rules"] = "rules"
    rules: Annotated[Loop, WrapValidator(_shared)]
    changed: tuple[str, ...] = ()
    """What is new in them, as ``merge: review, now auto``; nothing in the first line of its kind."""
    commit: Sha
    """The tip of the loop's branch at that moment."""


class Brake(StrEnum):
    """What a person stops a loop with."""

    PAUSED = "paused"
    """The tracking issue is closed, or has the label for it."""
    STOPPED = "stopped"
    """The ref ``refs/pawl/stop`` is there."""


class BrakeLine(Line):
    """A person has put a brake on, or has taken it off."""

    kind: Literal["brake"] = "brake"
    brake: Brake
    on: bool
    by: str = ""
    """Who it was, where GitHub says so."""


class ResumeLine(Line):
    """A person has looked at the incidents so far and lets the loop merge again."""

    kind: Literal["resume"] = "resume"
    by: str
    reason: str = ""


class DismissalLine(Line):
    """A person says that a planted cheat which passed is none in this loop: its incident is over, and it is planted no more.

    That holds as long as the loop measures what it measured then, with the same files around the editable one.
    """

    kind: Literal["dismissal"] = "dismissal"
    canary: int
    """The number of the cheat's line."""
    by: str
    reason: str
    """Why, in the person's words."""


AnyLine = Annotated[
    CalibrationLine
    | AuditLine
    | CanaryLine
    | VerdictLine
    | LostLine
    | LateLine
    | OutcomeLine
    | IncidentLine
    | RebasedLine
    | AskLine
    | RulesLine
    | BrakeLine
    | ResumeLine
    | DismissalLine
    | SpendLine,
    Field(discriminator="kind"),
]
NUMBERED = (CalibrationLine, AuditLine, CanaryLine)
"""Lines about unchanged code, which are counted together: their jobs are called ``c1``, ``c2`` and so on."""
