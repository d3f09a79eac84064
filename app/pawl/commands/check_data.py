"""Whether this machine has the data that a loop names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pawl.core.config import Loop
from pawl.core.remarks import Places, Remark


def data_remarks(top: Path, places: Places, loop: str, rules: Loop) -> Iterator[Remark]:
    """What is not where `data` says on this machine, and what a process sandbox cannot show."""
    named: list[tuple[tuple[str, ...], str, str]] = [
        (("data",), left, right) for left, right in rules.data.items()
    ]
    if rules.evaluate:
        named += [(("evaluate", "data"), left, right) for left, right in rules.evaluate.data.items()]
    for keys, left, right in named:
        host = host_path(left, top)
        if not host.exists():
            yield places.remark(
                "warning",
                f"{'.'.join(keys)} names {left}, which is not on this machine; every runner needs it",
                loop,
                *keys,
                left,
            )
        if rules.sandbox == "process" and right.startswith("/") and right != str(host):
            yield places.remark(
                "error",
                f"{left} cannot be shown at {right} without a container: use the same path on both sides, a path below "
                "~ or relative to cwd, or set run.image",
                loop,
                *keys,
                left,
            )


def host_path(left: str, top: Path) -> Path:
    """The left side of a `data` entry as a path of this machine."""
    host = Path(left).expanduser()
    return host if host.is_absolute() else top / host
