"""How long it takes to begin: `pawl --help` beside an interpreter that does nothing, and a measuring job to its budget."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks import job_start
from benchmarks.figures import Figure

ROUNDS = 9


def measure() -> list[Figure]:
    """Median wall time of nine interleaved rounds, and the medians of `job_start`."""
    empty, helped = [], []
    for _ in range(ROUNDS):
        empty.append(_seconds([sys.executable, "-c", "pass"]))
        helped.append(_seconds([sys.executable, "-m", "pawl", "--help"]))
    bare = median(empty)
    helps = Figure("pawl --help", median(helped), "s", 0.5, f"python -c pass: {bare:.3f} s")
    return [helps, *job_start.measure()]


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
