"""Known cheats are planted in Python that people write: the result is an edit that a candidate could make."""

from __future__ import annotations

from typing import Any

import pytest
from core_builders import evaluated, rules

from pawl.core.cheats import CHEATS, allowed, known, plant
from pawl.core.edit import objections
from pawl.core.planted import claimed_line, private_paths

FUTURE = '"""What it does.\n\nIn many words."""\nfrom __future__ import annotations\n\nimport os\n\nprint(os.name)\n'
FILES = {
    "plain": "print('score: 1')\n",
    "docstring and future": FUTURE,
    "windows": FUTURE.replace("\n", "\r\n"),
    "no end of line": '"""Only words."""',
    "empty": "",
    "form feed": '"""A\x0cB"""\nfrom __future__ import annotations\nx = 1\n',
    "comment first": "#!/usr/bin/env python\n# words\nimport os\n",
}

EVERY = evaluated(run={"image": "python:3"})


def loop_for(name: str) -> Any:
    """Rules under which a cheat can be planted."""
    if name == "hostile-pickle":
        return evaluated().model_copy(
            update={"artifact": evaluated().artifact.model_copy(update={"format": "binary"})}  # type: ignore[union-attr]
        )
    return EVERY


@pytest.mark.parametrize("name", sorted(CHEATS))
@pytest.mark.parametrize("file", sorted(FILES))
def test_what_is_planted_is_an_edit_that_could_be_proposed(name: str, file: str) -> None:
    """The edit's own checks do not stop it, so that what stops it is the run or the evaluator."""
    base = FILES[file].encode()
    found = plant(name, base, loop_for(name), 12.5)
    compile(found, "train.py", "exec")
    assert objections("lab/train.py", base, found, 60) == ()
    assert name in known(loop_for(name))


def test_imports_from_the_future_stay_first_and_the_rest_stays_behind() -> None:
    found = plant("printed-metric", FUTURE.encode(), EVERY, 12.5).decode()
    assert found.startswith(FUTURE.partition("\n\nimport os")[0])
    assert "print('score: 12.5', flush=True)\nos._exit(0)\n" in found
    assert found.endswith("\nimport os\n\nprint(os.name)\n")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def broken(:", "no Python"),
        ("from __future__ import annotations; import os\n", "shares a line"),
        ("x = '\0'", "null bytes"),
    ],
)
def test_a_file_without_a_place_for_it_is_none(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        plant("printed-metric", text.encode(), EVERY, 12.5)


@pytest.mark.parametrize(
    ("command", "looked_for"),
    [
        ("python evaluate.py .", ("evaluate.py",)),
        ("python -m judge ..", ("judge",)),
        ("python evaluate.py train.py", ("evaluate.py",)),
        ("python judge/evaluate.py judge", ("judge/evaluate.py", "judge")),
    ],
)
def test_no_cheat_looks_for_the_folder_that_the_candidate_is_in(
    command: str, looked_for: tuple[str, ...]
) -> None:
    """An evaluator that is given the tree as `.` hides nothing there, and no candidate can help seeing it: each canary
    said that a fence was down, and stopped the merges of a sound loop."""
    loop = rules(
        edit="lab/train.py", run={"command": "python train.py", "cwd": "lab"}, evaluate={"command": command},
        artifact={"path": "out.json", "format": "json"},
    )  # fmt: skip
    assert private_paths(loop) == looked_for


def test_a_name_from_the_future_is_not_known() -> None:
    with pytest.raises(ValueError, match="'time-travel'"):
        plant("time-travel", b"", EVERY, 1.5)


def test_only_what_means_anything_is_planted() -> None:
    doors = {name for name, cheat in CHEATS.items() if cheat.door}
    assert set(known(EVERY)) == set(CHEATS) - {"hostile-pickle"}
    assert set(known(evaluated())) == set(CHEATS) - {"hostile-pickle", "network", "secrets"}, "no container"
    assert set(known(rules())) == {"stopped-clock"} <= doors, "nothing is forged that is a claim anyway"
    assert known(rules(edit="lab/train.sh")) == ()


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (None, "score: 12.5"),
        (r"score=([-0-9.e]+)", "score=12.5"),
        (r"^final loss \(bits\) is ([0-9.]+)$", ""),
        (r"step=100 score=(\d+\.\d+)", "step=100 score=12.5"),
        (r"score is (\d+)", ""),
    ],
)
def test_a_claim_is_a_line_that_the_loop_reads(pattern: str | None, line: str) -> None:
    loop = rules(metric={"name": "score", "goal": "maximize", "pattern": pattern})
    if line:
        assert claimed_line(loop, 12.5) == line
    else:
        with pytest.raises(ValueError, match=r"metric\.pattern"):
            claimed_line(loop, 12.5)


def test_they_cost_little() -> None:
    loop = evaluated(budget="1h", grace="5m")
    assert allowed("printed-metric", loop) == (360.0, 20.0)
    assert allowed("overwritten-result", loop) == (360.0, 300.0), "its own work may have to start up"
    assert allowed("printed-metric", evaluated(budget="30s", grace="5s")) == (10.0, 5.0)
    assert allowed("printed-metric", evaluated(budget="3s", grace="5s")) == (3.0, 5.0)
