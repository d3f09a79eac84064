"""The rules of a repository's loops, as ``.github/pawl.yml`` states them.

The models are strict: an unknown key, a wrong type or a path that leaves the repository is an error, never a guess. Reading
them from text, with lines and columns, is the work of `pawl.core.config_file`.
"""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import Any, Literal

from pydantic import Field, model_validator

from pawl.core.config_parts import (
    Agent,
    Artifact,
    Evaluate,
    Fleet,
    Limits,
    Metric,
    Predict,
    Rules,
    Run,
    Tasks,
)
from pawl.core.config_values import (
    BranchName,
    Command,
    Duration,
    FleetName,
    Guard,
    HostPath,
    LaneCount,
    LoopName,
    MetricName,
    RepositoryPath,
)
from pawl.core.digest import canonical_json, sha256

CONFIG_PATH = ".github/pawl.yml"
WORKFLOW_PATH = ".github/workflows/pawl.yml"
SELECT = "select"
"""The validation split that screens and confirms."""
SEAL = "seal"
"""The validation split that only the seal looks at."""
PRACTICE = "practice"
"""The split of a task loop's screening runs. It decides nothing, so its trajectories may be shown to the meta-agent."""


class Loop(Rules):
    """One optimisation: one editable file, one metric, one budget."""

    edit: RepositoryPath
    metric: Metric
    program: RepositoryPath | None = None
    budget: Duration = 300.0
    grace: Duration = 120.0
    run: Run = Run()
    setup: Command | None = None
    data: dict[HostPath, HostPath] = Field(default_factory=dict)
    predict: Predict | None = None
    artifact: Artifact | None = None
    evaluate: Evaluate | None = None
    tasks: Tasks | None = None
    guards: dict[MetricName, Guard] = Field(default_factory=dict)
    inputs: tuple[str, ...] | None = None
    agent: Agent = Agent()
    branch: BranchName = "main"
    lanes: LaneCount = Field(default=1, description="Runners that measure at the same time.")
    fleets: dict[FleetName, Fleet] = Field(
        default_factory=dict, description="Runners by kind of machine, where there are several kinds."
    )
    merge: Literal["shadow", "review", "auto"] = "review"
    accept: tuple[
        Literal["process-sandbox", "self-reported-metric", "public-repository", "unearned-auto"], ...
    ] = ()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check(self) -> Loop:
        if self.edit.startswith(".github/"):
            raise ValueError("edit lies in .github, which a candidate may never touch")
        if self.edit == self.program_path:
            raise ValueError(
                "edit and program are the same file; the program is for people, the other for candidates"
            )
        if self.evaluate is None and (self.predict or self.artifact):
            raise ValueError("predict and artifact are for an evaluator; add evaluate, or remove them")
        if self.evaluate is not None and self.artifact is None:
            raise ValueError("evaluate needs artifact: the one file of the run that it may see")
        if self.tasks is not None and (self.evaluate is None or self.predict is not None):
            raise ValueError("tasks needs evaluate, which sets and scores them, and goes without predict")
        if self.fleets and self.lanes != 1:
            raise ValueError("where there are fleets, each of them says its own lanes; remove the loop's")
        if self.tasks is not None and self.metric.goal != "maximize":
            raise ValueError("the metric of a loop with tasks is their mean score: its goal is maximize")
        return self

    @property
    def folder(self) -> str:
        """The folder of the editable file; empty for the top of the repository."""
        parent = str(PurePosixPath(self.edit).parent)
        return "" if parent == "." else parent

    @property
    def cwd(self) -> str:
        """Where commands are started, relative to the top of the repository; empty for the top."""
        cwd = self.folder if self.run.cwd is None else self.run.cwd
        return "" if cwd == "." else cwd

    @property
    def program_path(self) -> str:
        """The program: by default ``program.md`` beside the editable file."""
        return self.program or _join(self.folder, "program.md")

    @property
    def command(self) -> str:
        """The run's command: by default the editable file, by ``python``."""
        if self.run.command:
            return self.run.command
        relative = PurePosixPath(self.edit)
        cwd = PurePosixPath(self.cwd)
        return f"python {shlex.quote(str(relative.relative_to(cwd) if relative.is_relative_to(cwd) else relative))}"

    @property
    def sandbox(self) -> Literal["process", "docker"]:
        """An image means a container; without one there is only the process sandbox."""
        return "docker" if self.run.image else "process"

    @property
    def self_reported(self) -> bool:
        """Whether the number comes from the candidate's own output."""
        return self.evaluate is None

    @property
    def splits(self) -> tuple[str, ...]:
        """Validation splits a sealed run is scored on; loops without ``predict`` have one."""
        return (SELECT, SEAL) if self.predict else (SELECT,)

    @property
    def task_agent(self) -> bool:
        """Whether the editable file is an agent's harness, judged by paired differences of tasks."""
        return self.tasks is not None

    @property
    def lanes_by_fleet(self) -> dict[str, int]:
        """Lanes of each fleet. A loop that names no fleet has one without a name."""
        return {name: fleet.lanes for name, fleet in self.fleets.items()} or {"": self.lanes}

    def runner_labels(self, fleet: str) -> tuple[str, ...]:
        """What a fleet's runners are labelled with; empty where the workflow's file says it."""
        return self.fleets[fleet].labels if fleet in self.fleets else ()

    @property
    def input_globs(self) -> tuple[str, ...]:
        """Files that can influence a measurement: the loop's folders, and the image's Dockerfile.

        The editable file is one of them whatever the rules say: a keep is another base. So is what only the evaluator sees.
        """
        if self.inputs is not None:
            return (*self.inputs, self.edit)
        folders = {self.folder, self.cwd}
        globs = {f"{folder}/**" if folder else "**" for folder in folders}
        if self.run.image:
            globs.add(self.run.image)
        for path in self.evaluate.private if self.evaluate else ():
            globs |= {path.rstrip("/"), f"{path.rstrip('/')}/**"}
        return tuple(sorted(globs))

    @property
    def ignored_globs(self) -> tuple[str, ...]:
        """Files among the inputs that cannot: what people change while the loop runs."""
        return (self.program_path, ".github/**") if self.inputs is None else (self.program_path,)

    @property
    def rules_digest(self) -> str:
        """Digest of everything in these rules that a measurement depends on."""
        fields = {
            "edit",
            "metric",
            "budget",
            "grace",
            "run",
            "setup",
            "data",
            "predict",
            "artifact",
            "evaluate",
            "tasks",
            "guards",
        }
        return sha256(canonical_json(self.model_dump(mode="json", include=fields)))

    @property
    def policy_digest(self) -> str:
        """Digest of these rules as a whole: names the policy under which somebody acted."""
        return sha256(canonical_json(self.model_dump(mode="json")))

    def private_globs(self, paths: frozenset[str]) -> tuple[str, ...]:
        """What is never where the candidate runs: declared private paths, the evaluator's own files and the task model's.

        Args:
            paths: every file of the base's tree; a word of such a command that names one of them is its file.
        """
        if self.evaluate is None:
            return ()
        commands = [self.evaluate.command]
        if self.tasks is not None and self.tasks.model is not None and self.tasks.model.command is not None:
            commands.append(self.tasks.model.command)
        words = (_join(self.cwd, word) for command in commands for word in shlex.split(command))
        own = tuple(word for word in words if word in paths and word != self.edit)
        declared = tuple(f"{path.rstrip('/')}/**" for path in self.evaluate.private)
        exact = tuple(path.rstrip("/") for path in self.evaluate.private)
        return (*declared, *exact, *own)


class Config(Rules):
    """All loops of a repository."""

    version: Literal[1] = 1
    loops: dict[LoopName, Loop] = Field(min_length=1)


def config_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors and for docs/configuration.md."""
    schema = Config.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Pawl's configuration, .github/pawl.yml",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _join(folder: str, name: str) -> str:
    return str(PurePosixPath(folder) / name) if folder else str(PurePosixPath(name))
