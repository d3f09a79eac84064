"""How long `pawl --help` takes, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from benchmarks.figures import Figure

ROUNDS = 9


def measure() -> list[Figure]:
    """Median wall time of nine interleaved rounds."""
    empty, helped = [], []
    for _ in range(ROUNDS):
        empty.append(_seconds([sys.executable, "-c", "pass"]))
        helped.append(_seconds([sys.executable, "-m", "pawl", "--help"]))
    bare = median(empty)
    return [Figure("pawl --help", median(helped), "s", 0.5, f"python -c pass: {bare:.3f} s")]


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
