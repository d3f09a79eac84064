"""Small values for the tests of the core: rules, requests, runs and ledger lines with everything filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pawl.core.chain import head_of
from pawl.core.config import SELECT, Loop
from pawl.core.decision import Calibrated, Fence, Finding, Tried, advance
from pawl.core.ledger import AnyLine, CalibrationLine, CanaryLine, OutcomeLine, VerdictLine
from pawl.core.measurement import (
    Arm,
    Calibration,
    Procedure,
    Purpose,
    Request,
    RunFact,
    RunStatus,
    Stage,
    Step,
)
from pawl.core.seeds import seeds_needed

SHA, OTHER_SHA = "a" * 40, "b" * 40
INPUTS, AFTER = "c" * 64, "d" * 64
CONTENT = "e" * 64
POOL = (10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0)

Answer = Callable[[Step], dict[str, Any]]


def rules(**changes: Any) -> Loop:
    """A minimal loop, maximizing `score`, with changes."""
    plain: dict[str, Any] = {"edit": "lab/train.py", "metric": {"name": "score", "goal": "maximize"}}
    return Loop.model_validate({**plain, **changes})


def evaluated(**changes: Any) -> Loop:
    """A loop with an evaluator and two validation splits."""
    return rules(
        artifact={"path": "out.json", "format": "json"},
        evaluate={"command": "python evaluate.py", "private": ["lab/holdout/"]},
        predict={"command": "python train.py --predict"},
        **changes,
    )


def request(**changes: Any) -> Request:
    """An experiment's request: sigma 1 known well, a pool of eight tens."""
    plain: dict[str, Any] = {
        "repository": "us/loop",
        "loop": "loop",
        "rules": rules(),
        "purpose": Purpose.EXPERIMENT,
        "number": 1,
        "base": SHA,
        "inputs": INPUTS,
        "baseline": SHA,
        "candidate": OTHER_SHA,
        "candidate_digest": CONTENT,
        "seeds": tuple(range(100, 100 + seeds_needed(Procedure()))),
        "calibration": Calibration(sigma=1.0, dof=40, pool=POOL, device="cpu"),
    }
    return Request(**{**plain, **changes})


def pool_request(**changes: Any) -> Request:
    """A calibration of eight runs."""
    return request(purpose=Purpose.POOL, candidate=None, candidate_digest=None, **changes)


def fact(step: Step, value: float | None = 10.0, **changes: Any) -> RunFact:
    """The run that a step led to."""
    metric = {} if value is None else {SELECT: value}
    plain = {**step.model_dump(), "status": RunStatus.OK, "metric": metric, "seconds": 1.0}
    return RunFact(**{**plain, **changes})


def scripted(candidate: float, baseline: float = 10.0) -> Answer:
    """Every run of an arm reports the same value."""
    return lambda step: {"value": candidate if step.arm is Arm.CANDIDATE else baseline}


def drive(asked: Request, answer: Answer) -> tuple[list[RunFact], Finding | Calibrated | Tried]:
    """Play a whole plan; the answer to a step is what `fact` takes."""
    facts: list[RunFact] = []
    while isinstance(step := advance(asked, [*asked.runs, *facts]), Step):
        facts.append(fact(step, **answer(step)))
        assert len(facts) < 200, "the plan does not end"
    return facts, step


def found(asked: Request, answer: Answer) -> Finding:
    """The finding that an experiment's plan ends with."""
    end = drive(asked, answer)[1]
    assert isinstance(end, Finding)
    return end


class History:
    """A ledger under construction: lines are numbered and chained as they are added."""

    def __init__(self) -> None:
        self.lines: list[AnyLine] = []

    def add(self, kind: type[Any], key: str, **values: Any) -> Any:
        seq, prev = head_of(self.lines)
        at, policy = "2031-05-04T00:00:00+00:00", values.pop("policy", rules().policy_digest)
        line = kind(seq=seq + 1, prev=prev, loop="loop", key=key, at=at, policy=policy, **values)
        self.lines.append(line)
        return line

    def calibration(self, values: list[float], inputs: str = INPUTS, **changes: Any) -> CalibrationLine:
        """Baseline runs with these values."""
        number = 1 + sum(isinstance(line, CalibrationLine) for line in self.lines)
        runs = tuple(
            fact(Step(arm=Arm.BASELINE, stage=Stage.CALIBRATE, place=place, seed=place), value)
            for place, value in enumerate(values)
        )
        plain: dict[str, Any] = {
            **self._measured(inputs, runs),
            "number": number,
            "purpose": Purpose.POOL,
            "ok": True,
            "reason": "",
        }
        line: CalibrationLine = self.add(CalibrationLine, f"calibration:{number}", **{**plain, **changes})
        return line

    def canary(self, fence: Fence = Fence.HELD, cheat: str = "written-result", **changes: Any) -> CanaryLine:
        """A planted cheat, and what became of it."""
        number = 1 + len(self.lines)
        run = fact(
            Step(arm=Arm.CANDIDATE, stage=Stage.SCREEN, place=0, seed=0), None, status=RunStatus.INVALID
        )
        plain: dict[str, Any] = {
            **self._measured(INPUTS, (run,)),
            "number": number,
            "cheat": cheat,
            "content": CONTENT,
            "fence": fence,
            "reason": "because",
        }
        line: CanaryLine = self.add(CanaryLine, f"calibration:{number}", **{**plain, **changes})
        return line

    def verdict(self, experiment: int, runs: tuple[RunFact, ...] = (), **changes: Any) -> VerdictLine:
        """A verdict with these runs, by default a discard."""
        attempt = changes.get("attempt", 1)
        plain: dict[str, Any] = {
            **self._measured(INPUTS, runs),
            "experiment": experiment,
            "pull": 100 + experiment,
            "head": OTHER_SHA,
            "inputs_after": AFTER,
            "content": CONTENT,
            "verdict": "discard",
            "stage": Stage.SCREEN,
            "reason": "because",
        }
        key = f"verdict:{experiment}:{OTHER_SHA[:12]}:{attempt}"
        line: VerdictLine = self.add(VerdictLine, key, **{**plain, **changes})
        return line

    def outcome(self, experiment: int, outcome: str = "closed", by: str = "") -> OutcomeLine:
        line: OutcomeLine = self.add(
            OutcomeLine, f"outcome:{experiment}", experiment=experiment, outcome=outcome, by=by
        )
        return line

    def _measured(self, inputs: str, runs: tuple[RunFact, ...]) -> dict[str, Any]:
        return {
            "attempt": 1,
            "rules": rules(),
            "base": SHA,
            "inputs": inputs,
            "device": "cpu",
            "runs": runs,
            "seeds": tuple(run.seed for run in runs),
            "calibration": Calibration(sigma=0.0, dof=0, pool=()),
        }


def run_of(arm: Arm, stage: Stage, place: int, value: float | None = 10.0, **changes: Any) -> RunFact:
    """One run by hand."""
    return fact(Step(arm=arm, stage=stage, place=place, seed=place), value, **changes)
