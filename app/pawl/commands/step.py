"""`pawl step`: one look by hand, without a server."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

from pawl.commands.logs import log_as_json
from pawl.control.desk import Desk, OrderBook
from pawl.control.errors import SettingsError
from pawl.control.handover import BadProposal, read_handover
from pawl.control.library import library_of
from pawl.control.loops import Looked, RepositoryLoops
from pawl.control.signing_in import SignedIn, sign_in
from pawl.control.thinking import Thinker
from pawl.core.config import CONFIG_PATH
from pawl.core.config_file import ConfigError
from pawl.core.digest import sha256
from pawl.github.act import Actor
from pawl.github.artifacts import PROPOSAL_LIMIT
from pawl.github.errors import GitHubError, Unobservable
from pawl.github.view import RepositoryView
from pawl.messages.steps import action_words

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


class StepError(Exception):
    """The round could not be run; the text says why, and what to do."""


@dataclass(frozen=True)
class Round:
    """What one call of the command is to look at."""

    repository: str
    """``owner/name``."""
    loop: str | None = None
    """Only this one."""
    dry_run: bool = False
    api: str | None = None


def run_step(environment: Mapping[str, str], round_: Round, as_json: bool, proposal: Path | None) -> int:
    """Look at a repository's loops once and print what was done, or would be.

    Args:
        environment: who signs in.
        round_: what is looked at.
        as_json: print the actions as JSON.
        proposal: a file that `pawl propose` has written. With it nothing is proposed here.
    """
    log_as_json(sys.stderr)
    signed_in = signed_in_for(environment, round_)
    try:
        with ThreadPoolExecutor(1) as executor:
            thinker = Thinker(executor, lambda: None)
            view = RepositoryView(signed_in.client)
            if proposal is not None:
                loops = _loops(round_, signed_in, view, OrderBook(thinker))
                for sentence in take_handover(loops, _read(proposal), round_.dry_run):
                    typer.echo(sentence)
            else:
                desk = Desk(thinker, signed_in.means, lambda snapshot: library_of(view, snapshot))
                loops = _loops(round_, signed_in, view, desk)
            looked = _dry(loops, round_.loop) if round_.dry_run else loops.look_until_rest(round_.loop)
            if round_.loop is None and view.config() is None:
                typer.echo(no_loops(round_.repository), err=True)
    except (ConfigError, Unobservable, GitHubError) as error:
        raise StepError(error) from None
    if round_.loop is not None and not looked:
        raise StepError(f"{round_.repository} has no loop named {round_.loop!r}")
    if as_json:
        typer.echo(json.dumps([_as_json(item, round_.dry_run) for item in looked], indent=2))
    else:
        for item in looked:
            for line in told(item, round_.dry_run):
                typer.echo(line)
    return 1 if any(item.problem for item in looked) else 0


@dataclass(frozen=True)
class Stepped:
    """What a step within a job has done."""

    looked: list[Looked]
    wanted: tuple[tuple[str, int], ...] = ()
    """Loop and number of every proposal that another job should make now."""
    notes: tuple[str, ...] = ()
    """Why proposals were not taken, in sentences."""


@dataclass(frozen=True)
class Job:
    """What a step within a job knows of its own workflow run."""

    ended: Mapping[int, str] = field(default_factory=dict)
    """As of `RepositoryView`."""
    proposals: str = ""
    """What the run's other job proposed, as `pawl propose` writes it; empty where there was none."""


def step_in_job(signed_in: SignedIn, round_: Round, job: Job) -> Stepped:
    """Look until nothing changes, with proposals that another job has made, and make none.

    Raises:
        StepError: the round could not be run.
    """
    try:
        with ThreadPoolExecutor(1) as executor:
            book = OrderBook(Thinker(executor, lambda: None))
            view = RepositoryView(signed_in.client, ended=job.ended)
            loops = _loops(round_, signed_in, view, book)
            notes = take_handover(loops, job.proposals) if job.proposals else []
            book.wanted.clear()
            looked = loops.look(round_.loop)
    except (ConfigError, Unobservable, GitHubError) as error:
        raise StepError(error) from error
    if round_.loop is not None and not looked:
        raise StepError(f"{round_.repository} has no loop named {round_.loop!r}")
    return Stepped(looked, tuple(book.wanted), tuple(notes))


def take_handover(loops: RepositoryLoops, text: str, dry_run: bool = False) -> list[str]:
    """Hand a file of proposals in; gives why some of them were not taken. A dry run only reads the file.

    Raises:
        StepError: it is no such file.
    """
    try:
        thoughts = read_handover(text, loops.name)
    except BadProposal as error:
        raise StepError(f"the proposal cannot be used: {error}") from None
    if dry_run:
        return [
            f"{loop}: would take the proposal for experiment {thought.number}" for loop, thought in thoughts
        ]
    rules, sentences = loops.rules(), []
    for loop, thought in thoughts:
        why = loops.hand_in(loop, rules[loop], thought) if loop in rules else "there is no such loop"
        if why:
            sentences.append(f"{loop}: the proposal for experiment {thought.number} was not taken: {why}")
    return sentences


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if len(data) > PROPOSAL_LIMIT:
            raise StepError(
                f"{path} has {len(data):,} bytes; a file of proposals has at most {PROPOSAL_LIMIT:,}"
            )
        return data.decode("utf-8")
    except OSError as error:
        raise StepError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise StepError(f"{path} is no file of proposals: it is not UTF-8") from None


def signed_in_for(environment: Mapping[str, str], round_: Round, seeded: bool = True) -> SignedIn:
    """Sign in for a round.

    Raises:
        StepError: that cannot be done.
    """
    if not NAME.fullmatch(round_.repository):
        raise StepError(f"{round_.repository!r} is no repository; write it as OWNER/NAME")
    try:
        return sign_in(environment, round_.repository, round_.api, seeded)
    except (SettingsError, GitHubError) as error:
        raise StepError(error) from error


def _loops(round_: Round, signed_in: SignedIn, view: RepositoryView, desk: Desk) -> RepositoryLoops:
    return RepositoryLoops(view, Actor(view), desk, signed_in.seed_key, lambda: datetime.now(UTC))


def _dry(loops: RepositoryLoops, only: str | None) -> list[Looked]:
    looked = []
    for loop, rules in loops.rules(only).items():
        snapshot, actions = loops.plan(loop, rules)
        looked.append(Looked(loop, snapshot, actions))
    return looked


def no_loops(repository: str) -> str:
    """What to do where there are no rules. The offer is the server's: a round by hand is for loops that exist."""
    return (
        f"{repository} has no {CONFIG_PATH} on its default branch, so there is no loop to look at. `pawl init` in a clone "
        "writes a first one to commit; an installed App (`pawl serve`) offers one as a pull request"
    )


def told(looked: Looked, dry_run: bool = False) -> list[str]:
    """A loop's look in lines."""
    lines = [f"{looked.loop}: {looked.problem}"] if looked.problem else []
    lines += [
        f"{looked.loop}: {'would ' if dry_run else ''}{action_words(action)}" for action in looked.actions
    ]
    return lines or [f"{looked.loop}: nothing to do"]


def _as_json(looked: Looked, dry_run: bool) -> dict[str, Any]:
    actions = [{"action": type(action).__name__, **_plain(action)} for action in looked.actions]
    return {"loop": looked.loop, "dry_run": dry_run, "problem": looked.problem, "actions": actions}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return {"sha256": sha256(value), "bytes": len(value)}
    return value
