"""Docker in tests: what the marker `docker` means, and the fixture `docker_image`.

An image is wanted that has python3 and that needs no image registry. `PAWL_TEST_IMAGE=NAME` says which to use;
without it, `docker/base-from-debootstrap.sh` makes one from Debian packages the first time.
Without a Docker Engine such tests are skipped, and fail if `PAWL_REQUIRE_DOCKER=1` says that there must be one.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import docker
import pytest
from docker.errors import ImageNotFound

SCRIPT = Path(__file__).parent.parent / "docker" / "base-from-debootstrap.sh"
BASE_IMAGE = "pawl-base:bookworm"


@pytest.fixture(scope="session")
def docker_image() -> str:
    """Name of a local image in which `python3` runs."""
    _need_engine()
    named = os.environ.get("PAWL_TEST_IMAGE")
    if named:
        if not _is_local(named):
            pytest.fail(
                f"PAWL_TEST_IMAGE={named} is not here. Get it first: docker pull {named}", pytrace=False
            )
        return named
    if not _is_local(BASE_IMAGE):
        made = subprocess.run([SCRIPT, BASE_IMAGE], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            _cannot(f"No image to test with: {made.stderr.strip()} Or name a local one in PAWL_TEST_IMAGE.")
    return BASE_IMAGE


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker"):
        _need_engine()


def _need_engine() -> None:
    failure = _engine_failure()
    if failure:
        _cannot(f"No Docker Engine answers: {failure}")


@functools.cache
def _engine_failure() -> str:
    """Why the engine cannot be used; empty if it can. Asked once a session: a dead engine answers slowly.

    In a process of its own, because the SDK leaks the socket that found nobody, and here a warning is an error.
    """
    ping = "import docker; docker.from_env(timeout=10).ping()"
    asked = subprocess.run([sys.executable, "-c", ping], capture_output=True, text=True, check=False)
    return "" if asked.returncode == 0 else (asked.stderr.strip().splitlines() or ["no reason given"])[-1]


def _is_local(image: str) -> bool:
    client = docker.from_env(timeout=30)
    try:
        client.images.get(image)
    except ImageNotFound:
        return False
    finally:
        client.close()
    return True


def _cannot(reason: str) -> None:
    if os.environ.get("PAWL_REQUIRE_DOCKER") == "1":
        pytest.fail(f"{reason} (PAWL_REQUIRE_DOCKER=1 forbids to skip this)", pytrace=False)
    pytest.skip(reason)
