"""The rules of a repository's loops, as ``.github/pawl.yml`` states them.

The models are strict: an unknown key, a wrong type or a path that leaves the repository is an error, never a guess. Reading
them from text, with lines and columns, is the work of `pawl.core.config_file`.
"""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from pawl.core.digest import canonical_json, sha256
from pawl.core.quantities import Bound, parse_duration, parse_size

CONFIG_PATH = ".github/pawl.yml"
WORKFLOW_PATH = ".github/workflows/pawl.yml"
RESERVED_NAMES = frozenset({"ledger", "stop", "main", "traces", "onboarding", "config"})
"""Names that Pawl's own branches, refs and check runs use, so no loop may."""

SELECT = "select"
"""The validation split that screens and confirms."""
SEAL = "seal"
"""The validation split that only the seal looks at."""
PRACTICE = "practice"
"""The split of a task loop's screening runs. It decides nothing, so its trajectories may be shown to the meta-agent."""


def _repository_path(text: str) -> str:
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or "\\" in text or not text.isprintable():
        raise ValueError(
            f"{text!r} is no path inside the repository; write it relative to the top, with / between folders"
        )
    if ".git" in path.parts:
        raise ValueError(f"{text!r} lies in .git, which no loop may name")
    return str(path)


def _private_path(text: str) -> str:
    return _repository_path(text) + ("/" if text.endswith("/") else "")


def _command(text: str) -> str:
    if not text.strip() or "\n" in text or "\x00" in text:
        raise ValueError("a command is one line that is not empty")
    try:
        shlex.split(text)
    except ValueError as error:
        raise ValueError(f"the command cannot be split into words: {error}") from None
    return text


def _branch(text: str) -> str:
    if text.startswith("pawl/"):
        raise ValueError("branches below pawl/ are Pawl's own; name the branch that keeps are merged into")
    return text


def _loop_name(text: str) -> str:
    if text in RESERVED_NAMES:
        raise ValueError(f"{text!r} is no name for a loop: Pawl's own branches or check runs use it")
    return text


def _guard(value: Any) -> Any:
    return value if isinstance(value, Bound) else Bound.parse(value)


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": ["string", "number"], "examples": ["5m", "300s", 300]}),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["200MB", "2GiB"]}),
]
RepositoryPath = Annotated[str, AfterValidator(_repository_path)]
PrivatePath = Annotated[str, AfterValidator(_private_path)]
Command = Annotated[str, AfterValidator(_command)]
Guard = Annotated[
    Bound,
    BeforeValidator(_guard),
    PlainSerializer(lambda bound: bound.text, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["+10%", "-5%", "<=4000", ">=0.9"]}),
]
BranchName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$"), AfterValidator(_branch)]
ModelName = Annotated[str, Field(pattern=r"^(anthropic|openai):[^\s:][^\s]{0,199}$")]
HttpAddress = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$", max_length=300)]
LoopName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$"), AfterValidator(_loop_name)]
FleetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]
RunnerLabel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
LaneCount = Annotated[int, Field(ge=1, le=64)]
HostPath = Annotated[str, Field(pattern=r"^(/|~/|\./)?[^\x00\n:]+$")]
METRIC_NAME = r"^[A-Za-z_][A-Za-z0-9_./-]{0,63}$"
MetricName = Annotated[str, Field(pattern=METRIC_NAME)]


class Rules(BaseModel):
    """Base of every part of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(Rules):
    """The one number that may only move one way."""

    name: MetricName
    goal: Literal["minimize", "maximize"]
    pattern: str | None = Field(
        default=None,
        description="Regular expression whose first group is the metric in the run's own output.",
    )
    range: tuple[FiniteFloat, FiniteFloat] | None = Field(
        default=None,
        description="Values outside it are impossible, and a run that reports one is a violation.",
    )

    @model_validator(mode="after")
    def _check(self) -> Metric:
        if self.pattern is not None:
            try:
                groups = re.compile(self.pattern).groups
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from None
            if groups < 1:
                raise ValueError("pattern needs one group around the number, for example 'loss=([0-9.]+)'")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("range is [smallest, largest], in this order")
        return self

    @property
    def sign(self) -> int:
        """+1 where more is better, -1 where less is."""
        return 1 if self.goal == "maximize" else -1


class Run(Rules):
    """How one run of an arm is started."""

    command: Command | None = None
    cwd: RepositoryPath | None = None
    image: str | None = Field(
        default=None, description="Docker image by digest or name, or a Dockerfile of the base."
    )
    gpus: Annotated[int, Field(ge=0, le=1)] = 0
    cores: Annotated[int, Field(ge=1, le=256)] = 1
    memory: Size = 8 * 2**30


class Predict(Rules):
    """A fresh candidate process that answers the evaluator's questions after the run is dead."""

    command: Command
    carry: tuple[RepositoryPath, ...] = Field(
        default=(), description="Files of the run that it may read, relative to cwd."
    )


class Artifact(Rules):
    """The one file that crosses from the candidate to the evaluator."""

    path: RepositoryPath
    format: Literal["json", "npy", "safetensors", "binary"] = "binary"
    max_bytes: Size = 200 * 10**6


class Evaluate(Rules):
    """Base code that scores the artifact, apart from the candidate."""

    command: Command
    setup: Command | None = None
    private: tuple[PrivatePath, ...] = ()
    data: dict[HostPath, HostPath] = Field(default_factory=dict)


class TaskModel(Rules):
    """The model that a task agent may talk to, by one Unix socket and by nothing else. Exactly one of the two is given."""

    command: Command | None = Field(
        default=None,
        description="Base code that serves the model on the Unix socket PAWL_MODEL_SOCKET, apart from the candidate.",
    )
    address: HttpAddress | None = Field(
        default=None, description="OpenAI-compatible address that the runner reaches without a key."
    )

    @model_validator(mode="after")
    def _check(self) -> TaskModel:
        if (self.command is None) == (self.address is None):
            raise ValueError("a task model is either a command or an address")
        return self


class Tasks(Rules):
    """Makes a loop one over an agent's harness: a run is a block of tasks, and its metric their mean score."""

    trajectories: RepositoryPath | None = Field(
        default=None,
        description="Folder, relative to cwd, where the run leaves one ATIF file for each task, named after the task's id.",
    )
    model: TaskModel | None = None


class Prices(Rules):
    """What a model costs, in US dollars for a million tokens. Wins over the table that Pawl comes with."""

    input: Annotated[FiniteFloat, Field(ge=0)]
    output: Annotated[FiniteFloat, Field(ge=0)]
    cached: Annotated[FiniteFloat, Field(ge=0)] | None = Field(
        default=None, description="Input read from the provider's cache; like other input by default."
    )


class Money(Rules):
    """US dollars that the meta-agent may spend. Nothing is started that could pass one of them."""

    per_proposal: Annotated[FiniteFloat, Field(gt=0)] | None = None
    per_day: Annotated[FiniteFloat, Field(gt=0)] | None = None
    per_month: Annotated[FiniteFloat, Field(gt=0)] | None = None


class Agent(Rules):
    """Who proposes the edits."""

    proposer: Literal["search", "llm", "command"] = "search"
    model: ModelName | None = Field(
        default=None, description="For llm: the provider and its model, like anthropic:claude-sonnet-4-5."
    )
    base_url: HttpAddress | None = Field(
        default=None,
        description="For llm: another address that speaks the provider's language. Whoever runs the App must allow it.",
    )
    command: Command | None = Field(
        default=None, description="For command: a coding agent. Whoever runs the App must allow it."
    )
    pin: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None,
        description="Exact id by which every answering model must name itself, the task agent's included.",
    )
    time: Duration = Field(default=600.0, description="Wall time of one proposal.")
    turns: Annotated[int, Field(ge=1, le=200)] = Field(
        default=24, description="Requests to the model in one proposal."
    )
    context_tokens: Annotated[int, Field(ge=2000, le=2_000_000)] = Field(
        default=40_000, description="Size of what the meta-agent is shown at first."
    )
    answer_tokens: Annotated[int, Field(ge=256, le=200_000)] = Field(
        default=16_000, description="Size of one answer of the model."
    )
    money: Money = Money()
    prices: Prices | None = None

    @model_validator(mode="after")
    def _check(self) -> Agent:
        if (self.proposer == "llm") != (self.model is not None):
            raise ValueError("the proposer llm needs model, and no other proposer has one")
        if (self.proposer == "command") != (self.command is not None):
            raise ValueError("the proposer command needs command, and no other proposer has one")
        if self.base_url is not None and self.proposer != "llm":
            raise ValueError("base_url is for the proposer llm")
        return self


class Limits(Rules):
    """Where a loop stops by itself, and how much it does on one day."""

    experiments: Annotated[int, Field(ge=1)] | None = None
    changed_lines: Annotated[int, Field(ge=1, le=5000)] = 300
    open_pulls: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Pull requests of the loop that may be open at a time."
    )
    merges_per_day: Annotated[int, Field(ge=0)] = Field(
        default=20, description="Keeps that Pawl merges by itself on one day, UTC."
    )
    hours_per_day: Annotated[FiniteFloat, Field(gt=0)] | None = Field(
        default=None, description="Hours of runs on one day, UTC, on all runners together."
    )


class Fleet(Rules):
    """Runners of one kind of machine. What one fleet measures is never compared with what another one does."""

    labels: tuple[RunnerLabel, ...] = Field(
        min_length=1, max_length=20, description="Labels that each of its runners has."
    )
    lanes: LaneCount = 1


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
