"""What the marker `torch` means: skip where torch is not installed, unless `PAWL_REQUIRE_TORCH=1`.

torch is large, so `make test` does without it. Tests import it inside the test, never at the head of a module.
"""

from __future__ import annotations

import importlib.util
import os

import pytest


def pytest_runtest_setup(item: pytest.Item) -> None:
    if not item.get_closest_marker("torch") or importlib.util.find_spec("torch"):
        return
    if os.environ.get("PAWL_REQUIRE_TORCH") == "1":
        pytest.fail("torch is not installed, and PAWL_REQUIRE_TORCH=1 forbids to skip this", pytrace=False)
    pytest.skip("torch is not installed: `make torch` installs it")
