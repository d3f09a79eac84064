"""The parts that a loop's rules are made of."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from pawl.core.config_values import (
    Command,
    Duration,
    HostPath,
    HttpAddress,
    LaneCount,
    MetricName,
    ModelName,
    PrivatePath,
    RepositoryPath,
    RunnerLabel,
    Size,
)


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

    @property
    def reads(self) -> bool:
        """Whether it reads words: the program, directions, ideas. ``search`` turns numbers."""
        return self.proposer != "search"


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
