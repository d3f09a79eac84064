"""`measure`: one request in, one record out, run by run as the plan asks."""

from __future__ import annotations

import contextlib
import platform
import threading
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal

import pawl
from pawl.core.decision import Finding, OutOfOrder, advance
from pawl.core.measurement import Environment, Purpose, Request, RunRecord, RunStatus, Step
from pawl.core.quantities import format_duration
from pawl.core.seeds import seeds_needed
from pawl.lab.bench import Bench
from pawl.lab.device import Device, take_device
from pawl.lab.errors import MeasureError, Refused, Stopped
from pawl.lab.furnish import Place, furnished
from pawl.lab.journal import Journal, open_journal
from pawl.lab.options import Measured, Options
from pawl.lab.output import one_line
from pawl.lab.running import Running
from pawl.lab.sandbox import Stop
from pawl.lab.task_run import TaskRun
from pawl.lab.trajectories import hand_in
from pawl.lab.workplace import workplace


def measure(request: Request, options: Options) -> Measured:
    """Make the runs a request's plan asks for, and record them.

    The record is on disk, whole, before and after every run; a job that was killed goes on where it was when `measure` is
    called again with the same request and folder.

    Raises:
        MeasureError: there is nothing to put into a record: the request, the folder or the repository cannot be used.
    """
    _check_plan(request)
    options = replace(
        options, out=options.out.absolute(), repo=options.repo.absolute(), cache=options.cache.absolute()
    )
    stop = Stop() if options.stop is None else options.stop
    listening = options.stop is None and threading.current_thread() is threading.main_thread()
    with stop if listening else contextlib.nullcontext():
        return _Job(request, options, stop).measure()


def _check_plan(request: Request) -> None:
    experiment = request.purpose is Purpose.EXPERIMENT
    needed = seeds_needed(request.procedure) if experiment else request.runs_wanted
    try:
        if len(request.seeds) < needed:
            raise ValueError(f"it has {len(request.seeds)} seeds, the plan can need {needed}")
        advance(request, request.runs)
    except (OutOfOrder, ValueError, ArithmeticError) as error:
        raise MeasureError(
            f"the request {request.key} cannot be measured",
            one_line(str(error)),
            "ask Pawl for a new request",
        ) from None


@dataclass
class _Job:
    request: Request
    options: Options
    stop: Stop
    began: float = field(default_factory=time.monotonic)

    def measure(self) -> Measured:
        rules, options = self.request.rules, self.options
        kind = options.sandbox or rules.sandbox
        if kind == "docker" and not rules.run.image:
            raise MeasureError(
                "the docker sandbox needs an image",
                "the loop has no run.image",
                "set run.image, or use --sandbox process",
            )
        environment = _environment(kind, rules.run.image or "")
        journal = None
        try:
            with take_device(rules, options.cache / "locks") as device:
                environment = environment.model_copy(update={"device": device.name})
                journal = open_journal(options.out, self.request, environment, _now())
                if not journal.record.complete:
                    self._measure(journal, device, kind)
        except Refused as error:
            journal = journal or open_journal(options.out, self.request, environment, _now())
            options.progress(f"Refused: {error}")
            journal.close(self._total, complete=False, refused=str(error))
        except Stopped:
            assert journal is not None  # nothing before it can be stopped
            journal.close(self._total, complete=False)
        return Measured(journal.record, journal.path, self.stop.signal)

    @property
    def _total(self) -> float:
        return time.monotonic() - self.began

    def _measure(self, journal: Journal, device: Device, kind: Literal["process", "docker"]) -> None:
        known = self.request.calibration.device
        if known and known != device.name:
            raise Refused(
                f"The base was measured on {known}, and this machine is {device.name}: runs are only compared within one "
                "kind of machine. Let this loop's jobs run on machines of one kind, or calibrate again here."
            )
        if reason := self.options.claim(self.request):
            raise Refused(reason)
        with (
            workplace(self.options.cache) as work,
            furnished(self.request, Place(self.options, device, work, kind, self.stop)) as bench,
        ):
            setup = bench.setup.digest if bench.setup else ""
            journal.describe(image=bench.image, setup=setup)
            self._follow_plan(bench, journal)

    def _follow_plan(self, bench: Bench, journal: Journal) -> None:
        while not self.stop:
            try:
                step = advance(self.request, (*self.request.runs, *journal.record.facts))
            except OutOfOrder as error:
                raise MeasureError(
                    f"{journal.path} does not go on from its request",
                    str(error),
                    "give an empty folder with --out",
                ) from None
            if not isinstance(step, Step):
                end = f"{step.verdict}: {step.reason}" if isinstance(step, Finding) else step.reason
                self.options.progress(f"The plan is complete. {end}")
                journal.close(self._total, complete=True)
                return
            self._run(bench, journal, step)
        raise Stopped

    def _run(self, bench: Bench, journal: Journal, step: Step) -> None:
        number = len(self.request.runs) + len(journal.record.runs) + 1
        run = RunRecord(
            **step.model_dump(), status=RunStatus.STARTED, started_at=_now(), job=self.options.job
        )
        journal.add(run)
        self.options.progress(f"Run {number}: {step.stage} {step.arm} {step.place}, seed {step.seed}")
        try:
            run = self._made(bench, run)
        except (OSError, RuntimeError) as error:
            # Pawl or the machine failed: nothing is said about the code, and the runs before this one stand.
            reason = f"the run could not be made on this machine: {one_line(str(error), 800)}"
            run = run.model_copy(update={"status": RunStatus.INTERRUPTED, "reason": reason})
        journal.replace(run, self._total)
        self.options.progress(f"Run {number}: {_said(run, self.request.rules.metric.name)}")

    def _made(self, bench: Bench, run: RunRecord) -> RunRecord:
        if not self.request.rules.task_agent:
            return Running(bench.of(run.arm), run).measure()
        running = TaskRun(bench, run)
        run = running.measure()
        if running.trajectories:
            hand_in(self.options.out, run.arm, running.trajectories)
        return run


def _said(run: RunRecord, name: str) -> str:
    values = [f"{name} on {split} = {value:g}" for split, value in run.metric.items()]
    reason = [run.reason] if run.reason else []
    return "; ".join([f"{run.status} after {format_duration(run.seconds)}", *values, *reason])


def _environment(kind: Literal["process", "docker"], image: str) -> Environment:
    return Environment(
        device="",
        sandbox=kind,
        image=image if kind == "docker" else "",
        host=platform.node(),
        python=platform.python_version(),
        pawl=pawl.__version__,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
