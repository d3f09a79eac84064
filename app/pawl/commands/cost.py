"""What a loop will cost: its noise, the smallest effect it can see, and the time that the first answers take."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import ValidationError

from pawl.commands.check_data import host_path
from pawl.commands.checkout import Checkout
from pawl.commands.history import History
from pawl.core.calibration import FIRST_RUNS, calibration_of
from pawl.core.chain import experiment_folder
from pawl.core.config import SELECT, Loop
from pawl.core.digest import inputs_digest
from pawl.core.expectation import (
    REAL_GAINS,
    RUNS_PER_KEEP,
    RUNS_PER_KEEP_DETERMINISTIC,
    SMALLEST_SIGMA,
)
from pawl.core.ledger import AuditLine, CalibrationLine, CanaryLine, Measured, VerdictLine
from pawl.core.measurement import Calibration, Purpose, Record, Request, RunRecord, RunStatus
from pawl.core.noise import pooled, upper_sigma
from pawl.core.seeds import draw_seeds
from pawl.lab import Options, measure

LOG_LINES = 15
NEWEST = 40
"""Runs that times are averaged over."""


@dataclass(frozen=True)
class Cost:
    """What is known of a loop's cost, and from where. Times in seconds, sigma in the metric's unit."""

    loop: str
    source: str
    """``ledger``, ``measured``, or why nothing is known."""
    runs: int = 0
    metric: float | None = None
    """Mean of the baseline."""
    sigma: float | None = None
    dof: int = 0
    seconds_run: float | None = None
    seconds_evaluate: float = 0.0
    seconds_outside: float = 0.0

    @property
    def sigma_upper(self) -> float | None:
        """The sigma that decisions rely on: an upper bound while it rests on few runs."""
        return None if self.sigma is None or not self.dof else upper_sigma(self.sigma, self.dof)

    @property
    def smallest_effect(self) -> float | None:
        """The gain, in the metric's unit, that is kept in 80 of 100 cases."""
        return None if self.sigma_upper is None else SMALLEST_SIGMA * self.sigma_upper

    @property
    def seconds_each(self) -> float | None:
        """Everything one run takes."""
        if self.seconds_run is None:
            return None
        return self.seconds_run + self.seconds_evaluate + self.seconds_outside

    @property
    def calibration_seconds(self) -> float | None:
        """The first calibration."""
        return None if self.seconds_each is None else FIRST_RUNS * self.seconds_each

    @property
    def first_keep_runs(self) -> float:
        """Runs to a first keep, on average, if 3 in 100 proposals are real gains."""
        return RUNS_PER_KEEP_DETERMINISTIC if self.sigma == 0 else RUNS_PER_KEEP

    @property
    def first_keep_hours(self) -> float | None:
        """The same in hours of one machine."""
        return None if self.seconds_each is None else self.first_keep_runs * self.seconds_each / 3600

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        names = (
            "sigma_upper",
            "smallest_effect",
            "calibration_seconds",
            "first_keep_runs",
            "first_keep_hours",
        )
        return {
            **asdict(self),
            **{name: getattr(self, name) for name in names},
            "first_keep_assumes": REAL_GAINS,
        }


@dataclass(frozen=True)
class Tried:
    """What measuring the baseline here came to."""

    cost: Cost
    trouble: str = ""
    """Why the base cannot be measured; empty if it can."""
    log: str = field(default="", repr=False)
    """The end of the failed run's output: data, for a fence."""


def cost_from_ledger(history: History, rules: Loop) -> Cost | None:
    """What the ledger tells; none where nothing in it was measured under the present rules."""
    lines = [
        line
        for line in history.lines
        if isinstance(line, Measured) and line.rules.rules_digest == rules.rules_digest
        if not isinstance(line, CanaryLine)  # a cheat's time tells nothing
    ]
    if not lines:
        return None
    known = calibration_of(lines, lines[-1].inputs)
    if not known.dof:
        return None
    records: list[RunRecord] = []
    for line in reversed(lines):
        records += _record(history, line)
        if len(records) >= NEWEST:
            break
    return _cost(history.loop, "ledger", known.sigma, known.dof, known.pool, records)


def _record(history: History, line: Measured) -> Sequence[RunRecord]:
    """The runs of the record beside a ledger line; none where it is not there, or is another attempt's."""
    if isinstance(line, VerdictLine):
        data = history.file(f"{experiment_folder(history.loop, line.experiment)}/record.json")
    elif isinstance(line, (CalibrationLine, AuditLine)):
        data = history.file(f"{history.loop}/calibrations/{line.number}.json")
    try:
        return Record.model_validate_json(data).runs if data else ()
    except ValidationError:
        return ()


def _cost(
    loop: str, source: str, sigma: float | None, dof: int, values: Sequence[float], runs: Sequence[RunRecord]
) -> Cost:
    good = [run for run in runs if run.status is RunStatus.OK]
    if not good:
        return Cost(loop, source, len(runs), sigma=sigma, dof=dof)
    scored = (run.telemetry.get(f"seconds_{part}", 0.0) for run in good for part in ("predict", "evaluate"))
    return Cost(
        loop,
        source,
        len(runs),
        fmean(values) if values else None,
        sigma,
        dof,
        fmean(run.seconds for run in good),
        sum(scored) / len(good),
        fmean(run.seconds_outside for run in good),
    )


def cannot_measure_here(rules: Loop, top: Path) -> str:
    """Why this machine is none that could measure the loop; empty if it may be one."""
    missing = [left for left in rules.data if not host_path(left, top).exists()]
    if rules.evaluate:
        missing += [left for left in rules.evaluate.data if not host_path(left, top).exists()]
    if missing:
        return f"{missing[0]} is not on this machine"
    if rules.run.gpus and not shutil.which("nvidia-smi"):
        return "the loop wants a GPU, and this machine has no NVIDIA driver (to try it without one, set `run.gpus: 0`)"
    if rules.sandbox == "docker" and not _docker_answers():
        return "the loop runs in a container, and no Docker Engine answers here"
    return ""


def _docker_answers() -> bool:
    import docker
    from docker.errors import DockerException

    try:
        client = docker.from_env(timeout=10)
        try:
            return bool(client.ping())
        finally:
            client.close()
    except (DockerException, OSError):
        return False


def measure_cost(
    checkout: Checkout, loop: str, rules: Loop, runs: int, progress: Callable[[str], None]
) -> Tried:
    """Measure the committed base so many times, as a runner would.

    Raises:
        MeasureError: git cannot read the clone.
    """
    inputs = inputs_digest(checkout.entries, rules.input_globs, rules.ignored_globs, rules.rules_digest)
    request = Request(
        repository="local/check",
        loop=loop,
        rules=rules,
        purpose=Purpose.POOL,
        number=1,
        base=checkout.commit,
        inputs=inputs,
        baseline=checkout.commit,
        seeds=draw_seeds(b"pawl check", f"{checkout.commit}|{loop}", runs),
        calibration=Calibration(sigma=0, dof=0, pool=()),
        runs_wanted=runs,
    )
    with tempfile.TemporaryDirectory(prefix="pawl-check-") as folder:
        done = measure(request, Options(out=Path(folder), repo=checkout.top, progress=progress))
    if done.signal:
        raise KeyboardInterrupt
    record = done.record
    values = [run.metric[SELECT] for run in record.runs if run.status is RunStatus.OK]
    sigma, dof = pooled([values])
    cost = _cost(loop, "measured", sigma if dof else None, dof, values, record.runs)
    if record.refused:
        return Tried(cost, record.refused)
    failed = [run for run in record.runs if run.status is not RunStatus.OK]
    if failed:
        said = failed[-1].reason or f"it ended as {failed[-1].status}"
        log = "\n".join(failed[-1].log.strip().splitlines()[-LOG_LINES:])
        share = f"{len(failed)} of {len(record.runs)} baseline runs failed"
        return Tried(
            cost,
            f"{share}, so nothing can be compared with the base: {said}{_mend(rules, said, failed[-1].log)}",
            log,
        )
    return Tried(cost)


def _mend(rules: Loop, said: str, log: str) -> str:
    """What to do about the mistakes that nearly everybody makes at first; empty for all others."""
    if "ModuleNotFoundError" in said:
        if rules.run.image:
            return f". A run has the packages of the image {rules.run.image} and those that `setup` installs"
        return (
            f". A run has the packages of the `python` on PATH, here {shutil.which('python') or 'none'}, and those that "
            "`setup` installs: put your environment first on PATH, or write `setup: pip install -r requirements.txt`"
        )
    if "printed no line with" in said:
        name = rules.metric.name
        if rules.metric.pattern:
            return ", as metric.pattern looks for it: compare it with what the run printed"
        printed = re.findall(rf"\b{re.escape(name)}([^\w'+.\n-]{{1,20}})[+-]?\.?\d", log)
        if printed:
            between = re.escape(printed[-1]).replace("\\ ", " ")
            pattern = rf"\b{re.escape(name)}{between}([0-9.e+-]+)"
            return f". It stands within a line: write `pattern: '{pattern}'` into `metric`"
        return f". Print `{name}: 0.123`, or say how it is printed, as in `pattern: '{name} is ([0-9.e+-]+)'`, in `metric`"
    if "was killed after" in said:
        return (
            ", `budget` and `grace` together. A script that trains until time is up reads PAWL_BUDGET, in seconds; one that "
            "does a fixed amount of work wants less of it, or a larger `budget`"
        )
    if "exit code 127" in said:
        return ". There is no such program: correct `run.command`, or put your environment first on PATH"
    if "left no file" in said:
        return f". `artifact.path` starts in `run.cwd`, which is {rules.cwd or 'the top of the repository'}"
    return ""
