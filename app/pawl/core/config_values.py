"""What a single value of the rules may be: paths that stay inside the repository, names, durations, bounds."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from pawl.core.quantities import Bound, parse_duration, parse_size

RESERVED_NAMES = frozenset({"ledger", "stop", "main", "traces", "onboarding", "config"})
"""Names that Pawl's own branches, refs and check runs use, so no loop may."""


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
MODEL_NAME = r"^(anthropic|openai):[^\s:][^\s]{0,199}$"
ModelName = Annotated[str, Field(pattern=MODEL_NAME)]
HttpAddress = Annotated[str, Field(pattern=r"^https?://[^\s/?#@]+(/[^\s?#@]*)?$", max_length=300)]
SHORT_NAME = r"^[a-z0-9][a-z0-9-]{0,38}$"
LoopName = Annotated[str, Field(pattern=SHORT_NAME), AfterValidator(_loop_name)]
FleetName = Annotated[str, Field(pattern=SHORT_NAME)]
RunnerLabel = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
LaneCount = Annotated[int, Field(ge=1, le=64)]
HostPath = Annotated[str, Field(pattern=r"^(/|~/|\./)?[^\x00\n:]+$")]
METRIC_NAME = r"^[A-Za-z_][A-Za-z0-9_./-]{0,63}$"
MetricName = Annotated[str, Field(pattern=METRIC_NAME)]
IN_WORDS = {
    MODEL_NAME: "write anthropic: or openai:, and the name that the provider gives the model",
    SHORT_NAME: "write lower-case letters, digits and dashes, 39 at most",
    METRIC_NAME: "write letters, digits and _ . / -, 64 at most, with a letter first",
}
"""What the patterns that people meet most often ask for."""
