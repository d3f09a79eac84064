"""What is told of tasks in loops over a harness, and of the models behind an experiment.

Names are told of practice tasks alone; of all others only how many, and that of keeps alone: whoever proposes can read these
pages, and many edits with exact answers would read the hidden splits out bit by bit.
"""

from __future__ import annotations

from collections.abc import Sequence

from pawl.core.decision import Verdict
from pawl.core.ledger import VerdictLine
from pawl.core.measurement import Stage
from pawl.core.paired import Paired, paired_of
from pawl.messages.costs import models_words
from pawl.messages.figures import count
from pawl.messages.quoting import Safe, code, phrase

NAMES = 20
"""Names of tasks that a list shows."""
_SPLITS = {Stage.SCREEN: "practice", Stage.CONFIRM: "fresh", Stage.SEAL: "sealed"}


def task_rows(line: VerdictLine) -> list[tuple[Safe, Safe, Safe, Safe]]:
    """Split, tasks that both versions were given, how many of them are fixed and how many broken."""
    rows = []
    for stage, name in _SPLITS.items():
        paired = paired_of(line.runs, (stage,))
        if paired.differences:
            told = stage is Stage.SCREEN or line.verdict is Verdict.KEEP
            fixed, broken = (
                Safe(str(len(tasks)) if told else "not told") for tasks in (paired.fixed, paired.broken)
            )
            rows.append((Safe(name), Safe(str(len(paired.differences))), fixed, broken))
    return rows


def named_tasks(line: VerdictLine) -> list[tuple[Safe, Safe]]:
    """Practice tasks that were fixed and broken, by name: ``Fixed`` and ``Broken`` with what belongs to them."""
    practice = paired_of(line.runs, (Stage.SCREEN,))
    return [
        (Safe(word), _names(tasks))
        for word, tasks in (("Fixed", practice.fixed), ("Broken", practice.broken))
        if tasks
    ]


def _names(tasks: Sequence[str]) -> Safe:
    shown = [code(task, 64) for task in tasks[:NAMES]]
    more = [f"{len(tasks) - NAMES} more"] if len(tasks) > NAMES else []
    return Safe(", ".join([*shown, *more]))


def why_tasks(line: VerdictLine) -> Safe | None:
    """Why a verdict is what it is where tasks decided it; none where something else did."""
    places = {run.place for run in line.runs if run.stage is Stage.CONFIRM}
    blocks = count(len(places), "fresh block of tasks", "fresh blocks of tasks")
    paired = paired_of(line.runs, (line.stage,))
    if not paired.differences:
        return None
    if line.verdict is Verdict.KEEP:
        return Safe(
            f"{count(len(paired.differences), 'sealed task')} in both versions repeat the gain, and every guard holds."
        )
    if line.verdict is Verdict.DISCARD and line.stage is Stage.SCREEN:
        return Safe(f"On practice tasks it {_balance(paired)}: too little for more runs to be spent.")
    if line.verdict is Verdict.DISCARD and line.stage is Stage.CONFIRM:
        return Safe(f"It looked better on practice tasks, but {blocks} did not confirm it.")
    if line.verdict is Verdict.INCONCLUSIVE and line.stage is Stage.CONFIRM:
        return Safe(f"{blocks} neither confirmed nor refuted a gain, and more are not allowed.")
    return None


def _balance(paired: Paired) -> str:
    fixed, broken = len(paired.fixed), len(paired.broken)
    if not fixed and not broken:
        return f"changed none of {len(paired.differences)}"
    return f"fixed {fixed} and broke {broken} of {len(paired.differences)}"


def answered(line: VerdictLine) -> list[Safe]:
    """Which models proposed the edit and answered its task agent, by the ids they gave; and what does not fit together."""
    tasks = sorted({model for run in line.runs for model in run.models})
    told = []
    if line.models:
        told.append(Safe(f"The meta-agent was answered by {models_words(line.models)}."))
    if tasks:
        told.append(Safe(f"The task agent was answered by {models_words(tasks)}."))
    pin = line.rules.agent.pin
    everyone = {*line.models, *tasks}
    if pin is not None and everyone - {pin}:
        told.append(phrase("**That is not the pinned model alone:** `agent.pin` is {}.", pin))
    elif len(tasks) > 1 and len({run.models for run in line.runs if run.models}) > 1:
        told.append(
            Safe("**Not all runs had the same model:** the difference between the versions may be its own.")
        )
    elif line.models and tasks and set(line.models) != set(tasks):
        told.append(Safe("They are not the same model; `agent.pin` would hold both to one."))
    return told
