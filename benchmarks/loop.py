"""Whole local runs of the packing example: requests per experiment, and the runner's idle time between two jobs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.figures import Figure
from pawl.commands.logs import log_as_json
from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Stage
from pawl.demo.runner import Stint
from pawl.demo.town import OWNER, Town
from pawl.localhub.hub import Exchange
from pawl.meta.means import Means

LOOP = "packing"
NAME = f"{OWNER}/{LOOP}"
EXPERIMENTS = 12
LONGEST = 600.0
AGENT = Path(__file__).with_name("loop_agent.py")
EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / LOOP


@dataclass(frozen=True)
class Window:
    """What one experiment costs in the long run: all that goes on from its verdict to the next one's."""

    began: str
    """Key of the verdict line that it begins with."""
    requests: int


@dataclass(frozen=True)
class Life:
    """A whole run, with everything counted by the local GitHub: polling, progress, the jobs' own and 304 answers too."""

    lines: Sequence[AnyLine]
    windows: Sequence[Window]
    stints: Sequence[Stint]

    def requests(self, which: str, chosen: Callable[[VerdictLine], bool], limit: int) -> Figure:
        """Requests of the experiments with such a verdict."""
        keys = {line.key for line in self.lines if isinstance(line, VerdictLine) and chosen(line)}
        counts = [window.requests for window in self.windows if window.began in keys]
        share = sum(window.requests for window in self.windows) / EXPERIMENTS
        note = f"median of {len(counts)}, {min(counts, default=0)} to {max(counts, default=0)}"
        value = median(counts) if counts else float("nan")
        return Figure(f"API requests, {which}", value, "requests", limit, f"{note}; of all, {share:.1f}")


def measure() -> list[Figure]:
    """A loop with the offline proposer, and one with a program that reads a checkout and leaves a trace and a cost."""
    search, agent = _live(None), _live({"proposer": "command", "command": f"{sys.executable} {AGENT}"})
    return [
        search.requests("dropped at the screen", _dropped, 20),
        search.requests("merged", _kept, 35),
        agent.requests("an agent's, dropped at the screen", _dropped, 25),
        agent.requests("an agent's, merged", _kept, 40),
        *_idle(search.stints),
    ]


def _live(agent: Mapping[str, Any] | None) -> Life:
    with (
        tempfile.TemporaryDirectory(prefix="pawl-bench-") as folder,
        (Path(folder) / "log").open("w") as log,
        Town(Path(folder) / "town").open() as town,
    ):
        log_as_json(log)
        town.publish(NAME, EXAMPLE, "The example")
        town.configure(NAME, LOOP, EXPERIMENTS, "main", agent)
        town.runner.start()
        town.start_app(NAME, Means(commands=True))
        with town.hub.store.changed:
            town.hub.store.changed.wait_for(lambda: len(_outcomes(_lines(town))) >= EXPERIMENTS, LONGEST)
        return Life(_lines(town), _windows(town), list(town.runner.stints))


def _dropped(line: VerdictLine) -> bool:
    return line.stage is Stage.SCREEN and bool(line.runs)


def _kept(line: VerdictLine) -> bool:
    return line.verdict is Verdict.KEEP


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
