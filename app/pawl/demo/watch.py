"""How far a local run has come."""

from __future__ import annotations

from collections.abc import Iterator

from pawl.commands.history import HistoryError, read_histories
from pawl.core.ledger import AnyLine, OutcomeLine, VerdictLine
from pawl.core.measurement import Record, Request
from pawl.demo.plan import Plan
from pawl.demo.results import Results, results
from pawl.demo.screen import Progress
from pawl.demo.town import Town

AT_REST = 8
"""Times in a row that there is nothing to do before a run is over."""


class Watch:
    """Reads how far a run has come: from the ledger as anyone could, and from the record that is being written."""

    def __init__(self, town: Town, plan: Plan) -> None:
        self._town, self._plan = town, plan
        self._folder = town.git_folder(plan.name)
        self._commit = ""
        self._lines: tuple[AnyLine, ...] = ()
        self._requests: dict[int, int] = {}
        self._counted = 0
        self._rest = 0

    def over(self) -> bool:
        """Whether there has been nothing to do for a while: all experiments concluded, or no way forward."""
        self.read()
        town = self._town
        idle = town.runner.running is None and town.at_rest() and town.hub.wait_idle(0)
        judged = {line.experiment for line in self._lines if isinstance(line, VerdictLine)}
        done = len(judged) >= self._plan.terms.experiments
        self._rest = self._rest + 1 if idle and (done or self.notices()) else 0
        return self._rest >= AT_REST

    def _ended(self) -> set[int]:
        """Experiments that are over: with a verdict, or superseded before one."""
        return {line.experiment for line in self._lines if isinstance(line, (VerdictLine, OutcomeLine))}

    def complete(self) -> bool:
        """Whether as many experiments are over as were asked for."""
        return len(self._ended()) >= self._plan.terms.experiments

    def read(self) -> None:
        """Look at the ledger."""
        commit = self._town.ledger_commit(self._plan.name)
        if commit == self._commit:
            return
        try:
            found = read_histories(self._folder, self._plan.loop, commit)[0].lines
        except HistoryError:
            return  # no verdict and no calibration yet
        self._commit = commit
        for line in found[len(self._lines) :]:
            if isinstance(line, VerdictLine):
                total = self._town.hub.api_requests(self._plan.name)
                number = line.experiment
                self._requests[number] = self._requests.get(number, 0) + total - self._counted
                self._counted = total
            else:
                self._counted = self._counted or self._town.hub.api_requests(self._plan.name)
        self._lines = found

    def results(self, pages: str) -> Results:
        """What the run has come to so far."""
        return results(self._lines, self._plan.rules.metric, pages, self._requests)

    def progress(self) -> Progress | None:
        """The job that runs now."""
        running = self._town.runner.running
        if running is None:
            return None
        request = Request.model_validate_json(running.request)
        try:
            text = (running.out / "record.json").read_text(encoding="utf-8")
            return Progress(request, Record.model_validate_json(text))
        except (OSError, ValueError):
            return Progress(request, None)

    def notices(self) -> list[str]:
        """Why nothing happens, as the App's last look saw it."""
        return list(self._town.notices(self._plan.name, self._plan.loop))

    def idle(self) -> str:
        """What goes on while no job runs."""
        return "waiting for an edit" if self._town.thinking() else "waiting for the next job"

    def news(self, progress: Progress | None) -> Iterator[str]:
        """Lines for a log: what was concluded last, what runs, and why nothing happens."""
        found = self.results("").experiments
        last = f"{len(self._ended())} of {self._plan.terms.experiments} concluded"
        if found:
            last += f", last: experiment {found[-1].number} {found[-1].verdict}"
        if self.complete():
            yield last
            return
        yield f"{last}; {progress.brief() if progress else self.idle()}"
        yield from self.notices()
