"""The example `harness`, by itself: its tasks, its model, its agent, and what there is to find in it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import jsonschema
import pytest
from example_module import EXAMPLES

from pawl.core.config_file import parse_config
from pawl.meta.literals import dials

ROOT = EXAMPLES / "harness"
SEED_RATE = 10 / 24


def module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


tasks = module("harness_tasks", ROOT / "tasks.py")
fixes = module("harness_fixes", Path(__file__).parent / "harness_fixes.py")


@contextmanager
def served(folder: Path) -> Iterator[dict[str, str]]:
    """The model while the block lasts, and the variables of whoever talks to it."""
    place = Path("/tmp") / f"pawl-harness-{os.getpid()}-{time.monotonic_ns()}"
    variables = {"PATH": os.environ["PATH"], "PAWL_MODEL_SOCKET": str(place)}
    server = subprocess.Popen([sys.executable, str(ROOT / "model.py")], env=variables)
    try:
        while not place.exists():
            assert server.poll() is None
        yield variables
    finally:
        server.kill()
        server.wait()
        place.unlink(missing_ok=True)


class Block:
    """One run of an agent on one block, as the lab would make it."""

    def __init__(
        self, folder: Path, agent: str | None = None, split: str = "practice", seed: int = 1
    ) -> None:
        self.folder, self.inputs = folder, folder / "in"
        self.told = {"PATH": os.environ["PATH"], "PAWL_SPLIT": split, "PAWL_SEED": str(seed)}
        work = folder / "work"
        self.inputs.mkdir(parents=True)
        work.mkdir()
        for name in ("agent.py", "runtime.py"):
            shutil.copy(ROOT / name, work)
        if agent is not None:
            (work / "agent.py").write_text(agent)
        self.verify("ask")
        with served(folder) as variables:
            self.ran = subprocess.run(
                [sys.executable, "runtime.py"], cwd=work, env={**variables, "PAWL_INPUTS": str(self.inputs)},
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
        self.answers = work / "answers.json"
        self.trajectories = {
            path.stem: json.loads(path.read_text()) for path in (work / "trajectories").glob("*.json")
        }

    def verify(self, phase: str, artifact: Path | None = None) -> str:
        told = {
            **self.told,
            "PAWL_PHASE": phase,
            "PAWL_INPUTS": str(self.inputs),
            "PAWL_ARTIFACT": str(artifact or ""),
        }
        return subprocess.run(
            [sys.executable, str(ROOT / "verify.py")],
            env=told,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout

    def score(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(self.verify("score", self.answers).splitlines()[-1])
        return said


def rate(folder: Path, agent: str | None = None, **given: object) -> float:
    return float(Block(folder, agent, **given).score()["pass_rate"])  # type: ignore[arg-type]


def mended(source: str, *signs: Callable[..., bool]) -> str:
    for sign in signs:
        for old, new in fixes.FIXES[sign][1]:
            assert source.count(old) == 1, old
            source = source.replace(old, new)
    return source


SOURCE = (ROOT / "agent.py").read_text()


def test_there_are_three_splits_with_no_task_in_common() -> None:
    by_split = {
        split: [name for listed in tasks.names(split).values() for name in listed] for split in tasks.SPLITS
    }
    for names in by_split.values():
        assert len(names) == len(set(names)) >= 30
    assert not set(by_split["practice"]) & set(by_split["select"]) & set(by_split["seal"])
    blocks = [tasks.block(split, seed) for split in tasks.SPLITS for seed in range(5)]
    questions = [
        {
            (task.question, json.dumps(task.files))
            for block in blocks[start : start + 5]
            for _, task in block.values()
        }
        for start in (0, 5, 10)
    ]
    assert not questions[0] & questions[1] | questions[0] & questions[2] | questions[1] & questions[2]


def test_a_block_is_drawn_by_its_seed_alone_and_its_ids_tell_nothing() -> None:
    first, again, other = tasks.block("select", 3), tasks.block("select", 3), tasks.block("select", 4)
    assert first == again
    assert not set(first) & set(other)
    names = [name for name, _ in first.values()]
    assert len(names) == len(set(names)) == 24
    assert sorted(first) != list(first), "the order of ids is not that of the families"
    kinds = Counter(name.split("-")[1] for name in names)
    assert kinds == {"order": 6, "pair": 4, "archive": 3, "total": 3, "trail": 3, "misnamed": 3, "noon": 2}


@pytest.mark.parametrize(("split", "seed"), [("practice", 1), ("select", 8), ("seal", 21)])
def test_the_agent_passes_ten_tasks_of_twenty_four(tmp_path: Path, split: str, seed: int) -> None:
    assert rate(tmp_path, split=split, seed=seed) == pytest.approx(SEED_RATE)


@pytest.mark.parametrize(
    ("sign", "gain"),
    [("cut_short", 3), ("told_nothing", 3), ("not_in_the_file", 3), ("in_the_head", 3), ("a_sentence", 2)],
)
def test_each_mistake_that_is_mended_gains_its_tasks_by_itself(tmp_path: Path, sign: str, gain: int) -> None:
    agent = mended(SOURCE, getattr(fixes, sign))
    assert rate(tmp_path, agent) == pytest.approx(SEED_RATE + gain / 24)


def test_all_of_them_mended_gain_all(tmp_path: Path) -> None:
    assert rate(tmp_path, mended(SOURCE, *fixes.FIXES), split="select", seed=5) == 1.0


def test_nothing_of_it_is_a_number(tmp_path: Path) -> None:
    """So a search over numbers has something to turn, and nothing to find."""
    turned = dials(SOURCE)
    assert {dial.name for dial in turned} == {"STEPS", "TEMPERATURE"}
    for number, (old, new) in enumerate(
        (("STEPS = 12", "STEPS = 48"), ("STEPS = 12", "STEPS = 4"), ("0.2", "0.9"))
    ):
        assert rate(tmp_path / str(number), SOURCE.replace(old, new)) <= SEED_RATE + 1e-9


def test_trajectories_are_atif_and_tell_what_went_wrong(tmp_path: Path) -> None:
    block = Block(tmp_path)
    schema = json.loads((Path(__file__).parents[1] / "contract" / "atif-v1.8.json").read_text())
    for trajectory in block.trajectories.values():
        jsonschema.validate(trajectory, schema)
    said = block.score()
    names: dict[str, str] = said["ids"]  # type: ignore[assignment]
    scores: dict[str, float] = said["tasks"]  # type: ignore[assignment]
    signs = Counter(
        sign.__name__
        for opaque, trajectory in block.trajectories.items()
        for sign in fixes.FIXES
        if scores[names[opaque]] < 1 and sign(trajectory["steps"])
    )
    assert signs == {
        "cut_short": 3,
        "told_nothing": 3,
        "not_in_the_file": 3,
        "in_the_head": 3,
        "a_sentence": 2,
    }


def test_an_agent_that_fails_at_a_task_has_its_error_told(tmp_path: Path) -> None:
    broken = SOURCE.replace(
        'if name == "read_file":', 'if name == "read_file" and 1 / (len(arguments["path"]) - 9):'
    )
    block = Block(tmp_path, broken)
    assert 0 < float(block.score()["pass_rate"]) < SEED_RATE  # type: ignore[arg-type]
    told = [json.dumps(each) for each in block.trajectories.values()]
    assert any("ZeroDivisionError" in each for each in told)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [("[]", "must map"), ('{"0123": 1}', "must map"), ('{"0123": "x"}', "no task of this block"),
     ('{"a": "' + "x" * 200_001 + '"}', "more than")],
)  # fmt: skip
def test_answers_that_are_none_are_invalid(tmp_path: Path, answers: str, reason: str) -> None:
    block = Block(tmp_path)
    block.answers.write_text(answers)
    assert reason in str(block.score()["invalid"])


def test_what_the_agent_must_not_see_is_private() -> None:
    loop = parse_config((ROOT / ".github" / "pawl.yml").read_text()).loops["harness"]
    paths = frozenset(path.name for path in ROOT.iterdir())
    assert set(loop.private_globs(paths)) == {"tasks.py/**", "tasks.py", "verify.py", "model.py"}
    public = (ROOT / "agent.py", ROOT / "runtime.py", ROOT / "program.md", ROOT / "README.md")
    for path in public:
        assert "code word" not in path.read_text()
