"""The App as a server: `pawl serve`, and `pawl rebuild` for its database."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import Api, Database
from pawl.commands.failing import fail

commands = typer.Typer()


@commands.command()
def serve(
    app_id: Annotated[int | None, typer.Option(help="PAWL_APP_ID")] = None,
    private_key_file: Annotated[Path | None, typer.Option(help="PAWL_PRIVATE_KEY_FILE")] = None,
    api: Annotated[
        str | None, typer.Option(help="PAWL_API; for GitHub Enterprise Server or a local GitHub")
    ] = None,
    database: Database = None,
    host: Annotated[str | None, typer.Option(help="PAWL_HOST")] = None,
    port: Annotated[int | None, typer.Option(help="PAWL_PORT")] = None,
    server: Annotated[str | None, typer.Option(help="PAWL_SERVER: waitress or granian")] = None,
    print_credentials: Annotated[
        bool,
        typer.Option("--print-credentials", help="Print a new App's credentials, and keep none of them."),
    ] = False,
) -> None:
    """Run the App: webhooks in, GitHub's API out. Without an App it serves /setup, where you register one."""
    from pawl.commands.serve import start
    from pawl.control.errors import SettingsError

    given = {"app_id": app_id, "private_key_file": private_key_file, "api": api, "database": database}
    try:
        start(os.environ, {**given, "host": host, "port": port, "server": server}, print_credentials)
    except SettingsError as error:
        fail(error, 2)


@commands.command()
def rebuild(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare, and leave the database as it is.")
    ] = False,
    database: Database = None,
    api: Api = None,
) -> None:
    """Make the App's database anew from GitHub, and say where the old one differed. A server may run meanwhile."""
    from pawl.commands.rebuild import Rebuilding
    from pawl.control.errors import SettingsError

    try:
        run = Rebuilding(os.environ, {"database": database, "api": api}, not dry_run)
        for line in run.lines():
            typer.echo(line)
    except SettingsError as error:
        fail(error, 2)
    sys.exit(0 if run.sound else 1)
