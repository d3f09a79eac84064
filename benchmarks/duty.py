"""How busy the decisions keep the runners: a night in a virtual clock that drives the real `decide`, with nothing scaled.

A run takes 300 s, a proposal 60 s, a look 1 s; a job has 2 s before its first run and 0.5 s around each. Serial
autoresearch, where one agent thinks, runs and reads in turn, is busy for about 78 % of the time.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.figures import Figure

HOURS = 12.0
LEAST = {5.0: 0.97, 20.0: 0.95, 60.0: 0.90}
SPEEDUP = 3.9


def measure() -> list[Figure]:
    """Idle shares of one runner by the time a job takes to be picked up, and what four runners do beside one."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "core"))  # the world of the tests
    from core_shift import Shift

    figures = []
    for pick_up, least in LEAST.items():
        shift = Shift(pick_up=pick_up).after(HOURS)
        figures.append(
            Figure(
                f"one runner's idle share, {pick_up:g} s to pick a job up",
                1 - shift.share,
                "",
                round(1 - least, 2),
                f"busy {shift.share:.1%} of {HOURS:g} h, {shift.experiments()} experiments",
            )
        )
    one, four = (Shift(lanes=lanes, seed=1).after(HOURS) for lanes in (1, 4))
    ratio, whole = four.rate / one.rate, 4 * four.share / one.share
    figures.append(
        Figure(
            f"{SPEEDUP} x one runner's work / four runners'",
            SPEEDUP / ratio,
            "",
            1.0,
            f"four do {ratio:.2f} times as much once the first pool is there, {whole:.2f} times with it",
        )
    )
    return figures
