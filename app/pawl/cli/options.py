"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LoopName = Annotated[str | None, typer.Option("--loop", help="Only this loop.")]
Clone = Annotated[Path, typer.Argument(help="A clone of the repository.")]
Api = Annotated[str | None, typer.Option(help="PAWL_API")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")]
Database = Annotated[str | None, typer.Option(help="PAWL_DATABASE, an SQLAlchemy address")]
Repo = Annotated[str, typer.Option("--repo", help="OWNER/NAME")]
