"""The ledger of a loop that has run for weeks: as long as it is asked for, and one that `pawl verify` agrees with."""

from __future__ import annotations

import random
from functools import cache

from pawl.core.calibration import calibration_of
from pawl.core.chain import head_of
from pawl.core.config import SELECT, Loop
from pawl.core.decision import Finding, advance
from pawl.core.digest import sha256
from pawl.core.ledger import AnyLine, CalibrationLine, Outcome, OutcomeLine, VerdictLine
from pawl.core.measurement import Arm, Purpose, Request, RunFact, RunStatus, Stage

INPUTS, BASE = "a" * 64, "b" * 40
AT = "2031-05-04T12:00:00+00:00"


def rules() -> Loop:
    """Of the loop that the history is about."""
    return Loop.model_validate(
        {
            "edit": "lab/train.py",
            "metric": {"name": "score", "goal": "maximize"},
            "budget": "5m",
            "merge": "review",
        }
    )


POLICY = rules().policy_digest


@cache
def history(
    experiments: int, loop: str = "lab", inputs: str = INPUTS, base: str = BASE
) -> tuple[AnyLine, ...]:
    """A pool, then so many experiments that were dropped at the screen, each with its verdict and its outcome."""
    rng, lines = random.Random(experiments), list[AnyLine]()

    def add(kind: type[AnyLine], key: str, **values: object) -> None:
        seq, prev = head_of(lines[-1:])
        lines.append(kind(seq=seq + 1, prev=prev, loop=loop, key=key, at=AT, policy=POLICY, **values))  # type: ignore[operator]

    known = calibration_of((), inputs)
    pool = tuple(
        RunFact(arm=Arm.BASELINE, stage=Stage.CALIBRATE, place=place, seed=place, status=RunStatus.OK,
                metric={SELECT: rng.gauss(0, 1)}, seconds=300)
        for place in range(8)
    )  # fmt: skip
    common = {"rules": rules(), "base": base, "inputs": inputs, "device": "gpu", "attempt": 1}
    add(
        CalibrationLine, "calibration:1", **common, number=1, purpose=Purpose.POOL, ok=True, reason="8 runs of the base",
        runs=pool, seeds=tuple(range(8)), calibration=known,
    )  # fmt: skip
    known = calibration_of(lines, inputs)
    for number in range(1, experiments + 1):
        content = sha256(f"content {number}")
        request = Request(
            repository="us/lab", loop=loop, rules=rules(), purpose=Purpose.EXPERIMENT, number=number, base=base,
            inputs=inputs,
            baseline=base, candidate=f"{number:040x}", candidate_digest=content, seeds=tuple(range(13)), calibration=known,
        )  # fmt: skip
        run = RunFact(arm=Arm.CANDIDATE, stage=Stage.SCREEN, place=0, seed=0, status=RunStatus.OK,
                      metric={SELECT: -1 - rng.random()}, seconds=300)  # fmt: skip
        end = advance(request, (run,))
        assert isinstance(end, Finding)
        told = ("verdict", "stage", "reason", "effect", "effect_sigma", "sigma", "screen_z", "llr")
        add(
            VerdictLine, f"verdict:{number}:{number:040x}"[: len(f"verdict:{number}:") + 12] + ":1", **common,
            runs=(run,), seeds=request.seeds, calibration=known, experiment=number, pull=number + 1, head=f"{number:040x}",
            inputs_after=sha256(f"after {number}"), content=content, **{name: getattr(end, name) for name in told},
            hypothesis=f"RATE 0.{number}: does a larger value help, with warm-up {number % 7} and width {number % 11}?",
            proposer="llm", parameters={"RATE": number / 1000, "WIDTH": float(number % 11)}, seconds_in_budget=300,
        )  # fmt: skip
        add(OutcomeLine, f"outcome:{number}", experiment=number, outcome=Outcome.CLOSED, by="pawl[bot]")
    return tuple(lines)
