"""One run of a loop over an agent's harness: a block of tasks is set, the agent works, dies, and is scored."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pawl.core.config import SELECT
from pawl.core.measurement import Stage, splits_of
from pawl.lab import trajectories
from pawl.lab.device import GpuMeter
from pawl.lab.running import Running
from pawl.lab.sandbox import Ended, Folder, Mount
from pawl.lab.task_model import Reached, task_model


@dataclass
class TaskRun(Running):
    """One run being made. `measure` may be called once."""

    trajectories: dict[str, str] = field(default_factory=dict)
    """What the agent did, by the names of practice tasks; empty for any other split."""

    def _measure(self) -> dict[str, float]:
        bench = self.bench
        (split,) = splits_of(bench.rules, self.run.stage)
        questions = self._ask(split)
        before = self.clock()
        with bench.folder("run", self.content, private=False) as folder:
            self.seconds["tree"] = self.clock() - before
            # A copy: the evaluator gets the questions it asked, whatever becomes of these.
            inputs = Mount(folder.top / "inputs", "/pawl/inputs")
            shutil.copytree(questions.host, inputs.host, symlinks=True)
            with task_model(bench, self.run.seed) as model:
                ended = self._work(folder, inputs, model)
            # Only now: an agent that crashed because its model was not there has not been measured.
            self._require_success(ended)
            if bench.request.cheat:
                self._hear(ended)  # agents print what they like; a planted cheat says whether it found a way
            self._take(folder, SELECT)
            answer = self._judge(split, SELECT, {"PAWL_INPUTS": questions})
            self.changes["tasks"] = answer.tasks
            rules = bench.rules.tasks
            if self.run.stage is Stage.SCREEN and rules is not None and rules.trajectories is not None:
                path = str(PurePosixPath(bench.rules.cwd) / rules.trajectories)
                self.trajectories = trajectories.taken(folder.tree, path, answer.ids, self.kept)
        assert answer.metric is not None
        return {split: answer.metric}

    def _work(self, folder: Folder, inputs: Mount, model: Reached | None) -> Ended:
        """The agent's own time. It is not told the split: it would be another agent where it counts."""
        bench = self.bench
        job = bench.task_job(folder, bench.variables(self.run.seed, SELECT), inputs, model)
        with GpuMeter(bench.gpu) as meter:
            ended = bench.sandbox.run(job)
        self._note(ended, meter)
        if model is not None:
            self.changes["models"] = tuple(sorted(model.notes.models))
            self.telemetry |= model.notes.telemetry
        return ended
