"""How a command ends that cannot do what was asked."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer


def fail(message: object, code: int = 1) -> NoReturn:
    """Say what went wrong and leave."""
    typer.echo(f"pawl: {message}", err=True)
    sys.exit(code)
