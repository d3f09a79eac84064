"""A whole local run of the packing example: requests per experiment, and the runner's idle time between two jobs."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median

from benchmarks.figures import Figure
from pawl.commands.logs import log_as_json
from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Stage
from pawl.demo.runner import Stint
from pawl.demo.town import OWNER, Town
from pawl.localhub.hub import Exchange

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
    kept = {n.key for n in lines if isinstance(n, VerdictLine) and n.verdict is Verdict.KEEP}
    dropped = {n.key for n in lines if isinstance(n, VerdictLine) and n.stage is Stage.SCREEN and n.runs}
    total = sum(window.requests for window in windows)
    return [
        _requests("dropped at the screen", [w.requests for w in windows if w.began in dropped], 20, total),
        _requests("merged", [w.requests for w in windows if w.began in kept], 35, total),
        *_idle(stints),
    ]


def _requests(which: str, counts: Sequence[int], limit: int, total: int) -> Figure:
    value = median(counts) if counts else float("nan")
    note = f"median of {len(counts)}, {min(counts, default=0)} to {max(counts, default=0)}"
    whole = f"all {EXPERIMENTS} with calibrations and the timer: {total / EXPERIMENTS:.1f} on average"
    return Figure(f"API requests, experiment {which}", value, "requests", limit, f"{note}; {whole}")


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


@dataclass(frozen=True)
class Window:
    """What one experiment costs in the long run: all that goes on from its verdict to the next one's."""

    began: str
    """Key of the verdict line that it begins with."""
    requests: int


def _windows(town: Town) -> list[Window]:
    commit = town.ledger_commit(NAME)
    told = _git(town, "log", "--reverse", "--format=%b%x00", commit).split("\0")[:-1]
    told = told[1:]  # the first one creates the branch
    log = [item for item in town.hub.request_log if item.repository]
    appended = [place for place, item in enumerate(log) if _appends(item)]
    verdicts = [
        (next(key for key in body.split() if key.startswith("verdict:")), place)
        for body, place in zip(told, appended, strict=True)
        if "verdict:" in body
    ]
    return [Window(key, after - place) for (key, place), (_, after) in pairwise(verdicts)]


def _appends(item: Exchange) -> bool:
    """Whether a request moved the ledger's branch: by itself, or with the one file that was put there."""
    moves = item.method == "PATCH" and item.path.endswith(f"/git/refs/heads/{LEDGER_BRANCH}")
    return item.status < 300 and (
        moves or (item.method == "PUT" and f"/contents/{LOOP}/ledger-" in item.path)
    )


def _git(town: Town, *arguments: str) -> str:
    command = ["git", "-C", str(town.git_folder(NAME)), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
