"""Pack 26 circles into the unit square so that the sum of their radii is large.

The one editable file of this loop. Circles start as points at random places. A pressure makes every circle
grow, overlaps push circles apart and make them shrink; the pressure falls, so that at the end circles
only touch. This is done several times from new places, and the best packing is written.

Reads PAWL_SEED and PAWL_BUDGET (seconds of wall time), writes packing.json.
"""

from __future__ import annotations

import json
import os
import random
import time
from math import hypot, sqrt
from pathlib import Path

BORN = time.monotonic()  # the clock of the budget starts with the process, so it is read first
CIRCLES = int("26")  # the problem fixes it; written so that no search takes it for a dial

# ---------------------------------------------------------------------------------------------------
# Dials
# ---------------------------------------------------------------------------------------------------
STEPS = 100  # of one descent: longer ones settle better, shorter ones leave time for more
STEP = 0.12  # share of an overlap that one step removes; too much and circles bounce
FRICTION = 0.4  # share of the speed that a step loses; 1 is plain descent, near 0 rings for long
PRESSURE_FIRST = 0.03  # growth per step, in overlaps: how hard circles squeeze at the start ...
PRESSURE_LAST = 0.0001  # ... and at the end, where what still overlaps must be cut off
RESERVE = 0.1  # seconds kept for cutting, writing and leaving

Circle = tuple[float, float, float]  # x, y, radius


def settle(rng: random.Random, end: float) -> list[Circle]:
    """Let one random start settle, or as much of it as the clock allows before `end`."""
    xs = [rng.random() for _ in range(CIRCLES)]
    ys = [rng.random() for _ in range(CIRCLES)]
    rs = [0.0] * CIRCLES
    us, vs, ws = [0.0] * CIRCLES, [0.0] * CIRCLES, [0.0] * CIRCLES  # speeds of x, y and radius
    for step in range(STEPS):
        if time.monotonic() > end:
            break
        pressure = PRESSURE_FIRST * (PRESSURE_LAST / PRESSURE_FIRST) ** (step / STEPS)
        fx, fy = [0.0] * CIRCLES, [0.0] * CIRCLES
        fr = [pressure] * CIRCLES
        for i in range(CIRCLES):
            x, y, r = xs[i], ys[i], rs[i]
            for j in range(i):
                dx, dy, reach = x - xs[j], y - ys[j], r + rs[j]
                near = dx * dx + dy * dy
                if 0 < near < reach * reach:
                    away = sqrt(near)
                    overlap = reach - away
                    px, py = overlap * dx / away, overlap * dy / away
                    fx[i] += px
                    fy[i] += py
                    fr[i] -= overlap
                    fx[j] -= px
                    fy[j] -= py
                    fr[j] -= overlap
            left, right = max(r - x, 0.0), max(x + r - 1, 0.0)  # overlaps with the border
            low, high = max(r - y, 0.0), max(y + r - 1, 0.0)
            fx[i] += left - right
            fy[i] += low - high
            fr[i] -= left + right + low + high
        for i in range(CIRCLES):
            us[i] += STEP * fx[i] - FRICTION * us[i]
            vs[i] += STEP * fy[i] - FRICTION * vs[i]
            ws[i] += STEP * fr[i] - FRICTION * ws[i]
            xs[i] = min(max(xs[i] + us[i], 0.0), 1.0)
            ys[i] = min(max(ys[i] + vs[i], 0.0), 1.0)
            rs[i] = min(max(rs[i] + ws[i], 0.0), 1.0)
    return cut(list(zip(xs, ys, rs, strict=True)))


def cut(circles: list[Circle]) -> list[Circle]:
    """Make circles legal without moving them: cut overlaps in half, then let each grow into what is free."""
    rs = [min(r, x, 1 - x, y, 1 - y) for x, y, r in circles]
    away = [[hypot(x - a, y - b) for a, b, _ in circles] for x, y, _ in circles]
    for i in range(CIRCLES):
        for j in range(i):
            excess = max(rs[i] + rs[j] - away[i][j], 0.0)
            rs[i] = max(rs[i] - excess / 2, 0.0)
            rs[j] = max(min(rs[j], away[i][j] - rs[i]), 0.0)
    for i, (x, y, _) in enumerate(circles):
        rs[i] = min(x, 1 - x, y, 1 - y, *(away[i][j] - rs[j] for j in range(CIRCLES) if j != i))
    return [(x, y, r) for (x, y, _), r in zip(circles, rs, strict=True)]


def sum_radii(circles: list[Circle]) -> float:
    return sum(r for _, _, r in circles)


def main() -> None:
    rng = random.Random(int(os.environ.get("PAWL_SEED", "0")))
    end = BORN + float(os.environ.get("PAWL_BUDGET", "1")) - RESERVE
    best: list[Circle] = []
    while time.monotonic() < end:
        best = max(best, settle(rng, end), key=sum_radii)
    Path("packing.json").write_text(json.dumps({"circles": best}))
    print(f"sum_radii: {sum_radii(best):.6f}")


if __name__ == "__main__":
    main()
