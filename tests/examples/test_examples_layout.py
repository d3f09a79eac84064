from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from example_module import EXAMPLES

from pawl.core.config_file import parse_config

AUTORESEARCH = Path(__file__).parents[1] / "fixtures" / "autoresearch"


@pytest.mark.parametrize("example", ["packing", "nanogpt", "harness"])
def test_examples_are_repositories_whose_rules_pawl_reads(example: str) -> None:
    root = EXAMPLES / example
    config = parse_config((root / ".github" / "pawl.yml").read_text())
    loop = config.loops[example]
    assert (root / loop.edit).is_file()
    assert (root / loop.program_path).is_file()
    private = loop.private_globs(frozenset(path.name for path in root.iterdir()))
    assert ("verify.py" if example == "harness" else "evaluate.py") in private
    assert (loop.merge, loop.accept) == ("auto", ("unearned-auto", "process-sandbox"))


def test_examples_the_stand_in_for_autoresearch_prints_its_summary(tmp_path: Path) -> None:
    """The layout knows nothing of Pawl: data below the home folder, its own clock, a block of results."""
    for path in AUTORESEARCH.glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())

    def start(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, script],
            cwd=tmp_path,
            env={"HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=30,
        )

    early = start("train.py")
    assert early.returncode == 1
    assert "Run prepare.py first" in early.stderr
    assert start("prepare.py").returncode == 0
    block = start("train.py").stdout.partition("---\n")[2]
    pairs = dict(line.split(":") for line in block.splitlines())
    assert list(pairs) == [
        "val_bpb",
        "training_seconds",
        "total_seconds",
        "peak_vram_mb",
        "mfu_percent",
        "total_tokens_M",
        "num_steps",
        "num_params_M",
        "depth",
    ]
    assert 0 < float(pairs["val_bpb"]) < 4
