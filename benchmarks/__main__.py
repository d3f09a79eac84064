"""`make bench`: every figure as a table, and as JSON in benchmarks/results/."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.figures import Figure, show

ALL = ("start", "overhead", "loop", "context", "proposers", "duty", "step", "webhooks")
RESULTS = Path(__file__).parent / "results" / "latest.json"


def main() -> int:
    """Measure what is asked for; 1 if a limit is not kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", default=[], help=f"some of: {', '.join(ALL)} (default: all)")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write the figures")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(ALL)
    if unknown:
        parser.error(f"no benchmark named {sorted(unknown)[0]!r}")
    figures: list[Figure] = []
    for name in asked.names or ALL:
        figures += import_module(f"benchmarks.{name}").measure()
    show(figures, asked.json)
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
