"""autoresearch's ``results.tsv`` from a ledger: commit, metric, memory in GB, status, description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from pawl.core.config import SELECT
from pawl.core.decision import Verdict
from pawl.core.ledger import AnyLine, CalibrationLine, VerdictLine
from pawl.core.measurement import Arm, RunFact
from pawl.messages.quoting import one_line

MEMORY_GUARD = "peak_memory_mb"
HEADER = ("commit", "metric", "memory_gb", "status", "description")
_STATUS = {
    Verdict.KEEP: "keep",
    Verdict.DISCARD: "discard",
    Verdict.INCONCLUSIVE: "discard",
    Verdict.CRASH: "crash",
    Verdict.VIOLATION: "crash",
}
"""autoresearch knows three; what Pawl found is said in the description where it knows more."""


def results_tsv(lines: Iterable[AnyLine]) -> str:
    """The table, one row per verdict behind one for the first baseline.

    The metric is the mean of the candidate's runs on the validation split that selects, never on the sealed one; 0 after a
    crash, as autoresearch writes it.
    """
    return "".join("\t".join(row) + "\n" for row in (HEADER, *_rows(lines)))


def _rows(lines: Iterable[AnyLine]) -> Iterator[tuple[str, ...]]:
    baseline_told = False
    for line in lines:
        if isinstance(line, CalibrationLine) and line.ok and not baseline_told:
            baseline_told = True
            yield (line.base[:7], *_measured(line.runs, Arm.BASELINE), "keep", "baseline")
        elif isinstance(line, VerdictLine):
            said = line.hypothesis or f"experiment {line.experiment}"
            if _STATUS[line.verdict] != line.verdict:
                said = f"{line.verdict}: {said}"
            status = _STATUS[line.verdict]
            figures = _measured(line.runs if status != "crash" else (), Arm.CANDIDATE)
            yield (line.head[:7], *figures, status, one_line(said, 300))


def _measured(runs: Iterable[RunFact], arm: Arm) -> tuple[str, str]:
    """Mean metric and largest memory of one arm."""
    mine = [run for run in runs if run.arm is arm]
    values = [run.metric[SELECT] for run in mine if SELECT in run.metric]
    memory = max((run.guards.get(MEMORY_GUARD, 0.0) for run in mine), default=0.0)
    return (f"{fmean(values) if values else 0.0:.6f}", f"{memory / 1024:.1f}")
