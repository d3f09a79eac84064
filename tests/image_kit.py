"""Images of Pawl, built from a checkout with every package beside it: no container here reaches an index."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import docker

ROOT = Path(__file__).parents[1]
BUILDS = ("pip", "setuptools", "hatchling")
"""What a build needs beside the packages themselves; pip too, which the base made from Debian packages lacks."""


def build(dockerfile: str, tag: str, base: str, extras: str, context: Path, **more: str) -> None:
    """Build one of docker/'s images of Pawl itself."""
    listed = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, capture_output=True, check=True, text=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    wheels = ["--wheel-dir", str(context / "wheels"), "--constraint", ".ci/constraints.txt"]
    subprocess.run([*pip, *wheels, f"{ROOT}[{extras}]", *BUILDS], check=True, cwd=ROOT)
    (wheel,) = (context / "wheels").glob("pip-*.whl")
    arguments = {
        "BASE": base,
        "PIP": f"python3 wheels/{wheel.name}/pip",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "wheels",
        **more,
    }
    client = docker.from_env(timeout=300)
    try:
        client.images.build(
            path=str(context), dockerfile=f"docker/{dockerfile}", tag=tag, buildargs=arguments, rm=True
        )
    finally:
        client.close()


def remove(tag: str) -> None:
    """Remove an image."""
    client = docker.from_env(timeout=60)
    try:
        client.images.remove(tag, force=True)
    finally:
        client.close()
