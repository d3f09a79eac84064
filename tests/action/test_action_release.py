"""The rehearsal of a release, executed as the workflow says.

Not executed are the images, whose bases no test may pull (the Docker tests build from the same files), and publishing.
"""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from action.act_kit import CHECKOUT, Act, Done
from pawl import __version__
from pawl.localhub import HubServer

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[2]
NAME = "someone/pawl"
FILE = ".github/workflows/release.yml"


def rehearsed(server: HubServer, home: Path, version: str) -> Done:
    """The job that builds, in a repository whose changelog has the present version."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    files: dict[str, bytes | str | None] = {
        name: (ROOT / name).read_bytes() for name in listed.stdout.split("\0") if (ROOT / name).is_file()
    }
    changelog = (ROOT / "CHANGELOG.md").read_text()
    files["CHANGELOG.md"] = changelog.replace("## [Unreleased]", f"## [{__version__}] - 2026-01-02")
    yaml, out = YAML(), io.StringIO()
    found = yaml.load((ROOT / FILE).read_text())
    steps = found["jobs"]["build"]["steps"]
    found["jobs"]["build"]["steps"] = [
        step
        for step in steps
        if "setup-python" not in step.get("uses", "") and "docker" not in step.get("run", "")
    ]
    assert len(steps) == len(found["jobs"]["build"]["steps"]) + 2
    yaml.dump(found, out)
    text = re.sub(r"actions/checkout@\w+", CHECKOUT, out.getvalue())
    hub = server.hub
    hub.create_repository(NAME)
    hub.push_files(NAME, {**files, FILE: text}, "Release")
    repository = hub.repository(NAME)
    hub.actions.dispatch(
        repository, hub.actions.workflow(repository, "release.yml"), "someone", "main", {"version": version}
    )
    done = Act(server, home, {}).work()
    assert done is not None
    return done


def test_the_package_is_built_tried_and_handed_on_with_its_notes(
    hub_server: HubServer, tmp_path: Path
) -> None:
    done = rehearsed(hub_server, tmp_path / "act", __version__)
    assert done.conclusion == "success", done.log
    assert done.outputs["version"] == __version__
    hub = hub_server.hub
    [artifact] = hub.store.all("artifact", hub.repository(NAME)["id"], done.job["run_id"])
    with zipfile.ZipFile(hub.artifacts.path(artifact["id"])) as found:
        names = found.namelist()
        assert [name for name in names if name.endswith(".whl")]
        assert "notes.md" in names


def test_another_version_than_the_packages_is_refused(hub_server: HubServer, tmp_path: Path) -> None:
    done = rehearsed(hub_server, tmp_path / "act", "9.9.9")
    assert done.conclusion == "failure"
    assert f"pyproject.toml says {__version__}, and the tag 9.9.9" in done.log
