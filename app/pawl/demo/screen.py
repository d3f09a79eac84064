"""What a person sees in the terminal while a local run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from pawl.core.measurement import Purpose, Record, Request, RunStatus
from pawl.core.quantities import format_duration
from pawl.demo.results import Results, Row

COLOURS = {
    "keep": "green",
    "discard": "dim",
    "inconclusive": "yellow",
    "crash": "red",
    "violation": "bold red",
}


@dataclass(frozen=True)
class Progress:
    """The measuring job that runs now."""

    request: Request
    record: Record | None

    def brief(self) -> str:
        """The job by name and number of runs."""
        count = len(self.request.runs) + (len(self.record.runs) if self.record else 0)
        return f"{self._name()}: {f'run {count}' if count else 'preparing'}"

    def _name(self) -> str:
        number, purpose = self.request.number, self.request.purpose
        return (
            f"experiment {number}" if purpose is Purpose.EXPERIMENT else f"calibration {number} ({purpose})"
        )

    def line(self, now: datetime) -> str:
        """The job in one line: what, which run, and the time left in its budget."""
        request = self.request
        what = self._name()
        if self.record is None or not self.record.runs:
            return f"{what}: preparing"
        run = self.record.runs[-1]
        count = len(request.runs) + len(self.record.runs)
        if run.status is not RunStatus.STARTED:
            return f"{what}: {run.stage}, run {count} scored"
        try:
            spent = (now - datetime.fromisoformat(run.started_at)).total_seconds()
        except (ValueError, TypeError):
            spent = 0.0
        left = request.rules.budget - spent
        time = f"{left:.0f}s left of {format_duration(request.rules.budget)}" if left > 0 else "evaluating"
        return f"{what}: {run.stage}, run {count} ({run.arm}), {time}"


def header(results: Results) -> str:
    """Baseline, best and gain in one line."""
    if results.baseline is None:
        return f"{results.metric}: the baseline is being measured"
    said = f"{results.metric} ({results.goal}): baseline {results.baseline:.5g}, best {results.best:.5g}"
    gain = f" ({results.gain:.4g} better)" if results.gain else ", nothing merged yet"
    return said + gain + (f"; one run varies by sigma = {results.sigma:.3g}" if results.sigma else "")


def table(results: Results) -> Table:
    """All experiments, one a row."""
    shown = Table(
        box=None, pad_edge=False, header_style="bold", expand=True
    )  # else a long hypothesis eats the others
    for name, width in (("#", 2), ("verdict", 12), ("outcome", 10), ("stage", 7)):
        shown.add_column(name, no_wrap=True, min_width=width)
    for name, width in (("runs", 4), ("effect", 10), ("sigma", 6)):
        shown.add_column(name, justify="right", no_wrap=True, min_width=width)
    shown.add_column("hypothesis", overflow="ellipsis", no_wrap=True, ratio=1)
    for row in results.experiments:
        shown.add_row(*_cells(row), style=COLOURS.get(row.verdict, ""))
    return shown


def _cells(row: Row) -> list[Text]:
    effect = "" if row.effect is None else f"{row.effect:+z.4g}"
    sigma = "" if row.effect_sigma is None else f"{row.effect_sigma:+z.1f}"
    cells = [
        str(row.number),
        row.verdict,
        row.outcome,
        row.stage,
        str(row.runs),
        effect,
        sigma,
        row.hypothesis,
    ]
    return [
        Text(cell, overflow="ellipsis") for cell in cells
    ]  # Text is never read as markup: a hypothesis is data


def picture(
    results: Results, progress: Progress | str, notices: list[str], now: datetime, pages: str
) -> Group:
    """The whole screen; `progress` is a job that runs, or what goes on while none does."""
    busy = progress if isinstance(progress, str) else progress.line(now)
    parts = [
        Text(f"watch it at {pages}", style="dim"),
        Text(header(results), style="bold"),
        Text(busy, style="cyan"),
    ]
    parts += [Text(notice, style="yellow") for notice in notices]
    return Group(*parts, table(results))


def tell_end(console: Console, results: Results) -> None:
    """What a run came to: all experiments, and the gain."""
    console.print(table(results))
    console.print(Text(header(results), style="bold"))


def tell(console: Console, words: Mapping[str, str]) -> None:
    """The last words: commands and addresses by what they are for, each in a line to be pasted; empty ones are left out."""
    for label, text in words.items():
        if text:
            console.print(Text(f"{label:<15}{text}"), soft_wrap=True)
