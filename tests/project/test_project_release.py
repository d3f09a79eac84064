"""A release is made only of a version that the tag, the package, its module and the changelog agree on."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "release.py"
CHANGELOG = """\
# Changelog

## [Unreleased]

- Not yet

## [1.2.3] - 2026-01-02

- A thing

## [1.2.2] - 2026-01-01

- An older thing
"""


def release(root: Path, tag: str) -> subprocess.CompletedProcess[str]:
    (root / "app" / "pawl").mkdir(parents=True)
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (root / "app" / "pawl" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (root / "CHANGELOG.md").write_text(CHANGELOG if tag != "v1.2.3-empty" else "# Changelog\n")
    command = [sys.executable, str(SCRIPT), tag.removesuffix("-empty"), "--root", str(root), "--notes"]
    return subprocess.run([*command, str(root / "notes.md")], capture_output=True, text=True, check=False)


def test_its_notes_are_the_versions_own_section(tmp_path: Path) -> None:
    done = release(tmp_path, "v1.2.3")
    assert (done.returncode, done.stdout) == (0, "version=1.2.3\n")
    assert (tmp_path / "notes.md").read_text() == "- A thing\n"


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("v1.2", "is no version"),
        ("main", "is no version"),
        ("v1.2.3\nevil=1", "is no version"),
        ("v1.2.4", "pyproject.toml says 1.2.3, and the tag 1.2.4"),
        ("v1.2.3-empty", "CHANGELOG.md has no section 1.2.3"),
    ],
)
def test_what_disagrees_is_named(tmp_path: Path, tag: str, said: str) -> None:
    done = release(tmp_path, tag)
    assert done.returncode == 1
    assert said in done.stderr
    assert not (tmp_path / "notes.md").exists()


def test_every_image_of_pawl_itself_is_built_tried_pushed_and_attested() -> None:
    """The experiments' images are bases that users build with their own packages, and are not published."""
    root = SCRIPT.parents[1]
    text = (root / ".github" / "workflows" / "release.yml").read_text()
    for file, image in (("app", "pawl"), ("runner", "pawl-runner")):
        assert (root / "docker" / f"{file}.Dockerfile").is_file()
        assert f'--file docker/{file}.Dockerfile --tag "{image}:$VERSION"' in text
        assert re.search(rf'test "\$\(docker run .*"{image}:\$VERSION" --version\)" = "\$VERSION"', text)
        assert f"subject-digest: ${{{{ steps.image.outputs.{image}-digest }}}}" in text
