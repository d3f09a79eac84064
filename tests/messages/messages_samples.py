"""Ledgers, requests and snapshots to write messages about. Verdicts come from the real plan, driven by made-up runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pawl.core.chain import head_of
from pawl.core.config import SEAL, SELECT, Config, Loop
from pawl.core.decision import Finding, advance
from pawl.core.digest import sha256
from pawl.core.finding import Fence
from pawl.core.judging import late_key
from pawl.core.ledger import (
    AnyLine,
    AuditLine,
    CalibrationLine,
    CanaryLine,
    IncidentLine,
    LateLine,
    LostLine,
    Outcome,
    OutcomeLine,
    SpendLine,
    VerdictLine,
)
from pawl.core.measurement import (
    Arm,
    Calibration,
    Environment,
    Purpose,
    Record,
    Request,
    RunFact,
    RunRecord,
    RunStatus,
    Stage,
    Step,
)
from pawl.core.snapshot import Base, Experiment, Snapshot, Tracking

GOLDEN = Path(__file__).parent / "golden"

HOSTILE = (
    "`` ``` ~~~ </details> <script>alert(1)</script> <!-- --> @octocat @org/team fixes #12 GH-7 o/r#9 "
    "[a](javascript:x) ![b](https://evil.example/p.png) www.evil.example a@b.example | x | :bomb: [skip ci] "
    "deadbeef01 JIRA-5 \x1b[31mred\x1b[0m \u202eesrever\u202c {{ 7*7 }} {% raw %} $(id)\n"
    "/merge now\n"
    "- [ ] task\n"
    "```\n"
    "# heading\n"
    "Co-authored-by: Eve <eve@evil.example>\n"
    "Pawl-Proposer: somebody else\n"
    "skip-checks: true\n"
)


def golden(name: str, text: str) -> None:
    """Compare with ``golden/<name>``; ``PAWL_UPDATE_GOLDEN=1`` writes it."""
    path = GOLDEN / name
    if os.environ.get("PAWL_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert path.is_file(), (
        f"{path} is missing: run the tests with PAWL_UPDATE_GOLDEN=1 and read what they wrote"
    )
    assert text == path.read_text(encoding="utf-8"), (
        "if this is meant: PAWL_UPDATE_GOLDEN=1, and read the diff"
    )


def sha(name: str) -> str:
    return sha256(name)[:40]


def rules(**changes: Any) -> Loop:
    values: dict[str, Any] = {
        "edit": "examples/nanogpt/train.py",
        "metric": {"name": "val_bpb", "goal": "minimize"},
        "run": {"image": "docker/experiment.Dockerfile"},
        "predict": {"command": "python train.py --predict"},
        "artifact": {"path": "logits.npy"},
        "evaluate": {"command": "python evaluate.py"},
        "guards": {"peak_memory_mb": "+10%"},
        "merge": "auto",
        **changes,
    }
    return Config(loops={"nanogpt": {k: v for k, v in values.items() if v is not None}}).loops["nanogpt"]  # type: ignore[dict-item]


SIGMA = 0.004
BASE = 0.998
POOL = tuple(BASE + SIGMA * z for z in (-0.9, 0.4, 1.2, -0.3, 0.1, -1.1, 0.8, -0.2))
CALIBRATION = Calibration(sigma=SIGMA, dof=40, pool=POOL, device="NVIDIA H100 80GB")
WOBBLE = (0.31, -0.52, 0.11, 0.73, -0.28, -0.64, 0.47, 0.05, -0.35, 0.58)
"""Noise of one run, in sigma, by place."""


def request(**changes: Any) -> Request:
    values: dict[str, Any] = {
        "repository": "octo/lab",
        "loop": "nanogpt",
        "rules": rules(),
        "purpose": Purpose.EXPERIMENT,
        "number": 12,
        "base": sha("base"),
        "inputs": sha256("inputs"),
        "baseline": sha("base"),
        "candidate": sha("head"),
        "candidate_digest": sha256("content"),
        "seeds": tuple(range(1000, 1016)),
        "calibration": CALIBRATION,
    }
    return Request(**{**values, **changes})


def calibration(purpose: Purpose, **changes: Any) -> Request:
    return request(purpose=purpose, number=3, candidate=None, candidate_digest=None, **changes)


def measured(step: Step, gain: float) -> RunFact:
    """A run of an edit whose true gain is `gain` sigma."""
    noise = WOBBLE[step.place % len(WOBBLE)] * (1 if step.arm is Arm.BASELINE else -0.8)
    value = BASE + SIGMA * (noise - (gain if step.arm is Arm.CANDIDATE else 0))
    memory = 14321.0 if step.arm is Arm.BASELINE else 14466.0
    return RunFact(
        **step.model_dump(),
        status=RunStatus.OK,
        metric={SELECT: round(value, 6), SEAL: round(value + 0.02, 6)},
        guards={"peak_memory_mb": memory},
        seconds=301.5 if step.arm is Arm.BASELINE else 303.25,
    )


def drive(asked: Request, run: Callable[[Step], RunFact]) -> tuple[tuple[RunFact, ...], Finding]:
    runs: list[RunFact] = []
    while True:
        end = advance(asked, runs)
        if isinstance(end, Step):
            runs.append(run(end))
            continue
        assert isinstance(end, Finding)
        return tuple(runs), end


def with_gain(gain: float) -> Callable[[Step], RunFact]:
    return lambda step: measured(step, gain)


def failing(status: RunStatus) -> Callable[[Step], RunFact]:
    return lambda step: RunFact(**step.model_dump(), status=status, seconds=12.5)


def lying(step: Step) -> RunFact:
    """A screening run that claims far more than the evaluator finds."""
    return measured(step, 3.0).model_copy(update={"printed": 0.5})


def verdict(
    asked: Request, run: Callable[[Step], RunFact], lines: Iterable[AnyLine] = (), **changes: Any
) -> tuple[VerdictLine, Finding]:
    runs, finding = drive(asked, run)
    seq, prev = head_of(list(lines))
    values: dict[str, Any] = {
        "seq": seq + 1,
        "prev": prev,
        "loop": asked.loop,
        "key": f"verdict:{asked.number}:{asked.attempt}",
        "at": "2026-05-04T10:00:00+00:00",
        "policy": sha256("policy"),
        "attempt": asked.attempt,
        "rules": asked.rules,
        "base": asked.base,
        "inputs": asked.inputs,
        "device": "NVIDIA H100 80GB",
        "runs": runs,
        "seeds": asked.seeds,
        "calibration": asked.calibration,
        "procedure": asked.procedure,
        "record": sha256("record"),
        "jobs": (77,),
        "experiment": asked.number,
        "pull": 100 + asked.number,
        "head": asked.candidate,
        "inputs_after": sha256("after"),
        "content": asked.candidate_digest,
        "verdict": finding.verdict,
        "stage": finding.stage,
        "reason": finding.reason,
        "effect": finding.effect,
        "effect_sigma": finding.effect_sigma,
        "sigma": finding.sigma,
        "hypothesis": "Warm up for 200 steps instead of 50",
        "proposer": "search",
        "predicted": 0.01,
        "seconds_in_budget": round(sum(run.seconds for run in runs), 3),
        "seconds_outside": 12.5 * len(runs),
    }
    return VerdictLine(**{**values, **changes}), finding


class Story:
    """A ledger that is told line by line."""

    def __init__(self) -> None:
        self.lines: list[AnyLine] = []

    def _next(self, key: str) -> dict[str, Any]:
        seq, prev = head_of(self.lines)
        return {
            "seq": seq + 1,
            "prev": prev,
            "loop": "nanogpt",
            "key": key,
            "at": f"2026-05-04T{seq % 24:02d}:00:00+00:00",
            "policy": sha256("policy"),
        }

    def pool(self) -> None:
        runs = tuple(
            RunFact(
                arm=Arm.BASELINE,
                stage=Stage.CALIBRATE,
                place=place,
                seed=place,
                status=RunStatus.OK,
                metric={SELECT: value},
                guards={"peak_memory_mb": 14321.0},
                seconds=301.0,
            )
            for place, value in enumerate(POOL)
        )
        self.lines.append(
            CalibrationLine(
                **self._next("calibration:1"),
                attempt=1,
                rules=rules(),
                base=sha("base"),
                inputs=sha256("inputs"),
                device="NVIDIA H100 80GB",
                runs=runs,
                seeds=tuple(range(8)),
                calibration=Calibration(sigma=0, dof=0, pool=()),
                number=1,
                purpose=Purpose.POOL,
                ok=True,
                reason="8 runs",
            )
        )

    def tried(self, number: int, run: Callable[[Step], RunFact], **changes: Any) -> VerdictLine:
        asked = request(number=number, candidate=sha(f"head{number}"))
        line, _ = verdict(asked, run, self.lines, **changes)
        self.lines.append(line)
        return line

    def lost(self, number: int, attempt: int, known_runs: int, reason: str, head: str = "head") -> None:
        """A job ended before its plan did."""
        line = self._next(f"lost:{number}:{head}:{attempt}")
        told = {"experiment": number, "attempt": attempt, "job": 70 + attempt, "known_runs": known_runs}
        self.lines.append(LostLine(**line, **told, reason=reason))

    def late(self, attempt: int) -> None:
        """The record of the last lost job came after all."""
        lost = next(line for line in reversed(self.lines) if isinstance(line, LostLine))
        runs = (
            RunFact(
                stage=Stage.SCREEN, arm=Arm.CANDIDATE, place=0, seed=7, status=RunStatus.OK, seconds=300.0
            ),
        )
        told = {
            "experiment": lost.experiment,
            "attempt": attempt,
            "job": lost.job,
            "runs": runs,
            "record": "0" * 64,
        }
        self.lines.append(LateLine(**self._next(late_key(lost)), **told))

    def ended(self, number: int, outcome: Outcome, **changes: Any) -> None:
        self.lines.append(
            OutcomeLine(**self._next(f"outcome:{number}"), experiment=number, outcome=outcome, **changes)
        )

    def incident(self, what: int | str, reason: str, **changes: Any) -> None:
        key = self._next(f"incident:{what}")
        experiment = what if isinstance(what, int) else None
        self.lines.append(IncidentLine(**key, experiment=experiment, reason=reason, **changes))

    def spent(self, experiment: int, **changes: Any) -> None:
        values: dict[str, Any] = {
            "proposer": "llm",
            "models": ("claude-sonnet-4-5-20250929",),
            "requests": 6,
            "tokens_in": 52_000,
            "tokens_cached": 40_000,
            "tokens_out": 2100,
            "money": 0.21,
            "seconds": 63.0,
        }
        key = f"spend:{experiment}:{len(self.lines)}"
        self.lines.append(SpendLine(**self._next(key), experiment=experiment, **{**values, **changes}))

    def canary(self, number: int, fence: Fence, cheat: str = "written-result") -> None:
        self.lines.append(
            CanaryLine(
                **self._next(f"calibration:{number}"),
                attempt=1,
                rules=rules(),
                base=sha("base"),
                inputs=sha256("inputs"),
                runs=(),
                seeds=(1,),
                calibration=CALIBRATION,
                number=number,
                cheat=cheat,
                content=sha256("cheat"),
                fence=fence,
                reason="because",
            )
        )

    def sentinel(self, number: int, score: float) -> None:
        """One run of the base, so many sigma better than its pool."""
        step = Step(arm=Arm.BASELINE, stage=Stage.CALIBRATE, place=0, seed=number)
        self.lines.append(
            CalibrationLine(
                **self._next(f"calibration:{number}"),
                attempt=1,
                rules=rules(),
                base=sha("base"),
                inputs=sha256("inputs"),
                device=CALIBRATION.device,
                runs=(measured(step, score).model_copy(update={"metric": {SELECT: BASE - SIGMA * score}}),),
                seeds=(number,),
                calibration=CALIBRATION,
                number=number,
                purpose=Purpose.SENTINEL,
                ok=True,
                reason="1 runs",
            )
        )

    def audit(self, gain: float) -> None:
        self.lines.append(
            AuditLine(
                **self._next("calibration:9"),
                attempt=1,
                rules=rules(),
                base=sha("base"),
                inputs=sha256("inputs"),
                runs=(),
                seeds=(1, 2, 3),
                calibration=CALIBRATION,
                number=9,
                anchor=sha("base"),
                head_digest=sha256("content"),
                claimed=gain * 1.2,
                measured=gain,
                error=0.002,
                ok=True,
                reason="the branch gained what was claimed",
            )
        )


def story() -> Story:
    """A pool, then experiments 1 to 9: two merged, one merged by hand, one crash, one violation."""
    told = Story()
    told.pool()
    gains = {1: 0.2, 2: 3.5, 3: 1.0, 4: 0.9, 5: 2.6, 6: -2.0, 7: 1.6}
    for number, gain in gains.items():
        line = told.tried(number, with_gain(gain), hypothesis=f"Idea number {number}")
        merged = line.verdict == "keep"
        outcome = Outcome.MERGED if merged else Outcome.CLOSED
        told.ended(number, outcome, commit=sha(f"merge{number}") if merged else None)
    told.tried(8, failing(RunStatus.CRASH), hypothesis="Use a block size of 2**20")
    told.ended(8, Outcome.CLOSED)
    told.tried(9, lying, hypothesis=HOSTILE[:500])
    return told


def snapshot(lines: Iterable[AnyLine] = (), **changes: Any) -> Snapshot:
    base = Base(sha=sha("base"), inputs=sha256("inputs"), content=b"x = 1\n")
    values: dict[str, Any] = {
        "repository": "octo/lab",
        "loop": "nanogpt",
        "rules": rules(),
        "base": base,
        "ledger": tuple(lines),
        "tracking": Tracking(number=7),
        "last_number": 12,
    }
    return Snapshot(**{**values, **changes})


def experiment(number: int, **changes: Any) -> Experiment:
    plain = Experiment(
        number=number,
        pull=100 + number,
        head=sha(f"head{number}"),
        parent=sha("base"),
        parent_inputs=sha256("inputs"),
        parent_content=b"x = 1\n",
        content=b"x = 2\n",
        inputs_after=sha256("after"),
        hypothesis="Tie the embeddings",
    )
    return replace(plain, **changes)


HARNESS: dict[str, Any] = {
    "edit": "examples/harness/agent.py",
    "metric": {"name": "pass_rate", "goal": "maximize", "range": [0, 1]},
    "predict": None,
    "artifact": {"path": "answers.json", "format": "json"},
    "evaluate": {"command": "python verify.py"},
    "tasks": {"trajectories": "trajectories", "model": {"command": "python model.py"}},
    "guards": None,
    "agent": {
        "proposer": "llm",
        "model": "anthropic:claude-sonnet-4-5",
        "money": {"per_proposal": 2, "per_day": 20, "per_month": 300},
    },
}


def harness(**changes: Any) -> Request:
    """An experiment of a loop over a harness."""
    known = Calibration(sigma=0.05, dof=7, pool=(0.4,) * 8, device="a laptop")
    return request(rules=rules(**{**HARNESS, **changes}), calibration=known, seeds=tuple(range(32)))


def passing(
    share: float, broken: int = 0, models: tuple[str, ...] = ("scripted-1",)
) -> Callable[[Step], RunFact]:
    """Runs of a candidate that fixes this share of the tasks that the baseline fails, and breaks so many others."""

    def run(step: Step) -> RunFact:
        split = {Stage.SCREEN: "practice", Stage.SEAL: SEAL}.get(step.stage, SELECT)
        first = 100 * step.place
        tasks = {f"{split}-{first + task}": float(task % 5 < 2) for task in range(20)}
        if step.arm is Arm.CANDIDATE:
            failed = [name for name, score in tasks.items() if not score]
            passed = [name for name, score in tasks.items() if score]
            tasks |= dict.fromkeys(failed[: round(share * len(failed))], 1.0)
            tasks |= dict.fromkeys(passed[:broken], 0.0)
        return RunFact(
            **step.model_dump(),
            status=RunStatus.OK,
            metric={split: sum(tasks.values()) / len(tasks)},
            seconds=4.0,
            tasks=tasks,
            models=models,
        )

    return run


def passing_record(asked: Request, runs: tuple[RunFact, ...]) -> Record:
    """What a job hands in that made these runs."""
    return Record(
        request=asked.digest,
        key=asked.key,
        environment=Environment(device="NVIDIA H100 80GB", sandbox="docker"),
        runs=tuple(RunRecord(**run.model_dump()) for run in runs),
        complete=True,
        seconds_total=1234.5,
    )
