"""Setting a loop up, and trying whether GitHub is as Pawl believes: `pawl init`, `check`, `schema` and `conformance`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import Api, AsJson, LoopName
from pawl.commands.failing import fail

commands = typer.Typer()


@commands.command()
def init(
    path: Annotated[Path, typer.Argument(help="Your repository.")] = Path(),
    loop: Annotated[str, typer.Option(help="Name of the loop.")] = "",
    edit: Annotated[str, typer.Option(help="The one editable file.")] = "",
    metric: Annotated[str, typer.Option(help="Name of the metric.")] = "",
    goal: Annotated[str, typer.Option(help="minimize or maximize")] = "",
    label: Annotated[list[str] | None, typer.Option(help="Runner label; give it several times.")] = None,
    mode: Annotated[
        str,
        typer.Option(help="app: an App runs the loop. action: the workflow's own jobs do, without a server."),
    ] = "app",
    uses: Annotated[
        str,
        typer.Option(help="For --mode action: where Pawl's Action is, like OWNER/pawl@COMMIT, 40 digits."),
    ] = "",
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Write over what is there; the rules only where something is said of a loop."
        ),
    ] = False,
) -> None:
    """Write a configuration, a workflow and a program skeleton."""
    from pawl.commands.scaffold import init as write
    from pawl.core.layout import LayoutError, Wishes

    try:
        wishes = Wishes(loop, edit, metric, goal, tuple(label or ("self-hosted",)))
        if mode not in ("app", "action"):
            raise LayoutError(f"there is no mode {mode!r}; there are app and action")
        if (mode == "action") != bool(uses):
            raise LayoutError("--mode action and --uses OWNER/pawl@COMMIT go together")
        for written in write(path, wishes, force, uses):
            typer.echo(f"wrote {written}")
        typer.echo("Next: fill in the program and commit, then `pawl check`, then `pawl try .`")
    except LayoutError as error:
        fail(error)


@commands.command()
def check(
    path: Annotated[Path, typer.Argument(help="Your repository.")] = Path(),
    loop: LoopName = None,
    runs: Annotated[
        int, typer.Option(min=0, max=32, help="Baseline runs to measure here; 0 measures nothing.")
    ] = 3,
    as_json: AsJson = False,
    repo: Annotated[
        str | None, typer.Option(help="OWNER/NAME: see whether a runner of it could take the jobs, too.")
    ] = None,
) -> None:
    """Say what is wrong with a set-up and how to mend it, and what a loop will cost."""
    from pawl.commands.check import run_check

    sys.exit(run_check(path, loop, runs, as_json, repo))


@commands.command()
def schema() -> None:
    """Print the JSON Schema of .github/pawl.yml."""
    import json

    from pawl.core.config import config_schema

    typer.echo(json.dumps(config_schema(), indent=2))


@commands.command()
def conformance(
    repo: Annotated[str, typer.Option(help="OWNER/NAME of a repository that may be written to.")],
    out: Annotated[Path, typer.Option(help="Where to save the transcript.")] = Path("conformance.json"),
    api: Api = None,
) -> None:
    """Replay on a real repository what Pawl believes about GitHub, and save the transcript."""
    from pawl.commands.conformance import ConformanceError, run_conformance

    try:
        sys.exit(run_conformance(os.environ, repo, out, api))
    except ConformanceError as error:
        fail(error)
