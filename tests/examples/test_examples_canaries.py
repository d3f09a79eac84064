"""The examples stop every cheat that can be planted in them, measured as a runner would."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from example_module import EXAMPLES

from lab_kit import git
from pawl.core.canary import claim_of
from pawl.core.cheats import CHEATS, known, plant
from pawl.core.config import Loop
from pawl.core.config_file import parse_config
from pawl.core.decision import Fence, Tried, advance
from pawl.core.digest import sha256
from pawl.core.measurement import Calibration, Purpose, Request
from pawl.lab import Options, measure

POOLS = {"packing": (2.18, 0.04), "nanogpt": (3.4, 0.01), "harness": (0.4, 0.05)}
"""Where each base stands, and by how much it varies."""


def rules_of(name: str) -> Loop:
    text = (EXAMPLES / name / ".github" / "pawl.yml").read_text()
    (rules,) = parse_config(text.replace("python ", f"{sys.executable} ")).loops.values()
    return rules


CASES = [
    pytest.param(name, cheat, id=f"{name}-{cheat}", marks=[pytest.mark.torch] if name == "nanogpt" else [])
    for name in POOLS
    for cheat in known(rules_of(name))
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, so that the setups of nanogpt are made once."""
    return tmp_path_factory.mktemp("examples")


def repository(place: Path, name: str) -> tuple[Path, str]:
    repo = place / name
    if not repo.exists():
        shutil.copytree(EXAMPLES / name, repo, ignore=shutil.ignore_patterns("__pycache__"))
        git(repo, "init", "-q", "-b", "main")
        git(repo, "add", "-A")
        git(repo, "commit", "-q", "-m", "base")
    return repo, git(repo, "rev-parse", "HEAD")


@pytest.mark.parametrize(("name", "cheat"), CASES)
def test_examples_stop_planted_cheats(place: Path, tmp_path: Path, name: str, cheat: str) -> None:
    repo, base = repository(place, name)
    rules, (mean, sigma) = rules_of(name), POOLS[name]
    if cheat == "stopped-clock":
        rules = rules.model_copy(
            update={"budget": 1.0, "grace": 1.0}
        )  # it does no work, and takes all its time
    calibration = Calibration(sigma=sigma, dof=40, pool=(mean,) * 8)
    content = plant(cheat, (repo / rules.edit).read_bytes(), rules, claim_of(rules, calibration))
    fields: dict[str, Any] = {
        "repository": "ada/loop", "loop": name, "rules": rules, "purpose": Purpose.CANARY, "number": 2, "base": base,
        "inputs": sha256("inputs"), "baseline": base, "candidate": base, "candidate_digest": sha256(content),
        "cheat": cheat, "seeds": (7,), "calibration": calibration, "runs_wanted": 1,
    }  # fmt: skip
    asked = Request(**fields)
    record = measure(asked, Options(out=tmp_path / "out", repo=repo, cache=place / "cache")).record
    end = advance(asked, record.facts)
    assert isinstance(end, Tried), record.refused
    assert end.fence is Fence.HELD, end.reason
    if CHEATS[cheat].works:
        assert "seconds_evaluate" in record.runs[0].telemetry, "its own work was done, and scored"
