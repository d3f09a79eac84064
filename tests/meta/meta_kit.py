"""A loop as a proposer sees it, and a library of fixed files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pawl.core.config import Loop
from pawl.meta.proposer import Context, Detail, Direction, NotThere

SOURCE = "import os\n\nAIM = 1.0\nSPREAD = 0.05\n\n\ndef answer():\n    return AIM\n"


def rules(**agent: Any) -> Loop:
    return Loop.model_validate(
        {
            "edit": "aim.py",
            "metric": {"name": "score", "goal": "maximize"},
            "artifact": {"path": "answer.json", "format": "json"},
            "evaluate": {"command": "python evaluate.py", "private": ["holdout/"]},
            "agent": agent or {"proposer": "search"},
        }
    )


def context(loop: Loop | None = None, **more: Any) -> Context:
    made = Context("aim", loop or rules(), SOURCE, 7, baseline=1.0, sigma=0.05, program="# Raise the score\n")
    return replace(made, **more)


@dataclass
class Shelf:
    """A library that holds what it is given."""

    files: Mapping[str, bytes] = field(
        default_factory=lambda: {"aim.py": SOURCE.encode(), "README.md": b"# Read me\n"}
    )
    details: Mapping[int, Detail] = field(default_factory=dict)
    traces: Mapping[int, str] = field(default_factory=dict)
    trajectories_of: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    told: tuple[Direction, ...] = ()

    def paths(self) -> tuple[str, ...]:
        return tuple(self.files)

    def file(self, path: str) -> bytes:
        if path not in self.files:
            raise NotThere(f"there is no file {path!r}")
        return self.files[path]

    def checkout(self, folder: Path) -> None:
        for path, content in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    def detail(self, number: int) -> Detail:
        if number not in self.details:
            raise NotThere(f"nothing is kept of experiment {number}")
        return self.details[number]

    def trace(self, number: int) -> str:
        if number not in self.traces:
            raise NotThere(f"no trace of experiment {number}")
        return self.traces[number]

    def trajectories(self, number: int) -> Mapping[str, str]:
        return self.trajectories_of.get(number, {})

    def directions(self) -> tuple[Direction, ...]:
        return self.told
