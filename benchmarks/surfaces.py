"""How an example's metric answers its dials: measured once with real runs, kept as a file, interpolated by the benchmarks.

    python -m benchmarks.surfaces packing      measures the example anew (minutes), writes benchmarks/surfaces/packing.json

A surface is additive: every dial is moved alone, the others stay where the example has them, and what several dials do
together is taken for the sum. That is a model of the example and not the example; it is the same model for every proposer.
"""

from __future__ import annotations

import json
import math
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pawl.core.config import SELECT, Loop
from pawl.core.config_file import parse_config
from pawl.core.measurement import Calibration, Purpose, Request
from pawl.lab import Options
from pawl.lab import measure as measure_request
from pawl.meta.literals import Dial, dials, rewrite
from pawl.meta.scale import coordinate, value_of, written

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
FILES = Path(__file__).parent / "surfaces"
STEPS = (-1.8, -1.0, -0.5, 0.5, 1.0, 1.8)
"""Where each dial is measured beside its present value, along its scale: from a sixth to six times a size."""
RUNS, BASELINES = {"packing": 3, "nanogpt": 1}, 8
WORSE = 1.0
"""Sigma that a run is worse for every unit of scale beyond the last value that was measured: nobody knows what is there."""


@dataclass(frozen=True)
class Surface:
    """A metric as a function of the dials of one file."""

    name: str
    source: str
    goal: int
    """+1 where more is better."""
    base: float
    sigma: float
    """Noise of one run, in the metric's unit."""
    dials: Mapping[str, list[tuple[float, float]]]
    """Points of each dial: place on its scale, and the metric's mean there."""

    @classmethod
    def load(cls, name: str) -> Surface:
        """The surface that was measured of an example."""
        told = json.loads((FILES / f"{name}.json").read_text())
        points = {dial: [(at, value) for at, value in there] for dial, there in told["dials"].items()}
        return cls(name, told["source"], told["goal"], told["base"], told["sigma"], points)

    @cached_property
    def _known(self) -> dict[str, Dial]:
        return {dial.name: dial for dial in dials(self.source)}

    def gain(self, values: Mapping[str, float]) -> float:
        """By how many sigma these values are better than the example's own."""
        return sum(self._alone(name, values[name]) for name in self.dials if name in values)

    def _alone(self, name: str, value: float) -> float:
        at, points = coordinate(self._known[name], value), self.dials[name]
        worth = [(place, self.goal * (metric - self.base) / self.sigma) for place, metric in points]
        if at <= worth[0][0]:
            return worth[0][1] - WORSE * (worth[0][0] - at)
        for (left, low), (right, high) in pairwise(worth):
            if at <= right:
                return low + (high - low) * (at - left) / (right - left)
        return worth[-1][1] - WORSE * (at - worth[-1][0])

    @cached_property
    def best(self) -> float:
        """The gain of the best values: each dial alone, since they add up."""
        return sum(
            max(self.goal * (metric - self.base) / self.sigma for _, metric in points)
            for points in self.dials.values()
        )


def bowl(seed: int, count: int = 6, deep: float = 30.0) -> Surface:
    """A bowl in log space, `deep` sigma from its rim to its middle, with the start somewhere on the rim."""
    import random

    rng = random.Random(seed)
    start = {f"DIAL_{chr(65 + n)}": float(f"{10 ** rng.uniform(-4, 1):.2g}") for n in range(count)}
    far = {name: rng.choice((-1, 1)) * math.log(rng.uniform(2, 4)) for name in start}
    unit = deep / sum(away**2 for away in far.values())
    source = "".join(f"{name} = {value!r}\n" for name, value in start.items())
    points = {}
    for dial in dials(source):
        here, away = coordinate(dial, dial.value), far[dial.name]
        grid = [away * share for share in (-1.5, -1, -0.5, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3)]
        points[dial.name] = sorted((here + at, unit * (away**2 - (away - at) ** 2)) for at in grid)
    return Surface("bowl", source, 1, 0.0, 1.0, points)


# Measuring one.


def measured(name: str) -> dict[str, Any]:
    """Every dial of an example moved alone, with real runs."""
    with tempfile.TemporaryDirectory(prefix="pawl-surface-") as folder:
        place = Path(folder) / "repo"
        shutil.copytree(EXAMPLES / name, place)
        rules = parse_config((place / ".github" / "pawl.yml").read_text()).loops[name]
        source = (place / rules.edit).read_text()
        _git(place, "init", "--quiet")
        base = _runs(place, rules, source, BASELINES)
        found: dict[str, list[tuple[float, float]]] = {}
        for dial in dials(source):
            here = coordinate(dial, dial.value)
            points = {here: fmean(base)}
            for step in STEPS:
                text = written(dial, here + step)
                if (at := coordinate(dial, value_of(dial, text))) not in points:
                    values = _runs(place, rules, rewrite(source, {dial: text}), RUNS[name])
                    if values:
                        points[at] = fmean(values)
                print(name, dial.name, text, values, flush=True)
            found[dial.name] = sorted(points.items())
        return {
            "source": source,
            "goal": rules.metric.sign,
            "base": fmean(base),
            "sigma": stdev(base),
            "machine": f"{platform.machine()}, one core",
            "budget": rules.budget,
            "dials": found,
        }


def _runs(place: Path, rules: Loop, source: str, count: int) -> list[float]:
    (place / rules.edit).write_text(source)
    _git(place, "add", "--all")
    _git(
        place,
        "-c",
        "user.name=b",
        "-c",
        "user.email=b@example.com",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    )
    commit = _git(place, "rev-parse", "HEAD")
    request = Request(
        repository="bench/bench", loop="surface", rules=rules, purpose=Purpose.POOL, number=1, base=commit, inputs="0" * 64,
        baseline=commit, seeds=tuple(range(count)), calibration=Calibration(sigma=0, dof=0, pool=()), runs_wanted=count,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pawl-surface-") as out:
        record = measure_request(request, Options(out=Path(out), repo=place)).record
    return [run.metric[SELECT] for run in record.runs if SELECT in run.metric]


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def main() -> None:
    """Measure the examples that are named, and write their surfaces."""
    FILES.mkdir(exist_ok=True)
    for name in sys.argv[1:]:
        (FILES / f"{name}.json").write_text(json.dumps(measured(name), indent=1) + "\n")


if __name__ == "__main__":
    main()
