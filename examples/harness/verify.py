"""The evaluator: sets a block of tasks before the agent starts, and scores its answers when it is dead."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tasks import block

LIMIT = 200_000
"""Bytes of all answers together."""


def ask(inputs: Path, split: str, seed: int) -> None:
    """Write every task of the block into a folder of its own."""
    for opaque, (_, task) in block(split, seed).items():
        files = inputs / opaque / "files"
        files.mkdir(parents=True)
        (inputs / opaque / "question.txt").write_text(task.question)
        for name, text in task.files.items():
            (files / name).write_text(text)


def score(artifact: Path, split: str, seed: int) -> dict[str, Any]:
    """The evaluator's answer, as docs/configuration.md defines it for loops with tasks."""
    tasks = block(split, seed)
    if artifact.stat().st_size > LIMIT:
        return {"invalid": f"answers of more than {LIMIT:,} bytes"}
    answers = json.loads(artifact.read_text())
    if not isinstance(answers, dict) or not all(isinstance(answer, str) for answer in answers.values()):
        return {"invalid": "answers.json must map the id of each task to a string"}
    if strangers := answers.keys() - tasks.keys():
        return {"invalid": f"{len(strangers)} answers are to no task of this block"}
    passed = {name: float(task.passed(answers.get(opaque, ""))) for opaque, (name, task) in tasks.items()}
    rate = sum(passed.values()) / len(passed)
    return {"pass_rate": rate, "tasks": passed, "ids": {opaque: name for opaque, (name, _) in tasks.items()}}


def main() -> None:
    """Do what PAWL_PHASE says."""
    split, seed = os.environ["PAWL_SPLIT"], int(os.environ["PAWL_SEED"])
    if os.environ["PAWL_PHASE"] == "ask":
        ask(Path(os.environ["PAWL_INPUTS"]), split, seed)
    else:
        print(json.dumps(score(Path(os.environ["PAWL_ARTIFACT"]), split, seed)))


if __name__ == "__main__":
    main()
