"""Checks that everything names the version that is to be released, and writes its notes out of the changelog.

Standard library only. Prints ``version=X.Y.Z`` for a job's outputs; exits 1 with a sentence where something disagrees.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"v?(\d+\.\d+\.\d+)")


def main() -> int:
    """Check, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="the tag, like v1.2.3")
    parser.add_argument("--notes", type=Path, required=True, help="where to write the release's notes")
    parser.add_argument("--root", type=Path, default=ROOT, help="the repository")
    given = parser.parse_args()
    try:
        version, notes = release(given.tag, given.root)
    except ValueError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    given.notes.write_text(notes, encoding="utf-8")
    print(f"version={version}")
    return 0


def release(tag: str, root: Path) -> tuple[str, str]:
    """The version that a tag names, and what the changelog says of it.

    Raises:
        ValueError: the tag, the package, its module and the changelog do not agree.
    """
    match = VERSION.fullmatch(tag)
    if match is None:
        raise ValueError(f"{tag!r} is no version; a tag is called like v1.2.3")
    version = match[1]
    package = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    module = re.search(r'^__version__ = "(.*)"$', (root / "app/pawl/__init__.py").read_text(), re.MULTILINE)
    for where, found in (("pyproject.toml", package), ("app/pawl/__init__.py", module and module[1])):
        if found != version:
            raise ValueError(f"{where} says {found}, and the tag {version}: change one of them")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    section = re.search(
        rf"^## \[?{re.escape(version)}\]?[^\n]*\n(.*?)(?=^## |\Z)", changelog, re.DOTALL | re.MULTILINE
    )
    if section is None or not section[1].strip():
        raise ValueError(
            f"CHANGELOG.md has no section {version}: give what is under Unreleased that name and the date"
        )
    return version, section[1].strip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
