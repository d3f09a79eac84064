"""`pawl check`: what is wrong with a set-up, how to mend it, and what a loop will cost."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.text import Text

from pawl.commands.check_agent import AgentCheck, Thinking, thinking_of
from pawl.commands.check_data import data_remarks
from pawl.commands.checkout import Checkout, NotUsable
from pawl.commands.cost import Cost, cannot_measure_here, cost_from_ledger, measure_cost
from pawl.commands.history import History, HistoryError, read_histories
from pawl.control.errors import SettingsError
from pawl.control.means import read_means
from pawl.core.chain import LedgerError
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH, Config, Loop
from pawl.core.config_file import ConfigError, parse_config
from pawl.core.loop_check import LoopCheck
from pawl.core.quantities import format_duration
from pawl.core.remarks import Places, Remark
from pawl.core.setup_check import remarks_of
from pawl.core.workflow_check import workflow_remarks
from pawl.lab import MeasureError
from pawl.lab.output import plain
from pawl.messages.figures import count
from pawl.meta.means import Means

STYLES = {"error": "bold red", "warning": "yellow", "advice": "cyan"}


def run_check(path: Path, loop: str | None, runs: int, as_json: bool, repository: str | None = None) -> int:
    """Check the loops of a clone and print what was found: 0 if they are usable, 1 if something must be mended.

    Args:
        path: a folder of the clone.
        loop: only this one.
        runs: baseline runs to measure here where no ledger tells the cost; 0 measures nothing.
        as_json: print findings and costs as one JSON object.
        repository: ``owner/name`` on GitHub, to look at its runners.
    """
    check = _checked(path, loop, runs, repository)
    if as_json:
        found = {
            "findings": [remark.as_json() for remark in check.remarks],
            "cost": [cost.as_json() for cost in check.costs],
            "proposals": [thinking.as_json() for thinking in check.thinking],
        }
        print(json.dumps(found, indent=2))  # noqa: T201
    else:
        _tell(Console(), check)
    return 1 if any(remark.level == "error" for remark in check.remarks) else 0


def look(path: Path, loop: str | None) -> list[Remark]:
    """What is wrong with the loops of a clone, with nothing measured."""
    return _checked(path, loop, 0).remarks


def _checked(path: Path, loop: str | None, runs: int, repository: str | None = None) -> _Check:
    check = _Check(loop, runs, Means())
    try:
        check.means = read_means(os.environ)
        checkout = Checkout.open(path)
        check.look(checkout)
        if repository is not None and check.config is not None:
            # Here, since a client of GitHub is not always installed.
            from pawl.commands.check_runners import runner_remarks

            workflow = checkout.workflows().get(WORKFLOW_PATH)
            check.remarks += runner_remarks(os.environ, repository, check.config, workflow)
    except (NotUsable, MeasureError, SettingsError) as error:
        check.remarks.append(Remark("error", str(error)))
    return check


@dataclass
class _Check:
    """One call of the command."""

    only: str | None
    runs: int
    means: Means
    """What proposers may use, as far as this environment tells."""
    remarks: list[Remark] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    thinking: list[Thinking] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    """The end of what a failed baseline printed, by loop."""
    config: Config | None = None

    def look(self, checkout: Checkout) -> None:
        found = self._read(checkout)
        if found is None:
            return
        text, self.config = found
        if self.only is not None and self.only not in self.config.loops:
            known = ", ".join(self.config.loops)
            raise NotUsable(f"{CONFIG_PATH} has no loop named {self.only!r}; it has {known}")
        if unsaved := checkout.unsaved(CONFIG_PATH):
            level = "warning"
            self._say(level, f"it {unsaved}: GitHub's side reads the one on the default branch", CONFIG_PATH)
        self.remarks += workflow_remarks(checkout.workflows(), self.config, checkout.unsaved)
        histories = {history.loop: history for history in self._histories(checkout)}
        places = Places(text)
        for name, rules in self.config.loops.items():
            if self.only in (None, name):
                found_here = [
                    *LoopCheck(checkout, places, name, rules).remarks(),
                    *data_remarks(checkout.top, places, name, rules),
                ]
                self.remarks += found_here
                usable = all(remark.level != "error" for remark in found_here)
                self.remarks += AgentCheck(places, name, rules, self.means).remarks()
                told = list(self._cost(checkout, name, rules, histories.get(name), usable))
                self.costs += told
                thinking = thinking_of(name, rules, told[-1] if told else None)
                self.thinking += [thinking] if thinking else []

    def _say(self, level: str, message: str, file: str = "", loop: str = "") -> None:
        assert level in ("error", "warning", "advice")
        self.remarks.append(Remark(level, message, loop, file))  # type: ignore[arg-type]

    def _read(self, checkout: Checkout) -> tuple[str, Config] | None:
        try:
            text = (checkout.top / CONFIG_PATH).read_text(encoding="utf-8")
            return text, parse_config(text)
        except FileNotFoundError:
            self._say("error", "there is no configuration; `pawl init` writes a first one", CONFIG_PATH)
        except (OSError, UnicodeDecodeError) as error:
            self._say("error", f"it cannot be read: {error}", CONFIG_PATH)
        except ConfigError as error:
            self.remarks += remarks_of(error)
        return None

    def _histories(self, checkout: Checkout) -> list[History]:
        try:
            return read_histories(checkout.top)
        except HistoryError:
            return []  # nothing was measured yet, or it was not fetched: then it is measured here
        except LedgerError as error:
            self._say("warning", f"the ledger in this clone cannot be read: {error}")
            return []

    def _cost(
        self, checkout: Checkout, name: str, rules: Loop, history: History | None, usable: bool
    ) -> Iterator[Cost]:
        known = cost_from_ledger(history, rules) if history else None
        if known is not None:
            yield known
            return
        why = "nothing was measured (--runs 0)" if not self.runs else ""
        why = why or ("" if usable else "not measured until the errors above are mended")
        if not why and (elsewhere := cannot_measure_here(rules, checkout.top)):
            why = f"not measured here: {elsewhere}"
            self._say("warning", f"the baseline was {why}", CONFIG_PATH, name)
        if why:
            yield Cost(name, why)
            return
        longest = self.runs * (rules.budget + rules.grace)
        _progress(f"{name}: measuring {count(self.runs, 'baseline run')}, at most {format_duration(longest)}")
        tried = measure_cost(checkout, name, rules, self.runs, _progress)
        if tried.trouble:
            self._say("error", tried.trouble, loop=name)
            self.logs[name] = tried.log
        if tried.cost.sigma == 0 and b"PAWL_SEED" not in (checkout.file(rules.edit) or b""):
            why = "the runs are alike to the last digit, and it takes no randomness from PAWL_SEED. Where it fixes a seed of"
            self._say(
                "warning",
                f"{why} its own, luck with that seed would pass for a gain: let PAWL_SEED choose it",
                rules.edit,
                name,
            )
        yield tried.cost


def _progress(sentence: str) -> None:
    print(plain(sentence), file=sys.stderr, flush=True)  # noqa: T201


def _tell(console: Console, check: _Check) -> None:
    """The remarks of the whole repository, then those of each loop with its cost."""
    _tell_remarks(console, "", [remark for remark in check.remarks if not remark.loop])
    for name in check.config.loops if check.config else ():
        cost = next((cost for cost in check.costs if cost.loop == name), None)
        if cost is None:
            continue
        _tell_remarks(console, f"loop {name}", [remark for remark in check.remarks if remark.loop == name])
        if check.logs.get(name):
            console.print(Text("  The end of what the failed run printed:"))
            shown = "\n".join(f"    {line}" for line in plain(check.logs[name]).split("\n"))
            console.print(Text(shown, style="dim"), soft_wrap=True)
        assert check.config is not None
        for label, sentence in _cost_sentences(cost, check.config.loops[name]):
            _line(console, "  ", label, "green", sentence)
        for thinking in check.thinking:
            if thinking.loop == name:
                for label, sentence in thinking.sentences():
                    _line(console, "  ", label, "green", sentence)
    errors = sum(remark.level == "error" for remark in check.remarks)
    console.print(
        Text(
            f"{errors} to mend" if errors else "usable: nothing must be mended",
            style="bold red" if errors else "bold green",
        )
    )


def _tell_remarks(console: Console, title: str, remarks: list[Remark]) -> None:
    if title:
        console.print(Text(title, style="bold"))
    order = list(STYLES)
    for remark in sorted(remarks, key=lambda remark: order.index(remark.level)):
        place = f"{remark.place}: " if remark.place else ""
        _line(console, "  " if title else "", remark.level, STYLES[remark.level], place + remark.message)


def _line(console: Console, indent: str, label: str, style: str, sentence: str) -> None:
    """One labelled line. What is not ours to trust has lost its control characters, and `Text` reads no markup."""
    console.print(Text.assemble(indent, (f"{label:<9}", style), plain(sentence)), soft_wrap=True)


def _cost_sentences(cost: Cost, rules: Loop) -> Iterator[tuple[str, str]]:
    name = rules.metric.name
    if cost.seconds_run is None:
        if cost.source not in ("measured", "ledger"):
            yield "cost", f"unknown: {cost.source}"
        return
    whence = "from the ledger" if cost.source == "ledger" else f"from {count(cost.runs, 'baseline run')} here"
    if rules.task_agent:
        yield (
            "metric",
            f"{name} = {cost.metric:.6g} {whence}; tasks fixed and broken decide, not the noise of runs (docs/decision.md)",
        )
    elif cost.sigma == 0:
        yield (
            "noise",
            f"none seen, {whence}: {name} = {cost.metric:.6g} every time, so one run and one repeat decide",
        )
    elif cost.sigma_upper is None or cost.smallest_effect is None:
        yield "noise", f"unknown {whence}: at least two runs tell something (--runs)"
    else:
        bound = f", at most about {cost.sigma_upper:.3g} with so few runs" if cost.dof < 30 else ""
        yield "noise", f"sigma = {cost.sigma:.3g} {whence}{bound} ({name} = {cost.metric:.6g})"
        share = f", {abs(cost.smallest_effect / cost.metric):.2%} of the baseline" if cost.metric else ""
        yield (
            "effect",
            f"a gain of {cost.smallest_effect:.3g}{share}, is kept in 80 of 100 cases; a smaller one is mostly missed",
        )
    outside = f"{cost.seconds_outside:.2g}s for Pawl"
    if cost.seconds_evaluate:
        outside = f"{cost.seconds_evaluate:.2g}s for the evaluator and {outside}"
    yield "run", f"{format_duration(cost.seconds_run)} each, and {outside}"
    assert cost.calibration_seconds is not None and cost.first_keep_hours is not None  # noqa: PT018
    yield "start", f"the first calibration is 8 runs: about {format_duration(cost.calibration_seconds)}"
    if rules.task_agent:
        return
    yield (
        "keep",
        f"about {_hours(cost.first_keep_hours)} of one machine ({cost.first_keep_runs:.0f} runs) to a first keep. An "
        "estimate, which assumes that 3 in 100 proposals are real gains",
    )


def _hours(hours: float) -> str:
    return (
        format_duration(hours * 3600)
        if hours < 1
        else f"{hours:.2g} hours"
        if hours < 100
        else f"{hours:,.0f} hours"
    )
