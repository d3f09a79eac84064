"""Reads the request of a measuring job from its file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from pawl import __version__
from pawl.core.measurement import REQUEST_LIMIT, Request
from pawl.lab.errors import MeasureError
from pawl.lab.output import one_line


def read_request(path: Path) -> Request:
    """The request in a file.

    Raises:
        MeasureError: there is no such file, or it is no valid request.
    """
    remedy = (
        "measure with the request that Pawl wrote, unchanged. If that is what this is, the Pawl that wrote it is of another "
        f"version than the one here, {__version__}: install the same on both"
    )
    try:
        text = path.read_text(encoding="utf-8")
        if len(text) > REQUEST_LIMIT:
            raise ValueError(f"it is longer than {REQUEST_LIMIT:,} characters")
        return Request.model_validate_json(text)
    except OSError as error:
        raise MeasureError(f"{path} cannot be read", str(error), "name the file of a request") from None
    except ValidationError as error:
        first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
        where = ".".join(str(part) for part in first["loc"])
        if any(each["type"] == "extra_forbidden" for each in error.errors()):
            raise MeasureError(
                f"{path} asks for what this machine's Pawl {__version__} does not know",
                one_line(f"it has the field {where}"),
                "the Pawl that asks is newer: bring this machine's up to it, by its package, its image, or the commit "
                "that the workflow uses",
            ) from None
        why = one_line(f"{where}: {first['msg']}" if where else first["msg"])
        raise MeasureError(
            f"{path} is no valid request (problems: {error.error_count()})", why, remedy
        ) from None
    except ValueError as error:
        raise MeasureError(f"{path} is no valid request", one_line(str(error)), remedy) from None
