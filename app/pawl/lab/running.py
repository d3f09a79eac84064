"""One run, from an empty folder to its record. Whatever the candidate does becomes a fact here, never an exception."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pawl.core.config import SELECT
from pawl.core.measurement import LARGEST, LOG_TAIL, RunRecord, RunStatus, splits_of, usable
from pawl.core.quantities import format_duration
from pawl.lab import artifact
from pawl.lab.bench import Bench
from pawl.lab.device import GpuMeter
from pawl.lab.output import last_complaint, one_line, tail
from pawl.lab.readings import Answer, evaluator_answer, printed_guards, printed_metric
from pawl.lab.sandbox import Ended, Folder, Mount
from pawl.lab.tree import remove

CARRY_BYTES = 16 * 2**30
"""Size of one carried file."""


class _Over(Exception):
    """The run has its status; nothing more is done for it."""

    def __init__(self, status: RunStatus, reason: str, log: str = "") -> None:
        self.status, self.reason, self.log = status, reason, log


@dataclass
class Running:
    """One run being made. `measure` may be called once."""

    bench: Bench
    run: RunRecord
    clock: Callable[[], float] = time.monotonic
    seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by phase."""
    changes: dict[str, object] = field(default_factory=dict)
    guards: dict[str, float] = field(default_factory=dict)
    telemetry: dict[str, float] = field(default_factory=dict)
    log: str = ""

    def measure(self) -> RunRecord:
        """Make the run.

        Raises:
            OSError, RuntimeError: Pawl or the machine failed, not the code that ran.
        """
        began = self.clock()
        self.content = self.bench.overlay.bytes_of[self.run.arm]
        self.kept = self.bench.work.private / "kept"
        status, reason = RunStatus.OK, ""
        try:
            self.kept.mkdir(parents=True)
            metric = self._measure()
        except _Over as over:
            status, reason = over.status, over.reason
            if over.log:
                half = LOG_TAIL // 2
                self.log = f"{tail(self.log, half - 20)}\n--- evaluator:\n{tail(over.log, half - 20)}"
        else:
            self.changes["metric"] = metric
        finally:
            remove(self.kept)
        self.guards["lines"] = _lines(self.content)
        jobs = sum(self.seconds.get(phase, 0.0) for phase in ("run", "predict", "evaluate"))
        phases = {f"seconds_{phase}": value for phase, value in self.seconds.items()}
        changes = {
            **self.changes,
            "status": status,
            "reason": one_line(reason, 1000),
            "guards": self.guards,
            "telemetry": {**self.telemetry, **phases},
            "log": tail(self.log, LOG_TAIL),
            "seconds_outside": max(0.0, self.clock() - began - jobs),
        }
        return RunRecord.model_validate({**self.run.model_dump(), **changes})

    def _measure(self) -> dict[str, float]:
        rules, bench = self.bench.rules, self.bench
        variables = bench.variables(self.run.seed, SELECT)
        before = self.clock()
        with bench.folder("run", self.content, private=False) as folder:
            self.seconds["tree"] = self.clock() - before
            with GpuMeter(bench.gpu) as meter:
                ended = bench.sandbox.run(bench.run_job(folder, variables))
            self._note(ended, meter)
            self._require_success(ended)
            if rules.evaluate is None:
                return {SELECT: self._self_reported(ended)}
            self._hear(ended)
            if rules.predict is None:
                self._take(folder, SELECT)
            else:
                self._carry(folder)
        return {split: self._score(split) for split in splits_of(rules, self.run.stage)}

    def _note(self, ended: Ended, meter: GpuMeter) -> None:
        """What is known of the run however it ended."""
        self.log = ended.log
        self.seconds["run"] = ended.seconds
        self.changes |= {"seconds": ended.seconds, "exit_code": ended.exit_code}
        self.telemetry |= {"cpu_seconds": ended.cpu_seconds, **meter.telemetry}
        self._memory(ended)
        if "gpu_memory_mb" in meter.telemetry:
            self.guards["gpu_memory_mb"] = meter.telemetry["gpu_memory_mb"]
        if ended.note:
            self.log += f"\n[{ended.note}]"

    def _hear(self, ended: Ended) -> None:
        """What the run claims, though an evaluator has the word."""
        printed = printed_metric(ended.output, self.bench.rules.metric)
        if printed is not None and usable(printed):
            self.changes["printed"] = printed

    def _memory(self, ended: Ended) -> None:
        """The peak of the run and its predictions, in units of 10^6 bytes."""
        peak = max(self.guards.get("peak_memory_mb", 0.0), ended.peak_memory / 1e6)
        self.guards["peak_memory_mb"] = self.telemetry["peak_memory_mb"] = peak

    def _require_success(self, ended: Ended, what: str = "the run") -> None:
        rules = self.bench.rules
        asked = self.bench.request
        allowed = rules.grace if what == "predict" else asked.budget + asked.grace
        said = last_complaint(ended.log)
        match ended.outcome:
            case "stopped":
                raise _Over(RunStatus.INTERRUPTED, f"the measuring job was told to stop during {what}")
            case "timeout":
                raise _Over(
                    RunStatus.TIMEOUT,
                    f"{what} was killed after {format_duration(allowed)}, all the time it has",
                )
            case "memory":
                limit = rules.run.memory / 1e6
                raise _Over(
                    RunStatus.MEMORY,
                    f"{what} was killed: it used more than run.memory allows ({limit:,.0f} MB)",
                )
            case "disk":
                raise _Over(RunStatus.CRASH, f"{what} was killed: it filled the disk")
            case "processes":
                raise _Over(RunStatus.CRASH, f"{what} was killed: it started too many processes")
        if ended.exit_code != 0:
            raise _Over(RunStatus.CRASH, f"{what} {_exit(ended.exit_code)}" + (f": {said}" if said else ""))

    def _self_reported(self, ended: Ended) -> float:
        rules = self.bench.rules
        self.guards = printed_guards(ended.output, rules.guards) | self.guards
        value = printed_metric(ended.output, rules.metric)
        if value is None:
            raise _Over(RunStatus.INVALID, f"the run printed no line with {rules.metric.name} and a number")
        if not usable(value):
            raise _Over(
                RunStatus.INVALID,
                f"the run printed {rules.metric.name} = {value}, which is no finite number up to {LARGEST:g}",
            )
        return value

    def _take(self, folder: Folder, split: str) -> None:
        """The declared artifact, out of a dead job's folder."""
        declared = self.bench.rules.artifact
        assert declared is not None
        target = self.kept / f"artifact-{split}"
        try:
            path = str(PurePosixPath(self.bench.rules.cwd) / declared.path)
            artifact.take(folder.tree, path, target, declared.max_bytes)
            digest = artifact.check(target, declared)
        except artifact.Invalid as error:
            raise _Over(RunStatus.INVALID, str(error)) from None
        if split == SELECT:
            self.changes["artifact"] = digest

    def _carry(self, folder: Folder) -> None:
        """The run's files that its second process may read, out of the dead run's folder."""
        predict = self.bench.rules.predict
        assert predict is not None
        for number, name in enumerate(predict.carry):
            try:
                path = str(PurePosixPath(self.bench.rules.cwd) / name)
                artifact.take(folder.tree, path, self.kept / f"carry-{number}", CARRY_BYTES)
            except artifact.Invalid as error:
                raise _Over(RunStatus.INVALID, f"predict.carry: {error}") from None

    def _score(self, split: str) -> float:
        """One split: the questions if there are any, the answers, and the evaluator's word on them."""
        inputs: dict[str, Mount] = {}
        if self.bench.rules.predict is not None:
            inputs["PAWL_INPUTS"] = self._ask(split)
            self._predict(split)
        answer = self._judge(split, split, inputs)
        assert answer.metric is not None
        return answer.metric

    def _judge(self, split: str, artifact: str, inputs: dict[str, Mount]) -> Answer:
        """The evaluator's word on an artifact, by the split whose name the artifact was kept under."""
        source = self.kept / "source" / PurePosixPath(self.bench.overlay.edit).name
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(self.content)
        mounts = {
            "PAWL_ARTIFACT": Mount(self.kept / f"artifact-{artifact}", f"/pawl/artifact/{artifact}"),
            "PAWL_SOURCE": Mount(source, f"/pawl/source/{source.name}"),
            **inputs,
        }
        ended = self._evaluator(split, "score", mounts)
        rules = self.bench.rules
        answer = evaluator_answer(ended.output, rules.metric.name, rules.task_agent)
        self._accept(answer, ended)
        return answer

    def _accept(self, answer: Answer, ended: Ended) -> None:
        match answer.status:
            case "invalid":
                raise _Over(RunStatus.INVALID, f"the evaluator finds the artifact invalid: {answer.reason}")
            case "violation":
                raise _Over(RunStatus.VIOLATION, f"the evaluator reports a violation: {answer.reason}")
            case "failed":
                raise _Over(RunStatus.INVALID, answer.reason, ended.log)
        # What the host measured wins over a guard of the same name, and the select split over the seal.
        self.guards = {**answer.guards, **self.guards}

    def _ask(self, split: str) -> Mount:
        questions = self.kept / f"inputs-{split}"
        questions.mkdir()
        self._evaluator(split, "ask", {"PAWL_INPUTS": Mount(questions, "/pawl/inputs", writable=True)})
        for path in (*questions.rglob("*"), questions):
            if not path.is_symlink():
                path.chmod(0o555 if path.is_dir() else 0o444)
        return Mount(questions, "/pawl/inputs")

    def _evaluator(self, split: str, phase: str, mounts: dict[str, Mount]) -> Ended:
        bench = self.bench
        variables = {**bench.variables(self.run.seed, split), "PAWL_PHASE": phase, **mounts}
        with bench.folder("evaluate", bench.overlay.own, private=True) as folder:
            ended = bench.sandbox.run(bench.evaluate_job(folder, variables, tuple(mounts.values())))
        self.seconds["evaluate"] = self.seconds.get("evaluate", 0.0) + ended.seconds
        if ended.outcome == "stopped":
            raise _Over(RunStatus.INTERRUPTED, "the measuring job was told to stop during the evaluation")
        if ended.outcome != "exited" or ended.exit_code != 0:
            how = _exit(ended.exit_code) if ended.outcome == "exited" else f"hit its limit ({ended.outcome})"
            said = last_complaint(ended.log)
            reason = f"the evaluator failed (PAWL_PHASE={phase}): it {how}" + (f": {said}" if said else "")
            raise _Over(RunStatus.INVALID, reason, ended.log)
        return ended

    def _predict(self, split: str) -> None:
        bench = self.bench
        assert bench.rules.predict is not None
        with bench.folder("predict", self.content, private=False) as folder:
            for number, name in enumerate(bench.rules.predict.carry):
                target = folder.tree / bench.rules.cwd / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.unlink(missing_ok=True)
                shutil.copyfile(self.kept / f"carry-{number}", target)
            # A copy: the evaluator gets the questions it asked, whatever becomes of these.
            inputs = Mount(folder.top / "inputs", "/pawl/inputs")
            shutil.copytree(self.kept / f"inputs-{split}", inputs.host, symlinks=True)
            job = bench.predict_job(folder, bench.variables(self.run.seed, split), inputs)
            with GpuMeter(bench.gpu):
                ended = bench.sandbox.run(job)
            self.seconds["predict"] = self.seconds.get("predict", 0.0) + ended.seconds
            self.log += f"\n--- predict {split}:\n{ended.log}" if ended.log.strip() else ""
            self._memory(ended)
            self._require_success(ended, "predict")
            self._take(folder, split)


def _exit(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code}"
    # A shell reports a signal of its child as 128 + number.
    return "ended without an exit code" if code is None else f"ended with exit code {code}"


def _lines(content: bytes) -> float:
    return float(content.count(b"\n") + (not content.endswith(b"\n") and content != b""))
