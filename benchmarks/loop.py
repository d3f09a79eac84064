"""A whole local run of the packing example: requests per experiment, and the runner's idle time between two jobs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from benchmarks.figures import Figure
from pawl.commands.logs import log_as_json
from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Stage
from pawl.demo.runner import Stint
from pawl.demo.town import OWNER, Town

LOOP = "packing"
NAME = f"{OWNER}/{LOOP}"
EXPERIMENTS = 12
LONGEST = 600.0
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / LOOP


def measure() -> list[Figure]:
    """One run of twelve experiments, with everything counted by the local GitHub: polling, progress and 304 answers too."""
    with (
        tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder,
        (Path(folder) / "log").open("w") as log,
        Town(Path(folder) / "town").open() as town,
    ):
        log_as_json(log)
        town.publish(NAME, EXAMPLE, "The example")
        town.configure(NAME, LOOP, EXPERIMENTS, "main")
        town.runner.start()
        town.start_app(NAME)
        with town.hub.store.changed:
            town.hub.store.changed.wait_for(lambda: len(_outcomes(_lines(town))) >= EXPERIMENTS, LONGEST)
        lines = _lines(town)
        windows = _windows(town)
        stints = list(town.runner.stints)
    screened = {n.key for n in lines if isinstance(n, VerdictLine) and n.stage is Stage.SCREEN and n.runs}
    dropped = [count for before, keys, count in windows if screened & set(keys) and screened & set(before)]
    total = sum(count for _, _, count in windows)
    return [
        Figure(
            "API requests, experiment dropped at the screen",
            median(dropped) if dropped else float("nan"),
            "requests",
            25,
            f"median of {len(dropped)} that followed another one; all {EXPERIMENTS}: {total / EXPERIMENTS:.0f} on average",
        ),
        *_idle(stints),
    ]


def _idle(stints: Sequence[Stint]) -> list[Figure]:
    gaps = [after.began - before.ended for before, after in pairwise(stints)]
    return [
        Figure(
            "one job's end to the next one's start",
            median(gaps),
            "s",
            2.0,
            f"mean {mean(gaps):.2f} s, longest {max(gaps):.2f} s of {len(gaps)}; proposals and webhooks included",
        )
    ]


def _lines(town: Town) -> list[AnyLine]:
    commit = town.ledger_commit(NAME)
    if not commit:
        return []
    return list(
        parse_lines(_git(town, "cat-file", "blob", f"{commit}:{LOOP}/ledger-0001.jsonl"), LEDGER_BRANCH)
    )


def _outcomes(lines: Sequence[AnyLine]) -> set[int]:
    return {line.experiment for line in lines if isinstance(line, OutcomeLine)}


def _windows(town: Town) -> list[tuple[list[str], list[str], int]]:
    """Requests between two appends to the ledger, with what both appends were about."""
    commit = town.ledger_commit(NAME)
    told = _git(town, "log", "--reverse", "--format=%b%x00", commit).split("\0")[:-1]
    keys = [body.split() or [""] for body in told]
    log = [item for item in town.hub.request_log if item.repository]
    ends = [
        place
        for place, item in enumerate(log)
        if item.method in ("PATCH", "POST") and "git/refs" in item.path and LEDGER_BRANCH in item.path
    ]
    if (
        len(ends) == len(keys) - 1
    ):  # the first append creates the branch, and its name is in the body of that request
        keys = keys[1:]
    counts = [after - before for before, after in pairwise(ends)]
    return [(before, after, count) for (before, after), count in zip(pairwise(keys), counts, strict=False)]


def _git(town: Town, *arguments: str) -> str:
    command = ["git", "-C", str(town.git_folder(NAME)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
