"""Proposals as a file: what a job with a model's key hands to one with a write token, which believes nothing in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, ValidationError

from pawl.control.thinking import Thought
from pawl.core.config_values import LoopName
from pawl.core.edit import MAX_BYTES, Edit
from pawl.core.measurement import Sha, Strict
from pawl.meta.atif import Trajectory
from pawl.meta.proposer import Proposal, Spend

LONGEST = 4000
"""Characters of a sentence in it."""

Sentence = Annotated[str, Field(max_length=LONGEST)]
Name = Annotated[str, Field(max_length=200)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class BadProposal(Exception):
    """A file that holds no proposals; the text says why, for a person."""


class EditFile(Strict):
    """An edit (`pawl.core.edit.Edit`). Whether it may be made is checked again where it is opened."""

    content: Annotated[str, Field(max_length=MAX_BYTES)]
    hypothesis: Sentence
    proposer: Name
    predicted: FiniteFloat | None = None
    parameters: Annotated[dict[Name, FiniteFloat], Field(max_length=1000)] = Field(default_factory=dict)


class SpendFile(Strict):
    """What a proposal cost (`pawl.meta.proposer.Spend`)."""

    models: Annotated[tuple[Name, ...], Field(max_length=8)] = ()
    requests: Count = 0
    tokens_in: Count = 0
    tokens_cached: Count = 0
    tokens_out: Count = 0
    money: Annotated[FiniteFloat, Field(ge=0)] | None = None
    seconds: Annotated[FiniteFloat, Field(ge=0)] = 0.0


class ThoughtFile(Strict):
    """What came of asking one loop's proposer."""

    loop: LoopName
    number: Annotated[int, Field(ge=1, le=10**9)]
    base: Sha
    seen: Count = 0
    edit: EditFile | None = None
    reason: Sentence = ""
    trace: Trajectory | None = None
    spend: SpendFile = SpendFile()
    notes: Annotated[tuple[Sentence, ...], Field(max_length=50)] = ()
    halt: Sentence = ""
    rests: bool = True

    def thought(self) -> Thought:
        """The same as the loop takes it."""
        edit = Edit(**self.edit.model_dump()) if self.edit is not None else None
        proposal = Proposal(
            edit=edit,
            reason=self.reason or ("" if edit else "the proposer gave neither an edit nor a reason"),
            trace=self.trace,
            spend=Spend(**self.spend.model_dump()),
            notes=self.notes,
            halt=self.halt,
            rests=self.rests,
        )
        return Thought(self.number, self.base, proposal, self.seen)


class Handover(Strict):
    """Every proposal of one job."""

    version: Literal[1] = 1
    repository: Name
    proposals: Annotated[tuple[ThoughtFile, ...], Field(max_length=64)] = ()


def write_handover(repository: str, thoughts: list[tuple[str, Thought]]) -> str:
    """The file's text.

    Args:
        repository: ``owner/name``.
        thoughts: each with its loop.
    """
    proposals = tuple(_written(loop, thought) for loop, thought in thoughts)
    return Handover(repository=repository, proposals=proposals).model_dump_json(exclude_none=True)


def read_handover(text: str, repository: str) -> list[tuple[str, Thought]]:
    """The thoughts in a file, each with its loop.

    Raises:
        BadProposal: it is no such file, or one of another repository.
    """
    try:
        found = Handover.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadProposal(f"it is no file of proposals ({place or 'top'}: {first['msg']})") from None
    if found.repository.lower() != repository.lower():
        raise BadProposal(f"it holds proposals for {found.repository!r}, not for {repository}")
    return [(item.loop, item.thought()) for item in found.proposals]


def _written(loop: str, thought: Thought) -> ThoughtFile:
    proposal, edit = thought.proposal, thought.edit
    return ThoughtFile(
        loop=loop,
        number=thought.number,
        base=thought.base,
        seen=thought.seen,
        edit=EditFile(
            content=edit.content,
            hypothesis=edit.hypothesis[:LONGEST],
            proposer=edit.proposer,
            predicted=edit.predicted,
            parameters=dict(edit.parameters),
        )
        if edit is not None
        else None,
        reason=proposal.reason[:LONGEST],
        trace=proposal.trace,
        spend=SpendFile(**{name: getattr(proposal.spend, name) for name in SpendFile.model_fields}),
        notes=tuple(note[:LONGEST] for note in proposal.notes[:50]),
        halt=proposal.halt[:LONGEST],
        rests=proposal.rests,
    )
