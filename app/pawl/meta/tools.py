"""What a model may do while it thinks: read the base and the history, check an edit, submit one. All of it is bounded."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pawl.meta.checking import Block, DoesNotApply, apply_blocks, check_edit, laid_out
from pawl.meta.history import failure_text
from pawl.meta.proposer import Context, Library, NotThere, Tried
from pawl.meta.quoted import line, quote

SHOWN = 6000
"""Characters of one answer."""
FOUND = 20
"""Experiments that one search shows."""
LINES = 400


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="ignore")


class ReadFile(_Arguments):
    """Read a file of the present version, from a line on. Without a path: the list of all files."""

    path: str = ""
    from_line: Annotated[int, Field(ge=1)] = 1


class SearchLedger(_Arguments):
    """Find concluded experiments by words of their hypothesis, verdict or reason. The newest come first among equals."""

    query: str


class ReadExperiment(_Arguments):
    """Read what is kept of one concluded experiment: its verdict, its diff and why it failed."""

    number: int


class ReadLog(_Arguments):
    """Read the end of an experiment's own output."""

    number: int


class ReadTrace(_Arguments):
    """Read what an agent did: the task agent in one practice task, or whoever proposed the experiment.

    Without a task: the list of them.
    """

    number: int
    task: str = ""


class BlockOf(_Arguments):
    """A passage of the file as it is now, which is there exactly once, and what is to stand in its place."""

    search: str
    replace: str


class CheckEdit(_Arguments):
    """See whether an edit could be proposed: whether it applies, keeps the rules and is new. Costs nothing."""

    blocks: list[BlockOf] = Field(default_factory=list, max_length=64)
    whole_file: str | None = None


class Submit(CheckEdit):
    """Propose an edit, either by blocks or as the whole new file. This ends your turn if it is accepted."""

    hypothesis: str = Field(description="What changes and why it should help, in a few sentences.")
    predicted_effect: float | None = Field(
        default=None,
        description="Expected change of the metric in its own unit, positive where it gets better.",
    )


TOOLS: Mapping[str, type[_Arguments]] = {
    "read_file": ReadFile,
    "search_ledger": SearchLedger,
    "read_experiment": ReadExperiment,
    "read_log": ReadLog,
    "read_trace": ReadTrace,
    "check_edit": CheckEdit,
    "submit": Submit,
}


def schema_of(arguments: type[BaseModel]) -> dict[str, Any]:
    """The arguments' JSON Schema, without references."""
    schema = arguments.model_json_schema()
    definitions = schema.pop("$defs", {})
    text = json.dumps(schema)
    for name, definition in definitions.items():
        text = text.replace(json.dumps({"$ref": f"#/$defs/{name}"}), json.dumps(definition))
    found: dict[str, Any] = json.loads(text)
    return found


def parse(name: str, arguments: Mapping[str, Any]) -> _Arguments:
    """A call's arguments.

    Raises:
        DoesNotApply: there is no such tool, or it cannot be called like this; the text tells the model what is wrong.
    """
    if name not in TOOLS:
        raise DoesNotApply(f"there is no tool {line(name, 60)}; there are {', '.join(TOOLS)}")
    try:
        return TOOLS[name].model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise DoesNotApply(f"{name} cannot be called like this: {place}: {first['msg']}") from None


def content_of(context: Context, edit: CheckEdit) -> str:
    """The file as an edit would make it.

    Raises:
        DoesNotApply: it does not apply, or may not be made.
    """
    # Models fill in what they do not mean: an empty file is none.
    if bool(edit.whole_file) == bool(edit.blocks):
        raise DoesNotApply("give either blocks or whole_file, and not both")
    if edit.whole_file:
        content = laid_out(context.source, edit.whole_file)
        if context.source.endswith("\n") and not content.endswith("\n"):
            content += laid_out(context.source, "\n")
    else:
        content = apply_blocks(context.source, [Block(block.search, block.replace) for block in edit.blocks])
    found = check_edit(context, content)
    if found:
        raise DoesNotApply("; ".join(found[:5]))
    return content


def answer(context: Context, call: _Arguments) -> str:
    """What a tool says to a call. Whatever is missing or forbidden is said, never raised."""
    try:
        return _answer(context, call)
    except (NotThere, DoesNotApply) as error:
        return str(error)
    except Exception as error:
        return f"this cannot be read now ({type(error).__name__})"


def _answer(context: Context, call: _Arguments) -> str:
    match call:
        case ReadFile():
            return _file(context, call)
        case SearchLedger():
            return _search(context, call.query)
        case ReadExperiment():
            return _experiment(context, call.number)
        case ReadLog():
            return quote(f"log of experiment {call.number}", _library(context).detail(call.number).log, SHOWN)
        case ReadTrace():
            return _trace(context, call)
        case CheckEdit():
            content_of(context, call)
            return "This edit could be proposed."
    raise DoesNotApply("there is no such tool")


def _library(context: Context) -> Library:
    if context.library is None:
        raise NotThere("there is nothing to read here")
    return context.library


def _file(context: Context, call: ReadFile) -> str:
    if not call.path:
        return quote("files", "\n".join(_library(context).paths()), SHOWN)
    if call.path == context.rules.edit:
        text = context.source
    else:
        text = _library(context).file(call.path).decode("utf-8", errors="replace")
    lines = text.splitlines(keepends=True)
    shown = "".join(lines[call.from_line - 1 : call.from_line - 1 + LINES])
    last = min(len(lines), call.from_line - 1 + LINES)
    return quote(f"{line(call.path, 100)} from line {call.from_line}, of {len(lines)}", shown, 4 * SHOWN) + (
        f"\nIt goes on at line {last + 1}." if last < len(lines) else ""
    )


def _search(context: Context, query: str) -> str:
    words = [word for word in re.findall(r"\w+", query.lower())[:20] if len(word) > 1]
    if not words:
        return "Search for one word or more."
    scored: list[tuple[int, int, Tried]] = []
    for tried in context.tried:
        counts = Counter(re.findall(r"\w+", f"{tried.hypothesis} {tried.verdict} {tried.reason}".lower()))
        score = sum(bool(counts[word]) for word in words)
        if score:
            scored.append((score, tried.number, tried))
    scored.sort(key=lambda item: item[:2], reverse=True)
    told = [f"- {_told(tried)}" for _, _, tried in scored[:FOUND]]
    more = f"\n{len(scored) - FOUND} more." if len(scored) > FOUND else ""
    return ("\n".join(told) + more) if told else "No experiment has any of these words."


def _told(tried: Tried) -> str:
    gain = f", {tried.gain:+g} sigma" if tried.gain is not None else ""
    return f"{tried.number}: {tried.verdict}{gain}: {line(tried.hypothesis)}"


def _experiment(context: Context, number: int) -> str:
    tried = next((each for each in context.tried if each.number == number), None)
    if tried is None:
        raise NotThere(f"experiment {number} is not concluded, or there is none")
    parts = [_told(tried), f"Why: {line(tried.reason, 400)}"]
    try:
        detail = _library(context).detail(number)
    except NotThere as reason:
        return "\n".join([*parts, f"Nothing else can be read of it: {reason}"])
    if detail.failure is not None:
        parts.append(failure_text(detail.failure))
    if detail.tasks:
        rows = [
            f"{line(name, 40)}: {before:g} -> {after:g}" for name, (before, after) in detail.tasks.items()
        ]
        parts.append("Practice tasks, before and after:\n" + "\n".join(rows[:60]))
    parts.append(quote(f"diff of experiment {number}", detail.diff, SHOWN))
    return "\n".join(parts)


def _trace(context: Context, call: ReadTrace) -> str:
    library = _library(context)
    if call.task == "proposal":
        return quote(f"how experiment {call.number} was proposed", library.trace(call.number), 2 * SHOWN)
    traces = library.trajectories(call.number)
    if call.task in traces:
        return quote(f"trajectory {line(call.task, 80)}", traces[call.task], 2 * SHOWN)
    listed = "\n".join(sorted(traces)) or "(no trajectories)"
    return quote("tasks of this experiment; `proposal` is how it was proposed", listed, SHOWN)
