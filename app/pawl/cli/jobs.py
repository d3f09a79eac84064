"""One round without a server: what the jobs of a workflow call, and a person by hand."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import Api, LoopName, Repo
from pawl.commands.failing import fail

commands = typer.Typer()


@commands.command()
def step(
    repo: Repo,
    loop: LoopName = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the actions as JSON.")] = False,
    proposal: Annotated[
        Path | None,
        typer.Option(help="Open what `pawl propose` wrote to this file, instead of asking a proposer here."),
    ] = None,
    api: Api = None,
) -> None:
    """Run one round by hand: look at the loops of a repository, decide, act, and print the actions.

    Signs in as the App (PAWL_APP_ID, PAWL_PRIVATE_KEY_FILE) or with GITHUB_TOKEN.
    """
    from pawl.commands.step import Round, StepError, run_step

    try:
        sys.exit(run_step(os.environ, Round(repo, loop, dry_run, api), as_json, proposal))
    except StepError as error:
        fail(error)


@commands.command()
def propose(
    repo: Repo,
    out: Annotated[Path, typer.Option(help="File to write.")] = Path("proposal.json"),
    loop: LoopName = None,
    api: Api = None,
) -> None:
    """Ask for the edits that loops are ready for, and write them to a file; `pawl step --proposal` opens them.

    Needs a token that can read, and whatever keys the proposer wants. Writes nothing to GitHub.
    """
    from pawl.commands.propose import run_propose
    from pawl.commands.step import Round, StepError

    try:
        sys.exit(run_propose(os.environ, Round(repo, loop, api=api), out))
    except StepError as error:
        fail(error)


@commands.command()
def measure(
    request: Annotated[str, typer.Option(help="File with the measuring request; - reads standard input.")],
    out: Annotated[
        Path, typer.Option(help="Folder for record.json; a record of the same request is gone on with.")
    ],
    repo: Annotated[Path, typer.Option(help="Clone that holds the commits, or can fetch them.")] = Path(),
    sandbox: Annotated[
        str | None, typer.Option(help="process or docker; by default what the request says.")
    ] = None,
) -> None:
    """Measure one request beside the GPU, and write its record."""
    from pawl.commands.measure import run_measure

    sys.exit(run_measure(request, out, repo, sandbox))


@commands.command(hidden=True)
def action() -> None:
    """What the Action calls: its inputs are in the environment."""
    from pawl.commands.action import run_action

    sys.exit(run_action())
