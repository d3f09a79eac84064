"""Reads a loop's ledger out of a clone with plain git, recomputes it and tells it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from pawl.core.chain import LEDGER_BRANCH, experiment_folder, parse_lines
from pawl.core.digest import sha256
from pawl.core.judging import orphan_record
from pawl.core.ledger import AnyLine, Measured, OutcomeLine, SpendLine, VerdictLine
from pawl.core.measurement import Record
from pawl.core.spending import spending_of
from pawl.core.verifying import Disagreement, finding_of, verify
from pawl.messages import explain
from pawl.messages.canaries import canary_words
from pawl.messages.costs import cost_words, money_words
from pawl.messages.figures import count
from pawl.messages.scoring import score_words
from pawl.messages.screening import screen_words


class HistoryError(Exception):
    """A ledger that cannot be read; the text says why, and what to do."""


@dataclass(frozen=True)
class History:
    """One loop's lines, and where they came from."""

    loop: str
    lines: tuple[AnyLine, ...]
    repository: Path
    commit: str

    def verdicts(self) -> list[VerdictLine]:
        """Verdict lines, oldest first."""
        return [line for line in self.lines if isinstance(line, VerdictLine)]

    def outcome(self, experiment: int) -> OutcomeLine | None:
        """What became of an experiment, if it is known."""
        lines = (line for line in self.lines if isinstance(line, OutcomeLine))
        return next((line for line in lines if line.experiment == experiment), None)

    @cached_property
    def files(self) -> frozenset[str]:
        """The path of every file on the ledger's branch."""
        return frozenset(_paths(self.repository, self.commit))

    def file(self, path: str) -> bytes | None:
        """A file beside the ledger; none if it is not there."""
        return _git(self.repository, "cat-file", "blob", f"{self.commit}:{path}", missing_ok=True)


def read_histories(repository: Path, loop: str | None = None, commit: str = "") -> list[History]:
    """Every loop's history in a clone, or the one that is asked for.

    Args:
        repository: the clone.
        loop: only this loop.
        commit: of the ledger's branch; by default the branch's tip.

    Raises:
        HistoryError: no clone, no ledger, or no such loop.
        LedgerError: a line that is no ledger line.
    """
    commit = commit or _ledger_commit(repository)
    paths = [path for path in _paths(repository, commit) if path.endswith(".jsonl") and "/ledger-" in path]
    loops = sorted({path.split("/", 1)[0] for path in paths})
    if loop is not None and loop not in loops:
        known = ", ".join(loops) or "none"
        raise HistoryError(f"no loop named {loop!r} in the ledger; there are: {known}")
    histories = []
    for name in [loop] if loop else loops:
        lines: list[AnyLine] = []
        for path in sorted(path for path in paths if path.startswith(f"{name}/")):
            text = (_git(repository, "cat-file", "blob", f"{commit}:{path}") or b"").decode()
            lines.extend(parse_lines(text, f"{LEDGER_BRANCH}:{path}"))
        histories.append(History(name, tuple(lines), repository, commit))
    return histories


def _ledger_commit(repository: Path) -> str:
    for ref in (f"refs/heads/{LEDGER_BRANCH}", f"refs/remotes/origin/{LEDGER_BRANCH}"):
        found = _git(repository, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", missing_ok=True)
        if found:
            return found.decode().strip()
    raise HistoryError(
        f"{repository} has no branch {LEDGER_BRANCH}: nothing was measured yet, or it was not fetched. "
        f"Try: git -C {repository} fetch origin {LEDGER_BRANCH}:{LEDGER_BRANCH}"
    )


def _paths(repository: Path, commit: str) -> list[str]:
    listing = _git(repository, "ls-tree", "-r", "-z", "--name-only", commit) or b""
    return [path for path in listing.decode().split("\0") if path]


def _git(repository: Path, *arguments: str, missing_ok: bool = False) -> bytes | None:
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    if missing_ok and ((repository / ".git").exists() or (repository / "HEAD").exists()):
        return None
    problem = done.stderr.decode(errors="replace").strip().splitlines()
    raise HistoryError(
        f"{repository} is no clone that git can read; name the folder of one, with the branch {LEDGER_BRANCH} in it "
        f"({problem[-1] if problem else 'git gives no reason'})"
    )


def disagreements(history: History) -> list[Disagreement]:
    """Everything in a history that its own runs, or the records beside it, contradict; in order."""
    found = list(verify(history.lines))
    for line, path in _records(history):
        found.extend(_record(history, line, path))
    return sorted(found, key=lambda item: item.seq)


def _records(history: History) -> Iterator[tuple[VerdictLine, str]]:
    """The verdicts whose record lies beside the ledger, and where.

    That of a head which was replaced has a file of its own. Of the others it is the last attempt's; earlier ones live in
    older commits.
    """
    latest: dict[int, tuple[VerdictLine, str]] = {}
    for line in history.verdicts():
        orphan = orphan_record(history.loop, line.experiment, line.head, line.attempt)
        if orphan not in history.files:
            path = f"{experiment_folder(history.loop, line.experiment)}/record.json"
            latest[line.experiment] = line, path
        elif line.record is not None:
            yield line, orphan
    yield from ((line, path) for line, path in latest.values() if line.record is not None)


def _record(history: History, line: VerdictLine, path: str) -> list[Disagreement]:
    data = history.file(path)
    if data is None:
        return [Disagreement(line.seq, f"{path} is missing")]
    if sha256(data) != line.record:
        return [Disagreement(line.seq, f"{path} is not the record the line was made from")]
    facts = Record.model_validate_json(data).facts
    if tuple(line.runs[len(line.runs) - len(facts) :]) != facts:
        return [Disagreement(line.seq, f"{path} tells of other runs than the line")]
    return []


def as_json_text(histories: Sequence[History]) -> str:
    """Every line of the histories, as one JSON array."""
    return json.dumps(
        [line.model_dump(mode="json") for history in histories for line in history.lines], indent=2
    )


def table(history: History) -> str:
    """One row for each verdict, and for each experiment that ended without one; effects are in sigma."""
    rows = [("experiment", "verdict", "stage", "runs", "sigma", "outcome", "hypothesis")]
    for line in history.verdicts():
        outcome = history.outcome(line.experiment)
        sigma = "-" if line.effect_sigma is None else f"{line.effect_sigma:+.1f}"
        became = str(outcome.outcome) if outcome else "open"
        what = " ".join(line.hypothesis.split())[:60]
        rows.append(
            (
                str(line.experiment),
                str(line.verdict),
                str(line.stage),
                str(len(line.runs)),
                sigma,
                became,
                what,
            )
        )
    judged = {line.experiment for line in history.verdicts()}
    for ended in history.lines:
        if isinstance(ended, OutcomeLine) and ended.experiment not in judged:
            rows.append((str(ended.experiment), "-", "-", "0", "-", str(ended.outcome), ""))
    rows[1:] = sorted(rows[1:], key=lambda row: int(row[0]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    body = [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
    return "\n".join([f"loop {history.loop}", *body, *_spent(history)]) + "\n"


def _spent(history: History) -> Iterator[str]:
    """What proposals have cost, and how good their predictions were; nothing where neither is known."""
    spent = [line for line in history.lines if isinstance(line, SpendLine)]
    if spent:
        total = spending_of(history.lines, datetime.fromisoformat(spent[-1].at))
        without = f" ({total.without_edit} without an edit)" if total.without_edit else ""
        yield f"spent        {count(total.proposals, 'proposal')}{without}: {cost_words(total)}"
        for share, each in ((total.per_experiment, "experiment"), (total.per_kept, "kept improvement")):
            if share is not None and total.unpriced < total.proposals:
                yield f"             {money_words(share)} for each {each}"
    if score := score_words(history.lines):
        yield f"predictions  {score}"
    if canaries := canary_words(history.lines):
        yield f"fences       {canaries}"
    if screen := screen_words(history.lines):
        yield f"screen       {screen}"


def explained(histories: Sequence[History], experiment: int) -> str:
    """How every verdict on an experiment came about.

    Raises:
        HistoryError: no such experiment, or more than one loop has it.
    """
    found = [
        history for history in histories if any(line.experiment == experiment for line in history.verdicts())
    ]
    ended = next((line for history in histories if (line := history.outcome(experiment))), None)
    if not found and ended:
        raise HistoryError(f"experiment {experiment} ended without a verdict: {ended.outcome}")
    if not found:
        raise HistoryError(f"no experiment {experiment} has a verdict yet")
    if len(found) > 1:
        raise HistoryError(f"say which: --loop {' or --loop '.join(history.loop for history in found)}")
    lines = [line for line in found[0].verdicts() if line.experiment == experiment]
    return "\n\n".join(explain(line, finding_of(line)) for line in lines)


def runs_of(history: History) -> int:
    """Runs that were started, over all lines."""
    return sum(len(line.runs) for line in history.lines if isinstance(line, Measured))
