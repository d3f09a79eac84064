"""Planted cheats sing: each is stopped by a sound loop, and each is seen where the fence that it tries is down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab_kit import PYTHON, READS, Bench, bench, code, evaluated, git
from pawl.core.canary import claim_of
from pawl.core.cheats import CHEATS, known, plant
from pawl.core.config import Loop
from pawl.core.decision import Fence, Tried, advance
from pawl.core.digest import sha256
from pawl.core.measurement import Calibration, Purpose, Request, RunRecord, RunStatus
from pawl.lab import measure

KNOWN = Calibration(sigma=0.001, dof=40, pool=(1.0, 1.0))
CLAIM = 1.25
"""What is claimed where the pool is at 1."""

TRAIN = code(
    '''
    """Writes three answers."""
    from __future__ import annotations

    import json

    def main():
        with open("out.json", "w") as file:
            json.dump({"answers": [1, 2, 4]}, file)
        print("score: 0.6666666666666666")

    if __name__ == "__main__":
        main()
    '''
)
SOUND = code(
    """
    import json, os
    truth = json.load(open("holdout/answers.json"))
    found = json.load(open(os.environ["PAWL_ARTIFACT"]))
    given = found.get("answers") if isinstance(found, dict) else None
    if not isinstance(given, list) or len(given) != len(truth):
        print(json.dumps({"invalid": "no answers"}))
    else:
        print(json.dumps({"score": sum(a == b for a, b in zip(given, truth)) / len(truth)}))
    """
)
"""An evaluator that counts right answers."""


def sound(top: Path, judge: str = SOUND, **rules: Any) -> Bench:
    return evaluated(top, TRAIN, judge, files={"lab/holdout/answers.json": "[1, 2, 3]"}, **rules)


def canary(loop: Bench, cheat: str, digest: str) -> Request:
    """The request for one, as Pawl makes it."""
    fields = {"purpose": Purpose.CANARY, "cheat": cheat, "candidate": loop.base, "candidate_digest": digest}
    asked = loop.request(calibration=KNOWN, seeds=(7,))
    return Request.model_validate({**asked.model_dump(), **fields})


def tried(loop: Bench, cheat: str) -> tuple[Tried, RunRecord]:
    """Plant one in the base and measure it, as a runner does."""
    rules = Loop.model_validate(loop.rules)
    base = git(loop.repo, "show", f"{loop.base}:{rules.edit}") + "\n"
    content = plant(cheat, base.encode(), rules, claim_of(rules, KNOWN))
    asked = canary(loop, cheat, sha256(content))
    record = measure(asked, loop.options()).record
    assert not record.refused, record.refused
    end = advance(asked, record.facts)
    assert isinstance(end, Tried)
    return end, record.runs[0]


JSON = [name for name in sorted(CHEATS) if name not in ("hostile-pickle", "network", "secrets")]


@pytest.mark.parametrize("cheat", JSON)
def test_a_sound_loop_stops_it(tmp_path: Path, cheat: str) -> None:
    loop = sound(tmp_path, budget="2s", grace="0.5s" if cheat == "stopped-clock" else "20s")
    assert cheat in known(Loop.model_validate(loop.rules))
    end, run = tried(loop, cheat)
    assert end.fence is Fence.HELD, end.reason
    works = CHEATS[cheat].works
    stopped = {RunStatus.OK} if works else {RunStatus.INVALID, RunStatus.CRASH, RunStatus.TIMEOUT}
    assert run.status in stopped, run.reason
    assert run.seconds < 5


def test_the_run_is_told_a_tenth_of_the_budget(tmp_path: Path) -> None:
    train = TRAIN.replace("import json\n", "import json, os\nprint('told', os.environ['PAWL_BUDGET'])\n", 1)
    loop = evaluated(tmp_path, train, SOUND, files={"lab/holdout/answers.json": "[1, 2, 3]"}, budget="200s")
    _, run = tried(loop, "overwritten-result")
    assert "told 20\n" in run.log


def test_a_frozen_clock_is_cut_off_after_that(tmp_path: Path) -> None:
    end, run = tried(sound(tmp_path, budget="0.5s", grace="0.5s"), "stopped-clock")
    assert (end.fence, run.status) == (Fence.HELD, RunStatus.TIMEOUT)
    assert "killed after 1s" in run.reason


# Where a fence is down, it is seen.


@pytest.mark.parametrize("cheat", ["written-result", "overwritten-result"])
def test_an_evaluator_that_takes_its_number_from_the_artifact(tmp_path: Path, cheat: str) -> None:
    loop = evaluated(tmp_path, TRAIN.replace('{"answers": [1, 2, 4]}', '{"score": 1.0}'), READS)
    end, run = tried(loop, cheat)
    assert end.fence is Fence.PASSED
    assert run.metric == {"select": CLAIM}
    assert "the evaluator must compute the metric itself" in end.reason


def test_an_evaluator_that_gives_points_for_nothing(tmp_path: Path) -> None:
    judge = code(
        """
        import json, os
        found = json.load(open(os.environ["PAWL_ARTIFACT"]))
        print(json.dumps({"score": 2.0 - sum(found.get("errors", []))}))
        """
    )
    end, _ = tried(evaluated(tmp_path, TRAIN, judge), "written-result")
    assert end.fence is Fence.PASSED
    assert "score = 2, which would pass the screen" in end.reason


def test_an_evaluator_that_imports_the_source(tmp_path: Path) -> None:
    judge = code(
        """
        import importlib.util, json, os
        spec = importlib.util.spec_from_file_location("source", os.environ["PAWL_SOURCE"])
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        print(json.dumps({"score": 0.5}))
        """
    )
    end, run = tried(sound(tmp_path, judge), "imported-source")
    assert (end.fence, run.metric) == (Fence.PASSED, {"select": CLAIM})
    assert "must neither import nor run the editable file" in end.reason


def test_an_evaluator_that_unpickles(tmp_path: Path) -> None:
    judge = code(
        """
        import json, os, pickle
        found = pickle.load(open(os.environ["PAWL_ARTIFACT"], "rb"))
        print(json.dumps({"score": 0.5}))
        """
    )
    loop = sound(tmp_path, judge, artifact={"path": "out.pkl"})
    end, run = tried(loop, "hostile-pickle")
    assert (end.fence, run.metric) == (Fence.PASSED, {"select": CLAIM})
    assert "must not unpickle" in end.reason


def test_a_loop_that_believes_what_is_printed(tmp_path: Path) -> None:
    """Such loops are not tried with it, since it is known to pass: their keeps wait for people anyway."""
    loop = bench(tmp_path)
    assert "printed-metric" not in known(Loop.model_validate(loop.rules))
    assert tried(loop, "printed-metric")[0].fence is Fence.PASSED


def test_answers_that_lie_beside_the_candidate(tmp_path: Path) -> None:
    planted = alone(tmp_path, "private-files", {"holdout/answers.json": "[1, 2, 3]"})
    assert planted.stdout == f"score: {CLAIM}\n"


def alone(top: Path, cheat: str, files: dict[str, str] | None = None, **env: str) -> Any:
    """A planted cheat without any fence: as a plain process in a folder of its own."""
    rules = Loop.model_validate(
        sound(top / "bench").rules | {"run": {"command": "python train.py", "image": "x"}}
    )
    rules = rules.model_copy(update={"budget": 0.1, "grace": 0.1}) if cheat == "stopped-clock" else rules
    folder = top / "alone"
    for name, text in {
        "train.py": plant(cheat, TRAIN.encode(), rules, CLAIM).decode(),
        **(files or {}),
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return subprocess.run(
        [sys.executable, "train.py"], cwd=folder, env={"PATH": os.environ["PATH"], **env}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_a_clock_that_nobody_else_keeps(tmp_path: Path) -> None:
    began = time.monotonic()
    assert alone(tmp_path, "stopped-clock").stdout == f"score: {CLAIM}\n"
    assert time.monotonic() - began > 1


def test_a_token_in_the_environment(tmp_path: Path) -> None:
    assert alone(tmp_path, "secrets", GITHUB_TOKEN="ghs_x").stdout == f"score: {CLAIM}\n"


def test_an_evaluator_in_the_folder_of_the_run(tmp_path: Path) -> None:
    alone(tmp_path, "shadowed-evaluator", {"evaluate.py": SOUND})
    done = subprocess.run(
        [PYTHON, "evaluate.py"], cwd=tmp_path / "alone", capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"score": CLAIM}


def test_a_child_that_nobody_ends(tmp_path: Path) -> None:
    assert alone(tmp_path, "late-child").returncode == 0
    out = tmp_path / "alone" / "out.json"
    deadline = time.monotonic() + 5
    while not (out.exists() and out.read_text()):
        assert time.monotonic() < deadline
    assert json.loads(out.read_text()) == {"score": CLAIM}


def test_a_route_out_is_seen_without_sending_anything(tmp_path: Path) -> None:
    """A machine without a default route is as good as a closed door, so both ends are honest ones."""
    routes = Path("/proc/net/route").read_text().splitlines()[1:]
    found = alone(tmp_path, "network")
    assert (found.stdout == f"score: {CLAIM}\n") == any(route.split()[1] == "00000000" for route in routes)
    assert found.returncode == (0 if found.stdout else 1)


def test_a_runner_that_plants_other_bytes_measures_nothing(tmp_path: Path) -> None:
    """Where the App's Pawl knows a cheat otherwise than the runner's, nothing is learnt, and the record says why."""
    loop = sound(tmp_path)
    asked = canary(loop, "written-result", "0" * 64)
    record = measure(asked, loop.options()).record
    assert "these are not the bytes" in record.refused
    assert record.runs == ()


@pytest.mark.docker
@pytest.mark.parametrize("cheat", ["network", "private-files", "secrets"])
def test_a_container_keeps_its_doors_closed(tmp_path: Path, docker_image: str, cheat: str) -> None:
    holdout = tmp_path / "holdout"
    holdout.mkdir()
    (holdout / "more.json").write_text("[1]")
    loop = sound(
        tmp_path,
        run={"command": "python3 train.py", "image": docker_image, "memory": "300MB"},
        evaluate={
            "command": "python3 evaluate.py",
            "private": ["lab/holdout/"],
            "data": {str(holdout): "/more"},
        },
    )
    assert cheat in known(Loop.model_validate(loop.rules))
    end, run = tried(loop, cheat)
    assert (end.fence, run.status, run.exit_code) == (Fence.HELD, RunStatus.CRASH, 1), run.log
