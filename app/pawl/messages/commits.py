"""Messages of the two kinds of commits Pawl makes: a candidate's, and the final one that becomes the base."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pawl.core.config_parts import Metric
from pawl.core.digest import canonical_json
from pawl.core.edit import Edit
from pawl.core.ledger import VerdictLine
from pawl.messages.figures import effect_words, sealed_means
from pawl.messages.quoting import clean, message_line, one_line

SKIP = "[skip ci]"
"""What keeps the repository's other workflows off a commit; only commits without it are final."""
SUBJECT = 68
"""Characters of a subject or title."""
HYPOTHESIS = 4000
"""Characters of a hypothesis that a commit carries."""
PARAMETERS = 64
"""Parameters that are read back from a commit."""
MODELS, MODEL = 8, 200
"""Models that a commit names, and characters of a model's id."""
_READ = 64 * 1024
_TRAILER = re.compile(r"(Pawl-[A-Za-z-]+):[ \t]*(.*)")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/+-]*")
_SIGN = re.compile(r"[^A-Za-z0-9._]")


@dataclass(frozen=True)
class EditNotes:
    """What a candidate's commit says about its edit. Anybody may have written it."""

    hypothesis: str = ""
    proposer: str = ""
    predicted: float | None = None
    parameters: dict[str, float] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    """Exact ids of the models that proposed it."""
    names: tuple[str, str] = ("", "")
    """The loop and the experiment's number that it names as its own."""


def edit_commit(loop: str, number: int, edit: Edit, models: Sequence[str] = ()) -> str:
    """The message of a candidate's commit.

    ``[skip ci]`` keeps the repository's other workflows from running machine-written code with their secrets.

    Args:
        loop: the loop's name.
        number: the experiment's number.
        edit: what is proposed.
        models: exact ids by which the models that proposed it named themselves.
    """
    subject = message_line(edit.hypothesis, SUBJECT) or f"Experiment {number} of {loop}"
    quoted = [f"> {line}".rstrip() for line in _hypothesis_lines(edit.hypothesis)]
    trailers = [f"Pawl-Loop: {loop}", f"Pawl-Experiment: {number}"]
    if proposer := message_line(edit.proposer, 100):
        trailers.append(f"Pawl-Proposer: {proposer}")
    trailers += [f"Pawl-Model: {_written(model)}" for model in models[:MODELS] if one_line(model)]
    if edit.predicted is not None and math.isfinite(edit.predicted):
        trailers.append(f"Pawl-Predicted: {float(edit.predicted)!r}")
    if parameters := _finite(edit.parameters):
        trailers.append(f"Pawl-Parameters: {canonical_json(parameters)}")
    blocks = [subject, *(["\n".join(quoted)] if quoted else []), SKIP, "\n".join(trailers)]
    return "\n\n".join(blocks) + "\n"


def read_edit_commit(message: str) -> EditNotes:
    """What `edit_commit` put in, or as much of it as a message by anybody else holds. Never raises."""
    lines = message[:_READ].splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    trailers: dict[str, str] = {}
    models: list[str] = []
    while lines and lines[-1].strip():
        if found := _TRAILER.fullmatch(lines.pop().strip()):
            trailers.setdefault(found[1], found[2].strip())  # from the end, so the last one counts
            if found[1] == "Pawl-Model" and (model := _model(found[2].strip())):
                models.insert(0, model)
    quoted = [line[1:].removeprefix(" ") for line in lines if line.startswith(">")]
    if not quoted:
        # Written by a person: everything but the trailers.
        quoted = [line for line in message[:_READ].splitlines() if not _TRAILER.fullmatch(line.strip())]
        quoted = [line for line in quoted if line.strip() != SKIP]
    return EditNotes(
        hypothesis=clean("\n".join(quoted)).strip()[:HYPOTHESIS],
        proposer=clean(trailers.get("Pawl-Proposer", ""))[:100],
        predicted=_number(trailers.get("Pawl-Predicted", "")),
        parameters=_parameters(trailers.get("Pawl-Parameters", "")),
        models=tuple(models[:MODELS]),
        names=(trailers.get("Pawl-Loop", ""), trailers.get("Pawl-Experiment", "")),
    )


def asked_commit(loop: str, number: int, pull: int) -> str:
    """The message of the commit that a pull request becomes where a person has asked for it whatever it measured.

    It holds nothing of the head's own message, which keeps the repository's workflows from running.
    """
    trailers = f"Pawl-Loop: {loop}\nPawl-Experiment: {number}\nPawl-Pull-Request: {pull}"
    return f"{loop}: experiment {number}, merged because a person asked for it (#{pull})\n\n{trailers}\n"


def final_commit(loop: str, line: VerdictLine, metric: Metric) -> str:
    """The message of the commit that becomes the base.

    It holds nothing that would keep the repository's workflows from running, wherever its foreign text came from.
    """
    effect = line.effect or 0.0
    delta = effect_words(metric, effect)
    means = sealed_means(line)
    values = f"{means[0]:.6g} to {means[1]:.6g}, " if means else ""
    blocks = [f"{loop}: {metric.name} {values}{delta} (#{line.pull})"]
    if quoted := [f"> {part}".rstrip() for part in _hypothesis_lines(line.hypothesis)]:
        blocks.append("\n".join(quoted))
    trailers = {
        "Pawl-Loop": loop,
        "Pawl-Experiment": str(line.experiment),
        "Pawl-Pull-Request": str(line.pull),
        "Pawl-Effect": f"{effect:.6g}",
        "Pawl-Sigma": f"{line.sigma:.6g}",
        "Pawl-Runs": str(len(line.runs)),
        "Pawl-Record": line.record or "none",
        "Pawl-Content": line.content,
    }
    blocks.append("\n".join(f"{name}: {value}" for name, value in trailers.items()))
    return "\n\n".join(blocks) + "\n"


def _hypothesis_lines(hypothesis: str) -> list[str]:
    """Each line by itself, so that nothing in it can be read as a trailer; empty for an empty hypothesis."""
    lines = clean(hypothesis[:HYPOTHESIS]).strip().split("\n")
    return [message_line(line, 400) for line in lines] if any(lines) else []


def _written(model: str) -> str:
    """A model's id to the letter: what GitHub could take for a mention or a reference is escaped, as in JSON."""
    model = one_line(model, MODEL)
    if _PLAIN.fullmatch(model) and message_line(model, MODEL) == model:
        return model
    return f'"{_SIGN.sub(lambda sign: _escaped(sign[0]), model)}"'


def _escaped(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _model(text: str) -> str:
    if text.startswith('"'):
        try:
            text = str(json.loads(text))
        except (ValueError, RecursionError):
            return ""
    return one_line(text, MODEL)


def _finite(values: Any) -> dict[str, float]:
    """Names of sensible length with finite numbers; all else is left out."""
    if not hasattr(values, "items"):
        return {}
    out: dict[str, float] = {}
    for name, value in list(values.items())[:PARAMETERS]:
        if not isinstance(name, str) or not 0 < len(name) <= 100 or isinstance(value, bool):
            continue
        if isinstance(value, (int, float)) and (number := _number(value)) is not None:
            out[message_line(name, 100)] = number
    return out


def _number(value: str | float) -> float | None:
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _parameters(text: str) -> dict[str, float]:
    try:
        return _finite(json.loads(text)) if text else {}
    except (ValueError, RecursionError):
        return {}
