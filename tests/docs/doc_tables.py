"""The tables of the documents whose rows come from code: `python tests/docs/doc_tables.py` writes them anew.

Name and value of a row are the code's; the last column is prose, lives in the document alone, and is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pawl.control import events
from pawl.control.settings import Settings
from pawl.core import auditing, calibration, planting
from pawl.core.config import Config, Loop
from pawl.core.measurement import Procedure
from pawl.core.quantities import format_duration
from pawl.github.grants import PERMISSIONS

DOCS = Path(__file__).parents[2] / "docs"
COMMAND = "python tests/docs/doc_tables.py"
UNWRITTEN = "(say what it is for)"

SETTINGS = [field for field in fields(Settings) if field.name != "means"]  # docs/agents.md tells of those
VARIABLES = {field.name: f"PAWL_{field.name.upper()}" for field in SETTINGS} | {
    "private_key": "PAWL_PRIVATE_KEY_FILE"
}
FACETS = {
    "refs": "branches and rules",
    "pulls": "pull requests",
    "tracking": "tracking issues",
    "comments": "comments",
    "jobs": "jobs",
    "checks": "checks",
}

Rows = dict[str, str]


def config_fields(model: type[BaseModel] = Loop, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key of a loop with its field."""
    for name, field in model.model_fields.items():
        candidates = (field.annotation, *getattr(field.annotation, "__args__", ()))
        inner = [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]
        if inner:
            yield from config_fields(inner[0], f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def keys() -> Rows:
    """Keys of the configuration with their defaults."""
    found = {name: _default(name, field) for name, field in Config.model_fields.items()}
    return found | {name: _default(name, field) for name, field in config_fields()}


def _default(key: str, field: FieldInfo) -> str:
    value: Any = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if value is None or value == () or value == {}:
        return ""
    if key in ("budget", "grace"):
        return f"`{format_duration(value)}`"
    if key in ("run.memory", "artifact.max_bytes"):
        unit, name = next(item for item in ((2**30, "GiB"), (10**6, "MB"), (1, "B")) if value % item[0] == 0)
        return f"`{value // unit}{name}`"
    return f"`{value}`"


def told() -> Rows:
    """Events with what is read again."""
    return {
        name: "everything" if facets == events.ALL else ", ".join(FACETS[facet] for facet in sorted(facets))
        for name, facets in events._FACETS.items()
    }


def settings() -> Rows:
    """Variables of `pawl serve` with their defaults."""
    return {
        VARIABLES[field.name]: "required"
        if field.default is MISSING
        else f"`{field.default}`".replace(".0`", "`")
        for field in SETTINGS
    }


def dials() -> Rows:
    """What a decision depends on beside its runs."""
    found = {name: field.default for name, field in Procedure.model_fields.items()}
    for module, names in (
        (calibration, ("FIRST_RUNS", "FRESH_RUNS", "POOL", "WINDOW", "SENTINEL_EVERY")),
        (auditing, ("AUDIT_EVERY", "AUDIT_AFTER", "AUDIT_CLEAR", "AUDIT_RUNS")),
        (planting, ("CANARY_RUNS", "CANARY_EVERY")),
    ):
        found |= {name: getattr(module, name) for name in names}
    return {name: f"{value:g}" for name, value in found.items()}


TABLES: dict[str, tuple[str, Callable[[], Rows]]] = {
    "key": ("configuration.md", keys),
    "permission": ("app.md", lambda: dict(PERMISSIONS)),
    "event": ("app.md", told),
    "variable": ("app.md", settings),
    "dial": ("decision.md", dials),
}
"""Heading of the first column, document, and what the rows are made of."""

_ROW = re.compile(r"^\| `(?P<name>[^`]+)` \|(?P<value>[^|]*)\|(?P<prose>.*)\|$")


def written(heading: str, text: str) -> tuple[str, str]:
    """The table as it stands in a document, and as it should."""
    table = re.search(rf"(?m)^\| {heading} \|.*\n\|[-|]+\|\n(?:\|.*\n)*", text)
    assert table is not None, f"no table with the first column {heading!r}"
    head, rule, *rows = table[0].splitlines()
    prose = {hit["name"]: hit["prose"].strip() for row in rows if (hit := _ROW.match(row))}
    made = [
        f"| `{name}` | {value} | {prose.get(name, UNWRITTEN)} |"
        for name, value in TABLES[heading][1]().items()
    ]
    return table[0], "\n".join([head, rule, *made]) + "\n"


if __name__ == "__main__":
    for first, (document, _) in TABLES.items():
        path = DOCS / document
        before, after = written(first, path.read_text(encoding="utf-8"))
        path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
