"""What a step tells its GitHub Actions job: lines, groups, annotations, outputs, the summary.

The runner reads commands out of whatever a step prints, so text that Pawl did not write is printed by `line` alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

SUMMARY_LIMIT = 2**20
"""Bytes of one step's summary; GitHub drops a longer one whole."""
ANNOTATION_LIMIT = 4000

Level = Literal["error", "warning", "notice"]


class JobLog:
    """One step's ways to speak.

    Args:
        environment: the step's, with ``GITHUB_OUTPUT`` and ``GITHUB_STEP_SUMMARY``. Outside of a job both are left out.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._output = environment.get("GITHUB_OUTPUT", "")
        self._summary = environment.get("GITHUB_STEP_SUMMARY", "")

    def line(self, text: str) -> None:
        """Print a text in which the runner finds no command, whoever wrote it."""
        for part in text.splitlines() or [""]:
            _print(inert(part))

    @contextmanager
    def group(self, title: str) -> Iterator[None]:
        """Fold what is printed meanwhile under a title."""
        _print(f"::group::{_data(title)}")
        try:
            yield
        finally:
            _print("::endgroup::")

    def annotate(self, level: Level, message: str, file: str = "", line: int = 0) -> None:
        """Show a message on the job's page, at a line of a file where one is known."""
        places = {"file": file, "line": str(line) if line and file else ""}
        named = ",".join(f"{key}={_property(value)}" for key, value in places.items() if value)
        _print(f"::{level}{' ' + named if named else ''}::{_data(message[:ANNOTATION_LIMIT])}")

    def output(self, **values: object) -> None:
        """Set outputs of the step; underscores become dashes, and none becomes empty."""
        if not self._output:
            return
        with Path(self._output).open("a", encoding="utf-8") as file:
            for name, value in values.items():
                # A value that could hold the mark of its own end could set any other output.
                mark = f"end-{secrets.token_hex(16)}"
                text = "" if value is None else str(value)
                file.write(f"{name.replace('_', '-')}<<{mark}\n{text}\n{mark}\n")

    def summary(self, markdown: str) -> None:
        """Add to the step's summary, as far as it has room."""
        if not self._summary:
            return
        data = f"{markdown.rstrip()}\n\n".encode()
        path = Path(self._summary)
        used = path.stat().st_size if path.exists() else 0
        if used + len(data) <= SUMMARY_LIMIT:
            with path.open("ab") as file:
                file.write(data)


def inert(text: str) -> str:
    """A line that the runner takes for no command: neither of today's form nor of the old one, which counts anywhere."""
    text = text.replace("##[", "# #[")
    return f"| {text}" if text.lstrip().startswith("::") else text


def _data(text: str) -> str:
    return inert(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201
