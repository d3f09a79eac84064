"""What the runs of a measurement mean: a verdict with the figures it follows from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pawl.core.measurement import Stage


class Verdict(StrEnum):
    """What an experiment's runs say."""

    KEEP = "keep"
    DISCARD = "discard"
    INCONCLUSIVE = "inconclusive"
    CRASH = "crash"
    VIOLATION = "violation"


@dataclass(frozen=True)
class GuardCheck:
    """One guard at the seal: means over the sealed runs of both arms, in the guard's own unit."""

    name: str
    bound: str
    baseline: float | None
    candidate: float | None
    kept: bool


@dataclass(frozen=True)
class Finding:
    """The verdict on an experiment, and the figures it follows from. Effects are positive where the candidate is better."""

    verdict: Verdict
    stage: Stage
    reason: str
    effect: float | None = None
    """In the metric's unit: the seal's difference of means once sealed, a rough figure from fewer runs before."""
    effect_sigma: float | None = None
    sigma: float = 0.0
    """The sigma the decision relied on (its upper bound)."""
    screen_z: float | None = None
    llr: float | None = None
    guards: tuple[GuardCheck, ...] = ()
    incident: str = ""
    """Evidence of cheating or of a broken evaluator; empty if there is none."""


class Fence(StrEnum):
    """What a planted cheat met."""

    HELD = "held"
    PASSED = "passed"
    UNTOLD = "untold"
    """It was not tried: the job was lost or measured nothing, or the run failed before the cheat had its turn."""


@dataclass(frozen=True)
class Tried:
    """The end of a canary."""

    fence: Fence
    reason: str


@dataclass(frozen=True)
class Calibrated:
    """The end of a calibration or an audit: whether it has the runs it wanted."""

    ok: bool
    reason: str
