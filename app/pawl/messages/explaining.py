"""A verdict for the terminal: every stage with its runs, its figures and the bounds they were held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from pawl.core.config import SEAL, SELECT
from pawl.core.config_parts import Metric
from pawl.core.decision import Finding
from pawl.core.ledger import VerdictLine
from pawl.core.measurement import Arm, RunFact, Stage
from pawl.core.paired import paired_of
from pawl.core.verifying import finding_of
from pawl.messages.figures import duration, effect_words, number
from pawl.messages.quoting import one_line


def explain(line: VerdictLine, finding: Finding | None = None) -> str:
    """The verdict as plain text, with the raw figures that pages on GitHub round.

    Args:
        line: the verdict.
        finding: what it follows from; by default recomputed from the line.
    """
    return "\n".join(_explained(line, finding or finding_of(line))) + "\n"


def _explained(line: VerdictLine, finding: Finding) -> Iterator[str]:
    metric, known = line.rules.metric, line.calibration
    yield f"{line.loop} experiment {line.experiment}, attempt {line.attempt}: {line.verdict.upper()} at {line.stage}"
    yield f"  {one_line(line.reason, 600)}"
    yield ""
    if line.hypothesis:
        yield f"hypothesis  {one_line(line.hypothesis, 300)}"
    if line.proposer:
        yield f"proposer    {one_line(line.proposer, 100)}"
    for who, models in (("meta-agent", line.models), ("task agent", _task_models(line))):
        if models:
            yield f"{who}  answered by {', '.join(one_line(model) for model in models)}"
    if line.predicted is not None:
        yield f"predicted   {effect_words(metric, line.predicted)}"
    if line.effect is not None:
        unit = "standard errors" if line.rules.task_agent else "sigma"
        in_sigma = "" if line.effect_sigma is None else f", {line.effect_sigma:+.3f} {unit}"
        yield f"effect      {effect_words(metric, line.effect, 6)}{in_sigma}"
    yield f"metric      {metric.name}, {metric.goal}"
    yield f"base        {line.base}"
    yield f"candidate   {line.head}, pull request {line.pull}"
    yield ""
    yield "What was known of the base"
    sigma = number(known.sigma) if known.dof else "unknown"
    yield f"  sigma {sigma} from {known.dof} degrees of freedom; decided with {number(finding.sigma)}"
    if known.pool:
        yield f"  pool of {len(known.pool)}: mean {number(fmean(known.pool))} ({', '.join(map(number, known.pool))})"
    for stage, told in ((Stage.SCREEN, _screen), (Stage.CONFIRM, _confirm), (Stage.SEAL, _seal)):
        runs = [run for run in line.runs if run.stage is stage]
        if runs:
            yield ""
            yield from (_tasks(line, stage) if line.rules.task_agent else told(line, finding, runs))
    if finding.guards:
        yield ""
        yield "Guards"
        for guard in finding.guards:
            values = f"{number(guard.baseline)} to {number(guard.candidate)}"
            yield f"  {one_line(guard.name, 64)}: {values}, allowed {guard.bound}: {'kept' if guard.kept else 'BROKEN'}"
    yield ""
    yield (
        f"{len(line.runs)} runs, {duration(line.seconds_in_budget)} inside the budget, "
        f"{duration(line.seconds_outside)} outside it"
    )


def _tasks(line: VerdictLine, stage: Stage) -> Iterator[str]:
    """A stage of a loop over a harness: its bounds, its runs, and what both versions did with the same tasks."""
    dials, paired = line.procedure, paired_of(line.runs, (stage,))
    yield {
        Stage.SCREEN: f"Screen: a block of practice tasks in both versions, z of {dials.task_screen_z:g} or more goes on",
        Stage.CONFIRM: (
            f"Confirm: up to {dials.task_pairs} fresh blocks, log evidence {math.log(1 / dials.task_alpha):+.2f} or more "
            f"goes on; {math.log(1 / dials.beta):+.2f} or more for worse is dropped"
        ),
    }.get(
        stage,
        f"Seal: {dials.task_seal_pairs} sealed blocks, a gain above {dials.seal_margin:g} standard errors is kept",
    )
    yield from (_run(run, line.rules.metric) for run in line.runs if run.stage is stage)
    yield (
        f"  {len(paired.differences)} tasks in both versions: {len(paired.fixed)} fixed, {len(paired.broken)} broken, "
        f"{effect_words(line.rules.metric, paired.effect, 6)}, standard error {number(paired.error)}"
    )
    if stage is Stage.CONFIRM:
        yield f"  log evidence = {paired.log_evidence():+.3f} for better, {paired.log_evidence(-1):+.3f} for worse"
    yield f"  z = {paired.z:+.3f}, one-sided mid-p of McNemar's exact test = {paired.midp:.3g}"


def _task_models(line: VerdictLine) -> list[str]:
    return sorted({model for run in line.runs for model in run.models})


def _screen(line: VerdictLine, finding: Finding, runs: list[RunFact]) -> Iterator[str]:
    yield f"Screen: one run against the pool, z above {line.procedure.screen_z:g} goes on"
    yield from (_run(run, line.rules.metric) for run in runs)
    if finding.screen_z is not None:
        yield f"  z = {finding.screen_z:+.3f}"


def _confirm(line: VerdictLine, finding: Finding, runs: list[RunFact]) -> Iterator[str]:
    dials, metric = line.procedure, line.rules.metric
    upper, lower = math.log(1 / dials.alpha), math.log(dials.beta)
    yield (
        f"Confirm: up to {dials.max_pairs} fresh pairs, LLR {upper:+.2f} or more goes on, {lower:+.2f} or less is dropped"
    )
    values: dict[int, dict[Arm, float]] = {}
    for run in runs:
        yield _run(run, metric)
        if SELECT in run.metric:
            values.setdefault(run.place, {})[run.arm] = run.metric[SELECT]
    for place, arms in values.items():
        if len(arms) == len(Arm) and finding.sigma:
            gain = metric.sign * (arms[Arm.CANDIDATE] - arms[Arm.BASELINE])
            yield f"  pair {place + 1}: {effect_words(metric, gain, 6)}, {gain / finding.sigma:+.3f} sigma"
    if finding.llr is not None:
        yield f"  LLR = {finding.llr:+.3f}"


def _seal(line: VerdictLine, finding: Finding, runs: list[RunFact]) -> Iterator[str]:
    dials, metric = line.procedure, line.rules.metric
    yield f"Seal: fresh runs, a gain above {dials.seal_margin:g} sigma on every split is kept"
    yield from (_run(run, metric) for run in runs)
    for split in (SELECT, SEAL):
        means = [
            fmean(values)
            for arm in Arm
            if (values := [run.metric[split] for run in runs if run.arm is arm and split in run.metric])
        ]
        if len(means) == len(Arm):
            baseline, candidate = means
            gain = metric.sign * (candidate - baseline)
            yield f"  {split}: {number(baseline)} to {number(candidate)}, {effect_words(metric, gain, 6)}"


def _run(run: RunFact, metric: Metric) -> str:
    measured = " ".join(
        f"{one_line(split, 20)}={number(value)}" for split, value in sorted(run.metric.items())
    )
    printed = "" if run.printed is None else f", printed {number(run.printed)}"
    return (
        f"  {run.arm.value:<9} {run.place + 1}  seed {run.seed:<10}  {run.status.value:<11} "
        f"{metric.name} {measured or 'none'}{printed}, {duration(run.seconds)}"
    )
