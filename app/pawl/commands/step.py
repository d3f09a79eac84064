"""`pawl step`: one look by hand, without a server."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import typer
from pydantic import BaseModel

from pawl.commands.serve import log_as_json
from pawl.control.desk import Desk
from pawl.control.errors import SettingsError
from pawl.control.library import library_of
from pawl.control.loops import Looked, RepositoryLoops
from pawl.control.means import read_means
from pawl.control.settings import API, api_address, read_settings
from pawl.control.signing_in import app_of
from pawl.control.thinking import Thinker
from pawl.core.actions import Action, UpdateTracking
from pawl.core.config_file import ConfigError
from pawl.core.digest import sha256
from pawl.github.act import Actor
from pawl.github.app import Token
from pawl.github.errors import GitHubError, Unobservable
from pawl.github.view import RepositoryView

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


class StepError(Exception):
    """The round could not be run; the text says why, and what to do."""


def run_step(
    environment: Mapping[str, str], name: str, loop: str | None, dry_run: bool, as_json: bool, api: str | None
) -> int:
    """Look at a repository's loops once and print what was done, or would be."""
    if not NAME.fullmatch(name):
        raise StepError(f"{name!r} is no repository; write it as OWNER/NAME")
    log_as_json(sys.stderr)
    try:
        with ThreadPoolExecutor(1) as executor:
            loops = _loops(environment, name, api, Thinker(executor, lambda: None))
            looked = _dry(loops, loop) if dry_run else loops.look_until_rest(loop)
    except (ConfigError, Unobservable, GitHubError) as error:
        raise StepError(error) from None
    if loop is not None and not looked:
        raise StepError(f"{name} has no loop named {loop!r}")
    if as_json:
        typer.echo(json.dumps([_as_json(item, dry_run) for item in looked], indent=2))
    else:
        for item in looked:
            _tell(item, dry_run)
    return 1 if any(item.problem for item in looked) else 0


def _loops(environment: Mapping[str, str], name: str, api: str | None, thinker: Thinker) -> RepositoryLoops:
    """The repository's loops, signed in as the App, or with a job's token where there is no App."""
    if environment.get("PAWL_APP_ID"):
        try:
            settings = read_settings({"PAWL_WEBHOOK_SECRET": "unused", **environment}, api=api)
        except SettingsError as error:
            raise StepError(error) from None
        client = app_of(settings).repository(name)
        seed_key, means = settings.seed_key, settings.means
    elif token := environment.get("GITHUB_TOKEN"):
        known = environment.get("PAWL_API") or environment.get("GITHUB_API_URL")
        try:
            address = api_address(api or known or API)
            means = read_means(environment)
        except SettingsError as error:
            raise StepError(error) from None
        client = Token(token, api=address).repository(name)
        secret = environment.get("PAWL_SEED_KEY")
        if not secret:
            raise StepError(
                "set PAWL_SEED_KEY to a long random secret: seeds are drawn from it, and nobody may guess it"
            )
        seed_key = bytes.fromhex(sha256(secret))
    else:
        raise StepError("sign in: set PAWL_APP_ID and PAWL_PRIVATE_KEY_FILE for the App, or GITHUB_TOKEN")
    view = RepositoryView(client)
    desk = Desk(thinker, means, lambda snapshot: library_of(view, snapshot))
    return RepositoryLoops(name, view, Actor(view), desk, seed_key, lambda: datetime.now(UTC))


def _dry(loops: RepositoryLoops, only: str | None) -> list[Looked]:
    looked = []
    for loop, rules in loops.rules(only).items():
        snapshot, actions = loops.plan(loop, rules)
        looked.append(Looked(loop, snapshot, actions))
    return looked


def _tell(looked: Looked, dry_run: bool) -> None:
    if looked.problem:
        typer.echo(f"{looked.loop}: {looked.problem}")
    for action in looked.actions:
        typer.echo(f"{looked.loop}: {'would ' if dry_run else ''}{describe(action)}")
    if not looked.actions and not looked.problem:
        typer.echo(f"{looked.loop}: nothing to do")


def describe(action: Action) -> str:
    """An action in one line: its name and what it is about."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(action).__name__).lower()
    if isinstance(action, UpdateTracking):
        return words + (f" ({'; '.join(action.notices)})" if action.notices else "")
    values = {item.name: getattr(action, item.name) for item in dataclasses.fields(action)}
    about = [f"#{values[key]}" for key in ("experiment", "number") if key in values]
    if "request" in values:
        about.append(f"{values['request'].purpose} {values['request'].key}")
    if "lines" in values:
        about.append(", ".join(line.key for line in values["lines"]))
    return " ".join([words, *about])


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
