"""A measured figure, beside the limit it must keep or the peer it is compared with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One line of the table."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    """The figure must not be larger; none where it only informs."""
    note: str = ""

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.limit is None or self.value <= self.limit


def show(figures: Sequence[Figure], file: Path | None) -> None:
    """Print the table, and write it as JSON."""
    table = Table(box=None, header_style="bold")
    for name in ("", "measured", "limit", "note"):
        table.add_column(name)
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:g} {figure.unit}"
        style = "" if figure.kept else "bold red"
        table.add_row(figure.name, f"{figure.value:.3g} {figure.unit}", limit, figure.note, style=style)
    console = Console()
    if not console.is_terminal:
        console.width = 150
    console.print(table)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps([{**asdict(f), "kept": f.kept} for f in figures], indent=2) + "\n")
