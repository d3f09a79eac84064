"""Logs have fixed keys: whoever collects them can rely on docs/operations.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app" / "pawl"
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ALWAYS = {"event", "level", "timestamp", "exception"}


def logged(tree: ast.AST) -> Iterator[tuple[int, str | None]]:
    """Line and key of everything that is given to a logger of structlog's."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        logger = ast.unparse(node.func.value)
        if node.func.attr in LEVELS and (logger == "log" or "structlog" in logger):
            yield from ((node.lineno, keyword.arg) for keyword in node.keywords)


def test_every_key_is_in_the_documentation_and_every_documented_one_is_used() -> None:
    text = (ROOT / "docs" / "operations.md").read_text()
    told = set(re.findall(r"^\| `([a-z_]+)` \|", text.split("\n## Logs\n")[1], re.MULTILINE))
    used = {
        key: f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(APP.rglob("*.py"))
        if "structlog" in (source := path.read_text())
        for line, key in logged(ast.parse(source))
    }
    assert {key: where for key, where in used.items() if key not in told} == {}
    assert told - used.keys() - ALWAYS == set()
