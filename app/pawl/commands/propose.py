"""`pawl propose`: the edits that a repository's loops are ready for, written to a file and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from pawl.commands.step import Round, StepError, signed_in_for
from pawl.control.desk import OrderBook
from pawl.control.handover import write_handover
from pawl.control.library import library_of
from pawl.control.loops import RepositoryLoops
from pawl.control.signing_in import SignedIn
from pawl.control.thinking import Thinker, Thought, think
from pawl.core.config_file import ConfigError
from pawl.github.act import Actor
from pawl.github.errors import GitHubError, Unobservable
from pawl.github.view import RepositoryView
from pawl.meta.registry import proposer_for


def propose(signed_in: SignedIn, round_: Round) -> tuple[list[tuple[str, Thought]], list[str]]:
    """Ask the proposers of all loops, or of one, for what is wanted now. Reads GitHub, and writes nothing to it.

    Gives the thoughts, each with its loop, and why other loops were not asked, in sentences.

    Raises:
        StepError: the repository cannot be looked at.
    """
    from concurrent.futures import ThreadPoolExecutor

    view = RepositoryView(signed_in.client)
    thoughts: list[tuple[str, Thought]] = []
    notes: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        desk = OrderBook(Thinker(executor, lambda: None), signed_in.means)
        loops = RepositoryLoops(view, Actor(view), desk, signed_in.seed_key, lambda: datetime.now(UTC))
        try:
            found = loops.rules(round_.loop)
            if round_.loop is not None and not found:
                raise StepError(f"{round_.repository} has no loop named {round_.loop!r}")
            for loop, rules in found.items():
                try:
                    snapshot, numbers = loops.wanted(loop, rules)
                except Unobservable as problem:
                    notes.append(f"{loop}: {problem}")
                    continue
                if not numbers:
                    notes.append(f"{loop}: no proposal is wanted now")
                for number in numbers:
                    proposer = proposer_for(rules, signed_in.means)
                    library = library_of(view, snapshot) if proposer.reads else None
                    thoughts.append((loop, think(proposer, snapshot, number, library, datetime.now(UTC))))
        except (ConfigError, GitHubError) as error:
            raise StepError(error) from error
    return thoughts, notes


def run_propose(environment: Mapping[str, str], round_: Round, out: Path) -> int:
    """Write what is proposed to a file, and say what that is."""
    thoughts, notes = propose(signed_in_for(environment, round_, seeded=False), round_)
    write(out, round_.repository, thoughts)
    for sentence in (*notes, *map(said, thoughts)):
        print(sentence)  # noqa: T201
    return 0


def write(out: Path, repository: str, thoughts: list[tuple[str, Thought]]) -> None:
    """Write a file of proposals.

    Raises:
        StepError: it cannot be written.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(write_handover(repository, thoughts), encoding="utf-8")
    except OSError as error:
        raise StepError(f"{out} cannot be written: {error.strerror}") from None


def said(thought: tuple[str, Thought]) -> str:
    """One proposal in a line."""
    loop, made = thought
    if made.edit is None:
        return f"{loop}: no edit for experiment {made.number}: {made.reason}"
    return f"{loop}: an edit for experiment {made.number}: {made.edit.hypothesis}"
