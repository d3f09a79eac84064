"""Score a packing: the sum of the radii, if every circle is legal. Base code, never seen by a candidate.

Reads the file PAWL_ARTIFACT and trusts nothing in it. The last line of the output is one JSON object:
{"sum_radii": 2.6} for a legal packing, {"invalid": "the reason"} for any other.
"""

from __future__ import annotations

import json
import os
from math import fsum, hypot, isfinite
from pathlib import Path
from typing import Any

CIRCLES = 26
TOLERANCE = 1e-9  # sides of the square; what rounding may add to a touch. Buys at most 1e-7 of the sum
MAX_BYTES = 16_000  # of the file; 26 circles at full precision need 2,000

Circle = tuple[float, float, float]  # x, y, radius


class InvalidPacking(Exception):
    """The artifact is no legal packing. The message says why, to a person."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse what JSON readers disagree on: a key that comes twice."""
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise InvalidPacking("a key comes twice in one object")
    return dict(pairs)


def no_constant(name: str) -> float:
    raise InvalidPacking(f"{name} is no number of JSON")


def read_circles(raw: bytes) -> list[Circle]:
    """Read {"circles": [[x, y, radius], ...]} or raise InvalidPacking."""
    if len(raw) > MAX_BYTES:
        raise InvalidPacking(f"the file has more than {MAX_BYTES} bytes")
    try:
        content = json.loads(raw.decode(), object_pairs_hook=unique_keys, parse_constant=no_constant)
    except (ValueError, RecursionError):  # bad UTF-8, bad JSON, an integer of too many digits, deep nesting
        raise InvalidPacking("the file is not JSON in UTF-8") from None
    if not isinstance(content, dict) or list(content) != ["circles"]:
        raise InvalidPacking('the top must be an object with the one key "circles"')
    circles = content["circles"]
    if not isinstance(circles, list) or len(circles) != CIRCLES:
        raise InvalidPacking(f'"circles" must be a list of {CIRCLES}')
    for number, circle in enumerate(circles):
        if not isinstance(circle, list) or len(circle) != 3:
            raise InvalidPacking(f"circle {number} must be [x, y, radius]")
        if not all(type(value) in (int, float) for value in circle):  # isinstance would let bool in
            raise InvalidPacking(f"circle {number} holds something that is no number")
        if not all(abs(value) <= 1 and isfinite(value) for value in circle):
            raise InvalidPacking(f"circle {number} holds a number outside -1 to 1")
    return [(float(x), float(y), float(r)) for x, y, r in circles]


def sum_radii(circles: list[Circle]) -> float:
    """Sum of the radii of a legal packing, in sides of the square, or raise InvalidPacking."""
    for i, (x, y, r) in enumerate(circles):
        if r < 0:
            raise InvalidPacking(f"circle {i} has a negative radius")
        if min(x, 1 - x, y, 1 - y) - r < -TOLERANCE:
            raise InvalidPacking(f"circle {i} reaches out of the square")
        for j, (a, b, s) in enumerate(circles[:i]):
            if hypot(x - a, y - b) - (r + s) < -TOLERANCE:
                raise InvalidPacking(f"circles {j} and {i} overlap")
    return fsum(r for _, _, r in circles)


def main() -> None:
    try:
        score = sum_radii(read_circles(Path(os.environ["PAWL_ARTIFACT"]).read_bytes()))
        print(json.dumps({"sum_radii": score}))
    except InvalidPacking as reason:
        print(json.dumps({"invalid": str(reason)}))


if __name__ == "__main__":
    main()
