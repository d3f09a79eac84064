"""What an audit's runs mean: the branch's gain over its first baseline, beside the sum of the gains that were claimed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean

from pawl.core.config import SELECT
from pawl.core.ledger import AnyLine
from pawl.core.measurement import Arm, Request, RunFact, Stage
from pawl.core.noise import upper_sigma
from pawl.core.paired import paired_of
from pawl.core.planning import merged_since_anchor

AUDIT_ALPHA = 0.01
AUDIT_SHARE = 0.5
"""A measured total below this share of the claimed one is a shortfall, whatever its error."""


@dataclass(frozen=True)
class Audit:
    """What the branch has really gained since the first baseline, beside what was claimed."""

    claimed: float
    measured: float
    error: float
    ok: bool
    reason: str


def _error(request: Request, values: dict[Arm, list[float]], claims: int) -> float:
    known, dials = request.calibration, request.procedure
    sigma = upper_sigma(known.sigma, known.dof) if known.dof else known.sigma
    variance = 1 / len(values[Arm.CANDIDATE]) + 1 / len(values[Arm.BASELINE])
    variance += claims * (1 / dials.seal_candidates + 1 / dials.seal_baselines)
    return sigma * sqrt(variance)


def audited(lines: Sequence[AnyLine], request: Request, runs: Sequence[RunFact]) -> Audit:
    """Compare the measured total with the sum of the sealed gains.

    The error is that of the difference: sigma * sqrt(1/n + 1/n) of the audit, and sigma * sqrt(1/4 + 1/2) of every seal;
    in loops over a harness the standard errors over tasks, of the audit and of every seal.
    A shortfall is one with a one-sided p below 0.01, or less than half of the claim.
    """
    sign = request.rules.metric.sign
    values = {
        arm: [run.metric[SELECT] for run in runs if run.arm is arm and SELECT in run.metric] for arm in Arm
    }
    measured = sign * (fmean(values[Arm.CANDIDATE]) - fmean(values[Arm.BASELINE]))
    claims = [line for line in merged_since_anchor(lines) if line.effect is not None]
    claimed = sum(line.effect or 0.0 for line in claims)
    if request.rules.task_agent:
        paired = paired_of(runs, (Stage.AUDIT,))
        measured, error = paired.effect, sqrt(paired.error**2 + sum(line.sigma**2 for line in claims))
    else:
        error = _error(request, values, len(claims))
    shortfall = claimed - measured
    significant = shortfall > error * NormalDist().inv_cdf(1 - AUDIT_ALPHA)
    if claimed > 0 and (significant or measured < AUDIT_SHARE * claimed):
        return Audit(
            claimed,
            measured,
            error,
            False,
            f"the branch gained {measured:.4g}, its merges claimed {claimed:.4g}",
        )
    return Audit(claimed, measured, error, True, f"the branch gained {measured:.4g} of {claimed:.4g} claimed")
