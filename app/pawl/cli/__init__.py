"""The `pawl` command. Each command imports what it needs when it runs, so that `pawl --help` answers at once."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from pawl.cli import history, jobs, local, runner, server, setup
from pawl.commands.failing import fail

app = typer.Typer(
    name="pawl",
    help="The Karpathy loop on a GitHub repository: propose, measure, decide, merge.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

EXTRAS = {"demo": "demo", "try": "demo", "hub": "demo", "runner": "runner"}
"""The extra that a command needs, where that is not ``app``. What measures, or reads a clone, needs none."""

WITH_GIT = ("demo", "try", "init", "check", "measure", "verify", "ledger", "explain")
"""Commands that call git."""

for part in (local, server, jobs, history, setup):
    app.add_typer(part.commands)
app.add_typer(runner.commands, name="runner")


def main() -> None:
    """Entry point: what the user must know is one sentence on standard error, never a traceback."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(141)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "pawl"):
            raise
        command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
        extra = EXTRAS.get(command, "app")
        fail(
            f"`pawl {command}` needs the package {package}, which is not installed here. Install Pawl with what it "
            f"takes: pip install '.[{extra}]' in a checkout of Pawl"
        )


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    """Shared options."""
    if version:
        from pawl import __version__

        typer.echo(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
    if context.invoked_subcommand in WITH_GIT and shutil.which("git") is None:
        fail(
            f"git is not on PATH, and `pawl {context.invoked_subcommand}` calls it: install git, or add its folder to PATH"
        )
