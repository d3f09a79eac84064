from __future__ import annotations

import json
import shutil
import subprocess
import sys
from math import isclose
from pathlib import Path
from typing import Any

import pytest
from example_module import EXAMPLES, example_module

evaluate = example_module("packing", "evaluate")

# Twenty-five circles in a grid touch each other and the border; one more fits into a gap.
GRID = [[0.1 + 0.2 * i, 0.1 + 0.2 * j, 0.1] for i in range(5) for j in range(5)]
LEGAL: list[Any] = [*GRID, [0.2, 0.2, 0.1 * (2**0.5 - 1)]]
LEGAL_SUM = 2.5 + 0.1 * (2**0.5 - 1)


def score(folder: Path, artifact: bytes) -> dict[str, Any]:
    """What the evaluator, started as Pawl starts it, says of an artifact."""
    (folder / "packing.json").write_bytes(artifact)
    ended = subprocess.run(
        [sys.executable, EXAMPLES / "packing" / "evaluate.py"],
        env={"PAWL_PHASE": "score", "PAWL_ARTIFACT": str(folder / "packing.json")},
        capture_output=True,
        check=True,
    )
    said = json.loads(ended.stdout.splitlines()[-1])
    assert isinstance(said, dict)
    return said


def with_last(*circle: object) -> str:
    return json.dumps({"circles": [*GRID, list(circle)]})


def test_examples_a_legal_packing_scores_the_sum_of_its_radii(tmp_path: Path) -> None:
    said = score(tmp_path, json.dumps({"circles": LEGAL}).encode())
    assert said.keys() == {"sum_radii"}
    assert isclose(said["sum_radii"], LEGAL_SUM, abs_tol=1e-12)


def test_examples_an_illegal_packing_is_said_to_be_invalid_and_is_no_failure(tmp_path: Path) -> None:
    assert score(tmp_path, with_last(0.2, 0.2, 0.05).encode()) == {"invalid": "circles 0 and 25 overlap"}


@pytest.mark.parametrize(
    ("artifact", "reason"),
    [
        (with_last(0.2, 0.2, 0.0415), "overlap"),
        (with_last(0.2, 0.2, 0.1 * (2**0.5 - 1) + 2e-9), "overlap"),
        (with_last(0.1, 0.1, 0.0), "overlap"),  # inside another circle, as a point
        (with_last(-0.01, 0.2, 0.0), "out of the square"),
        (with_last(0.995, 0.995, 0.006), "out of the square"),
        (with_last(0.2, 0.2, -0.01), "negative radius"),
        (with_last(0.2, 0.2, -1e-300), "negative radius"),
        (with_last(0.2, 0.2, float("nan")), "NaN is no number"),
        (with_last(0.2, float("inf"), 0.01), "Infinity is no number"),
        (with_last(0.2, 0.2, 1).replace("1]]", "1e999]]"), "outside -1 to 1"),
        (with_last(0.2, 0.2, 10**400), "outside -1 to 1"),
        (with_last(0.2, 0.2, 1).replace("1]]", "9" * 5000 + "]]"), "not JSON"),
        (with_last(0.2, 0.2, True), "no number"),
        (with_last(0.2, 0.2, "0.01"), "no number"),
        (with_last(0.2, 0.2, None), "no number"),
        (with_last(0.2, 0.2), "[x, y, radius]"),
        (with_last(0.2, 0.2, 0.01, 0.01), "[x, y, radius]"),
        (json.dumps({"circles": [*GRID, {"x": 0.2, "y": 0.2, "r": 0.01}]}), "[x, y, radius]"),
        (json.dumps({"circles": GRID}), "list of 26"),
        (json.dumps({"circles": [*LEGAL, [0.4, 0.4, 0.01]]}), "list of 26"),
        (json.dumps({"circles": 26}), "list of 26"),
        (json.dumps({"circles": LEGAL, "sum_radii": 3}), "one key"),
        (json.dumps(LEGAL), "one key"),
        (json.dumps({"circles": LEGAL})[:-1] + ', "circles": []}', "twice"),
        (json.dumps({"circles": LEGAL}) + "{}", "not JSON"),
        ("", "not JSON"),
        ("[" * 9000, "not JSON"),
        (" " * 20_000, "bytes"),
    ],
)
def test_examples_what_is_no_legal_packing_is_refused(artifact: str, reason: str) -> None:
    with pytest.raises(evaluate.InvalidPacking) as refused:
        evaluate.sum_radii(evaluate.read_circles(artifact.encode()))
    assert reason in str(refused.value)


def test_examples_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(evaluate.InvalidPacking, match="UTF-8"):
        evaluate.read_circles(b"\xff\xfe{}")


def test_examples_a_run_of_packing_ends_in_time_with_a_legal_packing(tmp_path: Path) -> None:
    """Only what a run is given is there: the editable file, the seed, the budget."""
    shutil.copy(EXAMPLES / "packing" / "pack.py", tmp_path)
    ended = subprocess.run(
        [sys.executable, "pack.py"],
        cwd=tmp_path,
        env={"PAWL_SEED": "18446744073709551616", "PAWL_BUDGET": "0.3", "PAWL_SPLIT": "select"},
        capture_output=True,
        timeout=10,
        check=True,
    )
    printed = float(ended.stdout.split(b"sum_radii:")[1])
    said = score(tmp_path, (tmp_path / "packing.json").read_bytes())
    assert isclose(said["sum_radii"], printed, abs_tol=1e-6)
    assert 1 < printed < 2.64
