"""Making a machine a runner: `pawl runner`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import AsJson, Repo
from pawl.commands.failing import fail
from pawl.runner import JOB_USER, PROGRAM, RUNNER_USER, STATE, TOKEN_FILE

commands = typer.Typer(
    help="Make this machine a self-hosted runner, walled off from what it runs.", no_args_is_help=True
)
Gpus = Annotated[
    str, typer.Option(help="Indices like 0,1, each with a runner of its own; by default all there are.")
]
TokenFile = Annotated[
    Path, typer.Option(help="Token that may register runners; a file of the supervisor's alone.")
]
Program = Annotated[Path, typer.Option(help="Where GitHub's runner program is unpacked.")]
StateFolder = Annotated[Path, typer.Option("--state", help="Folder of the runners and the jobs' cache.")]
RunnerUser = Annotated[str, typer.Option(help="User of GitHub's runner program.")]
JobUser = Annotated[str, typer.Option(help="User of the jobs.")]
AcceptPublic = Annotated[
    bool, typer.Option("--accept-public", help="Serve a public repository all the same.")
]


@commands.command(name="up")
def runner_up(
    repo: Repo,
    gpus: Gpus = "",
    token_file: TokenFile = TOKEN_FILE,
    program: Program = PROGRAM,
    state: StateFolder = STATE,
    runner_user: RunnerUser = RUNNER_USER,
    job_user: JobUser = JOB_USER,
    label: Annotated[list[str] | None, typer.Option(help="Further label; give it several times.")] = None,
    accept_public: AcceptPublic = False,
    api: Annotated[str, typer.Option(help="PAWL_API")] = "",
) -> None:
    """Register a runner for each GPU, each for one job, again and again. A signal lets jobs end, another one ends them."""
    from pawl.commands.runner import Wish, up
    from pawl.runner.errors import Unfit

    users = runner_user, job_user
    try:
        sys.exit(
            up(
                Wish(repo, gpus, token_file, program, state, *users, tuple(label or ()), accept_public, api),
                os.environ,
            )
        )
    except Unfit as error:
        fail(error)


@commands.command(name="check")
def runner_check(
    repo: Repo,
    gpus: Gpus = "",
    token_file: TokenFile = TOKEN_FILE,
    program: Program = PROGRAM,
    state: StateFolder = STATE,
    runner_user: RunnerUser = RUNNER_USER,
    job_user: JobUser = JOB_USER,
    accept_public: AcceptPublic = False,
    api: Annotated[str, typer.Option(help="PAWL_API")] = "",
    as_json: AsJson = False,
) -> None:
    """Say whether this machine is fit to be a runner: driver, engine, clocks, disk, isolation. Changes nothing."""
    from pawl.commands.runner import Wish, check
    from pawl.runner.errors import Unfit

    users = runner_user, job_user
    try:
        sys.exit(
            check(
                Wish(repo, gpus, token_file, program, state, *users, (), accept_public, api),
                os.environ,
                as_json,
            )
        )
    except Unfit as error:
        fail(error)


@commands.command(name="prune")
def runner_prune(
    state: StateFolder = STATE,
    days: Annotated[int, typer.Option(min=7, help="Keep what was used within so many days.")] = 14,
) -> None:
    """Remove setups and built images that no job has used for long. Runners may work meanwhile."""
    from pawl.commands.runner import prune

    for line in prune(state, days):
        typer.echo(line)
