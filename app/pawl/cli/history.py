"""What a clone of a repository tells: `pawl verify`, `pawl ledger` and `pawl explain`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pawl.cli.options import Clone, LoopName
from pawl.commands.failing import fail

commands = typer.Typer()


@commands.command()
def verify(clone: Clone = Path(), loop: LoopName = None) -> None:
    """Recompute every verdict from the ledger alone; exit 1 at the first that disagrees."""
    from pawl.commands.history import HistoryError, disagreements, read_histories, runs_of
    from pawl.core.chain import LedgerError
    from pawl.messages.screening import screen_words

    try:
        for history in read_histories(clone, loop):
            found = disagreements(history)
            if found:
                fail(f"{history.loop}: {found[0]}")
            verdicts = len(history.verdicts())
            typer.echo(
                f"{history.loop}: {len(history.lines)} lines, {verdicts} verdicts and {runs_of(history)} runs agree"
            )
            if screen := screen_words(history.lines):
                typer.echo(f"{history.loop}: the screen: {screen}")
    except (HistoryError, LedgerError) as error:
        fail(error)


@commands.command()
def ledger(
    clone: Clone = Path(),
    loop: LoopName = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every line, as one JSON array.")] = False,
    tsv: Annotated[bool, typer.Option("--tsv", help="autoresearch's results.tsv.")] = False,
) -> None:
    """Print a loop's history."""
    from pawl.commands.history import HistoryError, as_json_text, read_histories, table
    from pawl.core.chain import LedgerError
    from pawl.messages import results_tsv

    try:
        histories = read_histories(clone, loop)
    except (HistoryError, LedgerError) as error:
        fail(error)
    if as_json:
        typer.echo(as_json_text(histories))
        return
    for history in histories:
        typer.echo(results_tsv(history.lines) if tsv else table(history), nl=False)


@commands.command()
def explain(
    experiment: Annotated[int, typer.Argument(help="The experiment's number.")],
    clone: Annotated[Path, typer.Option("--repo", help="A clone of the repository.")] = Path(),
    loop: LoopName = None,
) -> None:
    """Tell how a verdict came about, run by run."""
    from pawl.commands.history import HistoryError, explained, read_histories
    from pawl.core.chain import LedgerError

    try:
        typer.echo(explained(read_histories(clone, loop), experiment))
    except (HistoryError, LedgerError) as error:
        fail(error)
