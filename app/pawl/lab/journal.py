"""The record on disk: whole and synced before and after every run, so that nothing that was started is ever lost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from pawl.core.measurement import RECORD_LIMIT, Environment, Record, Request, RunRecord, RunStatus
from pawl.lab.errors import MeasureError

NAME = "record.json"


@dataclass
class Journal:
    """The record of one measuring job, and its file."""

    path: Path
    record: Record

    def describe(self, image: str, setup: str) -> None:
        """What runs are made in: the image's id, and the digest of the setup."""
        environment = self.record.environment.model_copy(update={"image": image, "setup": setup})
        self._set(environment=environment)

    def add(self, run: RunRecord) -> None:
        """A run is about to start."""
        self._set(runs=(*self.record.runs, run))

    def replace(self, run: RunRecord, seconds_total: float) -> None:
        """The last run has ended."""
        self._set(runs=(*self.record.runs[:-1], run), seconds_total=seconds_total)

    def close(self, seconds_total: float, complete: bool, refused: str = "") -> None:
        """The job ends here."""
        self._set(complete=complete, refused=refused, seconds_total=seconds_total)

    def _set(self, **changes: object) -> None:
        self.record = self.record.model_copy(update=changes)
        write_synced(self.path, self.record.model_dump_json().encode())


def open_journal(out: Path, request: Request, environment: Environment, now: str) -> Journal:
    """A new record, or the one a killed job of the same request left: what was running then was interrupted.

    Raises:
        MeasureError: the folder holds something else, or cannot be written.
    """
    path = out / NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        found = read_record(path)
    except OSError as error:
        raise MeasureError(f"{out} cannot be used", str(error), "give another folder with --out") from None
    fresh = Record(request=request.digest, key=request.key, environment=environment, started_at=now)
    if found is None:
        return Journal(path, fresh)
    if found.request != request.digest:
        raise MeasureError(
            f"{path} is the record of another request ({found.key})",
            "a record belongs to one request, and its runs would be lost",
            "give an empty folder with --out, or remove that file",
        )
    runs = tuple(_ended(run) for run in found.runs)
    kept = found.model_copy(update={"runs": runs})
    if found.complete:
        return Journal(path, kept)
    if runs and found.environment.device != environment.device:
        raise MeasureError(
            f"{path} was begun on {found.environment.device}, and this is {environment.device}",
            "runs are only compared within one kind of machine",
            "go on there, or give an empty folder with --out",
        )
    return Journal(path, fresh.model_copy(update={"runs": runs, "started_at": found.started_at}))


def read_record(path: Path) -> Record | None:
    """The record in a file; None if there is no such file.

    Raises:
        MeasureError: the file is no record.
    """
    try:
        if path.stat().st_size > RECORD_LIMIT:
            raise ValueError(f"it is larger than {RECORD_LIMIT:,} bytes")
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (ValueError, ValidationError) as error:
        raise MeasureError(
            f"{path} is no record", str(error).splitlines()[0], "remove it, or give another --out"
        ) from None


def _ended(run: RunRecord) -> RunRecord:
    if run.status is not RunStatus.STARTED:
        return run
    return run.model_copy(
        update={"status": RunStatus.INTERRUPTED, "reason": "the measuring job was killed during this run"}
    )


def write_synced(path: Path, content: bytes) -> None:
    """Replace a file at once, and have it on the disk before returning."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
