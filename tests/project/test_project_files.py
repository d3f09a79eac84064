"""What the repository says about itself is true, and it says nothing of the machines it was written on."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Written so that this file does not match itself. Runners and containers have homes of their own.
FOREIGN = {
    "a person's home folder": r"/(home|Users)/(?!runner\b|pawl\b|user\b|you\b)\w+/|(?<![\w/])/[r]oot/",
    "a folder of the machine it was written on": r"(?<![\w.])/[w]ork/",
    "the host of a package registry": r"pypi[.]org|pythonhosted[.]org|npmjs[.](org|com)|deb[.]debian|download[.]pytorch",
    "an unmerged conflict": r"(?m)^(<{7}|>{7}) ",
}


def _files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout, so nothing says which files belong to the project")
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


@pytest.mark.parametrize("what", FOREIGN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FOREIGN[what])
    found = [
        f"{path.relative_to(ROOT)}: {hit[0]!r}"
        for path in _files()
        if (hit := pattern.search(path.read_text(encoding="utf-8", errors="replace")))
    ]
    assert not found, f"{what}: {found}"


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    documents = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / ".ci" / "run"]
    named = {
        (path.name, target)
        for path in documents
        # In code (`make x`, or a line of a command block); "make sure" in prose is no target.
        for target in re.findall(r"(?:`|^\s*\$? *)make ([a-z][a-z-]*)", path.read_text(), re.MULTILINE)
    }
    assert named
    assert not {(name, target) for name, target in named if target not in targets}


def test_every_file_that_the_front_documents_link_to_exists() -> None:
    missing = [
        f"{document.name}: {link}"
        for document in ROOT.glob("*.md")
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", document.read_text())
        if not (ROOT / link).exists()
    ]
    assert not missing
