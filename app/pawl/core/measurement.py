"""What goes to a runner and what comes back: the request, its runs and the record.

Both cross a border of trust as JSON, so both are strict: unknown keys, wrong types, NaN and infinities are refused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pawl.core.cheats import allowed
from pawl.core.config import PRACTICE, SEAL, SELECT, Loop
from pawl.core.digest import canonical_json, sha256

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Score = Annotated[float, Field(ge=0, le=1)]

MAX_TASKS = 500
"""Tasks of one block."""
LOG_TAIL = 4000
"""Characters of a run's output that a record keeps."""
TRAJECTORY_LIMIT = 2**20
"""Bytes of one practice task's trajectory."""
TRAJECTORIES_LIMIT = 8 * 2**20
"""Bytes of all that one measuring job hands in."""
RECORD_LIMIT = 4 * 2**20
"""Bytes beyond which a record is refused unread."""
REQUEST_LIMIT = 60_000
"""Characters of a request; GitHub admits 65,535 for all inputs of a dispatch together."""


class Strict(BaseModel):
    """Base of everything that crosses a border: frozen and closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Arm(StrEnum):
    """Which bytes of the editable file a run executes."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Stage(StrEnum):
    """Why a run was made."""

    CALIBRATE = "calibrate"
    SCREEN = "screen"
    CONFIRM = "confirm"
    SEAL = "seal"
    AUDIT = "audit"


class Purpose(StrEnum):
    """What a measuring job is for."""

    EXPERIMENT = "experiment"
    POOL = "pool"
    SENTINEL = "sentinel"
    AUDIT = "audit"
    CANARY = "canary"
    """A known cheat is planted in the base's editable file: it must be stopped."""


LARGEST = 1e50
"""A metric beyond this, either way, is none: its squares would overflow, now or whenever a later base is measured."""
Number = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]
Seconds = Annotated[float, Field(ge=0, le=1e9)]


def usable(value: float) -> bool:
    """Whether it can be reckoned with: neither NaN nor too large."""
    return abs(value) <= LARGEST


class RunStatus(StrEnum):
    """How a run ended. Everything but `INTERRUPTED` says something about the code that ran."""

    STARTED = "started"
    OK = "ok"
    CRASH = "crash"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    INVALID = "invalid"
    VIOLATION = "violation"
    INTERRUPTED = "interrupted"


class Step(Strict):
    """One run that a plan asks for: its arm, its place in the plan and its seed."""

    arm: Arm
    stage: Stage
    place: Annotated[int, Field(ge=0)]
    """Counts from 0 within the stage. Runs of both arms at the same place are a pair and share the seed."""
    seed: Annotated[int, Field(ge=0, lt=2**32)]


class RunFact(Step):
    """What a verdict may depend on, of one run. This much of every started run is in the ledger."""

    status: RunStatus
    metric: dict[str, Number] = Field(default_factory=dict)
    """The metric by validation split, in the metric's own unit."""
    printed: Number | None = None
    """What the run itself claimed, where an evaluator had the word."""
    guards: dict[str, Number] = Field(default_factory=dict)
    seconds: Seconds = 0.0
    """Wall time of the run's process by the host's clock."""
    tasks: dict[TaskName, Score] = Field(default_factory=dict, max_length=MAX_TASKS)
    """In loops over a harness: the score of every task of the run's block, by the evaluator's own name for it."""
    models: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=8)
    """Exact ids by which the models that answered the task agent named themselves, in the order of the alphabet."""


class RunRecord(RunFact):
    """Everything a runner tells of one run."""

    reason: Annotated[str, Field(max_length=1000)] = ""
    exit_code: int | None = None
    seconds_outside: Seconds = 0.0
    """Wall time that Pawl spent on this run outside the run's own process."""
    telemetry: dict[str, Number] = Field(default_factory=dict)
    log: Annotated[str, Field(max_length=LOG_TAIL)] = ""
    artifact: Digest | None = None
    started_at: str = ""
    job: str = ""

    @property
    def fact(self) -> RunFact:
        """The part that goes into a ledger line."""
        return RunFact(**{name: getattr(self, name) for name in RunFact.model_fields})


class Calibration(Strict):
    """What is known of the base before an experiment: its noise and its rolling pool of values."""

    sigma: Annotated[float, Field(ge=0)]
    """Standard deviation of one run, pooled within unchanged code (sigma-hat)."""
    dof: Annotated[int, Field(ge=0)]
    """Degrees of freedom behind sigma."""
    pool: tuple[Number, ...]
    """The last baseline values of this base on this kind of machine, oldest first."""
    device: str = ""
    """The kind of machine they were measured on; empty before the first measurement."""
    upto: Annotated[int, Field(ge=0)] = 0
    """Ledger lines this was computed from: those whose number is not larger."""


class Procedure(Strict):
    """The dials of Screen, Confirm, Seal. Defaults and their operating curve: docs/decision.md."""

    screen_z: float = 1.65
    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.20
    design_gain: Annotated[float, Field(gt=0)] = 2.0
    """The gain, in sigma, at which the sequential test is sharpest (delta-1)."""
    max_pairs: Annotated[int, Field(ge=1, le=64)] = 8
    clip: Annotated[float, Field(gt=0)] = 4.2
    seal_candidates: Annotated[int, Field(ge=1, le=16)] = 4
    seal_baselines: Annotated[int, Field(ge=1, le=16)] = 2
    seal_margin: Annotated[float, Field(ge=0)] = 0.0
    """Smallest sealed gain, in sigma, that is kept (eta)."""
    task_screen_z: float = 1.28
    """In loops over a harness: sum over root of squares of the screening block's differences that is needed."""
    task_alpha: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Together with screen and seal this stays far below the 0.003 that an idea without effect may have."""
    task_pairs: Annotated[int, Field(ge=1, le=64)] = 6
    task_seal_pairs: Annotated[int, Field(ge=1, le=16)] = 2
    max_interrupted: Annotated[int, Field(ge=0)] = 3
    max_baseline_failures: Annotated[int, Field(ge=1)] = 2


class Request(Strict):
    """One measuring job, complete: what to run, on which base, with which seeds, and what is already known."""

    version: Literal[1] = 1
    repository: str
    loop: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]
    rules: Loop
    purpose: Purpose
    number: Annotated[int, Field(ge=1)]
    """The experiment's number, or the calibration's."""
    attempt: Annotated[int, Field(ge=1)] = 1
    base: Sha
    """Commit whose tree both arms run in."""
    inputs: Digest
    baseline: Sha
    """Commit that holds the baseline arm's bytes of the editable file: the base, or an audit's anchor."""
    candidate: Sha | None = None
    """Commit that holds the candidate arm's bytes, or those that a cheat is planted in; none for runs of the base alone."""
    candidate_digest: Digest | None = None
    """SHA-256 of those bytes: the bytes that would be merged. Of a canary: with the cheat in them."""
    cheat: Annotated[str, Field(pattern=r"^[a-z-]{0,40}$")] = ""
    """The cheat that is planted in the candidate arm's bytes, of a canary."""
    surroundings: Digest | Literal[""] = ""
    """Inputs digest without the editable file, of a canary: what it says holds as long as that is the same."""
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**32)], ...]
    calibration: Calibration
    procedure: Procedure = Procedure()
    start: Stage = Stage.SCREEN
    runs_wanted: Annotated[int, Field(ge=1, le=64)] = 8
    """Runs of a calibration, or runs of each arm of an audit."""
    runs: tuple[RunFact, ...] = ()
    """Runs of an earlier job of the same attempt that was cut off: they count, and the plan goes on behind them."""
    fleet: Annotated[str, Field(max_length=39)] = ""
    """The runners that it is for; empty where the loop has no named ones."""
    check_run: Annotated[int, Field(ge=0)] = 0
    """The check run that holds this attempt; a job that finds it taken by another job measures nothing."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.candidate is None) != (self.candidate_digest is None):
            raise ValueError("candidate and candidate_digest come together")
        if (self.purpose is Purpose.EXPERIMENT) and self.candidate is None:
            raise ValueError("an experiment needs a candidate")
        if (self.purpose is Purpose.CANARY) != bool(self.cheat) or (self.cheat and self.candidate is None):
            raise ValueError("a canary, and nothing else, has a cheat that is planted in a candidate")
        return self

    @property
    def budget(self) -> float:
        """Seconds that a run is told; a canary gets a share of them."""
        return allowed(self.cheat, self.rules)[0] if self.cheat else self.rules.budget

    @property
    def grace(self) -> float:
        """Seconds that a run may take beyond its budget."""
        return allowed(self.cheat, self.rules)[1] if self.cheat else self.rules.grace

    @property
    def key(self) -> str:
        """``12.1`` for an experiment's first attempt, ``c3`` for a calibration."""
        return (
            f"{self.number}.{self.attempt}"
            if self.purpose is Purpose.EXPERIMENT
            else f"c{self.number}.{self.attempt}"
        )

    @property
    def digest(self) -> str:
        """Names this request; a record carries it, so that no record can be put under another request.

        The check run is left out: it is created with the request in it, and known only afterwards. So is what belongs to a
        cheat where there is none: requests that were made before there were any are named without.
        """
        absent = {"check_run"} if self.cheat else {"check_run", "cheat", "surroundings"}
        return sha256(canonical_json(self.model_dump(mode="json", exclude=absent)))


class Environment(Strict):
    """Where a record was measured."""

    device: str
    """Kind of machine: runs are only compared within one kind."""
    sandbox: Literal["process", "docker"]
    image: str = ""
    host: str = ""
    python: str = ""
    pawl: str = ""
    setup: str = ""
    """Digest of what `setup` was computed from; empty without one."""


class Record(Strict):
    """What a measuring job hands back. It is complete after every run, and says whether the plan was."""

    version: Literal[1] = 1
    request: Digest
    key: str
    environment: Environment
    runs: tuple[RunRecord, ...] = ()
    complete: bool = False
    refused: str = ""
    """Why nothing was measured (setup failed, the attempt was taken), in one sentence; empty otherwise."""
    started_at: str = ""
    seconds_total: Seconds = 0.0

    @property
    def facts(self) -> tuple[RunFact, ...]:
        """The part of all runs that a verdict may depend on."""
        return tuple(run.fact for run in self.runs)


def splits_of(rules: Loop, stage: Stage) -> tuple[str, ...]:
    """The splits that a run of a stage is scored on. A loop over a harness has one for each kind of stage."""
    if rules.task_agent:
        return ({Stage.SCREEN: PRACTICE, Stage.SEAL: SEAL}.get(stage, SELECT),)
    return rules.splits if stage is Stage.SEAL else (SELECT,)
