"""What is told of a concluded experiment, by its comment and by its check run alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pawl.core.decision import Finding, Verdict
from pawl.core.ledger import AnyLine, Outcome, VerdictLine
from pawl.core.measurement import Arm, Stage
from pawl.core.policy import Hold
from pawl.core.verifying import finding_of
from pawl.messages.costs import experiment_cost
from pawl.messages.figures import (
    count,
    duration,
    effect_basis,
    effect_shown,
    effect_words,
    number,
    run_rows,
    sealed_means,
)
from pawl.messages.holds import hold_text
from pawl.messages.lost import lost_rows
from pawl.messages.progress import last_outcomes
from pawl.messages.quoting import Safe, code, prose
from pawl.messages.rendering import render
from pawl.messages.scoring import prediction_words
from pawl.messages.tasks import answered, named_tasks, task_rows, why_tasks

GUARDS = 20
"""Guards that a table shows."""


@dataclass(frozen=True)
class Report:
    """A verdict, and what there is to say about it."""

    line: VerdictLine
    finding: Finding | None = None
    """By default recomputed from the line."""
    ledger: Sequence[AnyLine] = ()
    """The loop's ledger, with or without the line itself."""
    held: Hold | None = None
    log: str = field(default="", repr=False)
    """Tail of the last candidate run's log."""
    page: str = ""
    """The repository's address for people; empty where that is not known."""

    @property
    def found(self) -> Finding:
        """The figures behind the verdict."""
        return self.finding or finding_of(self.line)


def heading(line: VerdictLine) -> Safe:
    """The verdict at a glance, in a few words: what a title has room for."""
    if line.verdict is Verdict.KEEP:
        delta = effect_words(line.rules.metric, line.effect or 0.0)
        return Safe(f"Keep: {line.rules.metric.name} {delta}")
    return Safe(
        {
            Verdict.DISCARD: "Discard: no gain that holds",
            Verdict.INCONCLUSIVE: "Inconclusive: no clear answer",
            Verdict.CRASH: "Crash: the candidate did not get through its run",
            Verdict.VIOLATION: "Violation: the candidate broke a rule of the measurement",
        }[line.verdict]
    )


def why(line: VerdictLine) -> Safe:
    """Why the verdict is what it is, with no figure that effects are rounded to hide."""
    dials = line.procedure
    if line.rules.task_agent and (said := why_tasks(line)):
        return said
    if line.verdict is Verdict.KEEP:
        sealed = sum(run.stage is Stage.SEAL and run.arm is Arm.CANDIDATE for run in line.runs)
        repeated = count(sealed, "sealed run repeats", "sealed runs repeat")
        return Safe(f"{repeated} the gain, and every guard holds.")
    if line.verdict is Verdict.DISCARD and line.stage is Stage.SCREEN and line.calibration.sigma == 0:
        return Safe(
            "Its run is no better than the baseline, and the metric is deterministic: one run is the answer."
        )
    if line.verdict is Verdict.DISCARD and line.stage is Stage.SCREEN:
        return Safe(
            "Its screening run did not stand out from the pool of baseline runs: more than "
            f"{dials.screen_z:g} sigma better is needed before more runs are spent."
        )
    pairs = effect_pairs(line)
    if line.verdict is Verdict.DISCARD and line.stage is Stage.CONFIRM:
        return Safe(f"The screening run looked better, but {pairs} did not confirm it.")
    if line.verdict is Verdict.INCONCLUSIVE and line.stage is Stage.CONFIRM:
        return Safe(f"{pairs} neither confirmed nor refuted a gain, and more are not allowed.")
    said = prose(line.reason)
    if said[:1].islower():
        said = Safe(said[:1].upper() + said[1:])
    return said if said.endswith((".", "?", "!", "…")) else Safe(f"{said}.")


def effect_pairs(line: VerdictLine) -> Safe:
    """``3 fresh pairs``: the confirming runs, counted by their baseline arm."""
    places = {run.place for run in line.runs if run.stage is Stage.CONFIRM}
    return count(len(places), "fresh pair of runs", "fresh pairs of runs")


def guard_rows(finding: Finding, metric: str) -> list[tuple[Safe, Safe, Safe, Safe, Safe]]:
    """Guard, bound, baseline, candidate, whether it is kept. Three digits: guards are bounds, not results.

    A loop may call its metric ``seconds``, as the guard over a run's time is called.
    """
    return [
        (
            Safe(f"{code(guard.name, 64)} of the whole run")
            if guard.name == metric
            else code(guard.name, 64),
            code(guard.bound, 40),
            _three(guard.baseline),
            _three(guard.candidate),
            _kept(guard.kept),
        )
        for guard in finding.guards[:GUARDS]
    ]


def next_text(report: Report) -> Safe:
    """What happens now, and what a person can do."""
    line = report.line
    outcome = last_outcomes(report.ledger).get(line.experiment)
    return render(
        "next",
        verdict=line.verdict.value,
        outcome=outcome.outcome.value if outcome else "",
        commit=Safe(outcome.commit) if outcome and outcome.commit else "",
        by=code(outcome.by, 60) if outcome and outcome.by else "",
        merged=bool(outcome and outcome.outcome is Outcome.MERGED),
        held=hold_text(report.held) if report.held else "",
        merge=line.rules.merge,
        branch=code(line.rules.branch),
        incident=bool(report.found.incident),
    )


def report_values(report: Report) -> dict[str, object]:
    """Values that the comment and the check run's summary share."""
    line, finding = report.line, report.found
    metric = line.rules.metric
    means = sealed_means(line)
    return {
        "experiment": line.experiment,
        "verdict": line.verdict.value,
        "metric": code(metric.name),
        "why": why(line),
        "means": (number(means[0]), number(means[1])) if means else None,
        "effect": effect_shown(metric, line) if line.effect is not None else None,
        "basis": effect_basis(line),
        "prediction": prediction_words(line),
        "tasks": task_rows(line),
        "named": named_tasks(line),
        "proposing": experiment_cost(report.ledger, line.experiment),
        "models": answered(line),
        "incident": prose(finding.incident) if finding.incident not in ("", line.reason) else "",
        "runs": run_rows(line.runs),
        "lost": lost_rows(report.ledger, line.experiment, report.page),
        "guards": guard_rows(finding, metric.name),
        "inside": duration(line.seconds_in_budget),
        "outside": duration(line.seconds_outside),
        "device": code(line.device, 80) if line.device else "",
        "next": Safe(next_text(report).strip()),
    }


def _three(value: float | None) -> Safe:
    if value is None:
        return Safe("not measured")
    return Safe(f"{float(f'{value:.3g}'):,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}")


def _kept(kept: bool) -> Safe:
    return Safe("kept" if kept else "**broken**")
