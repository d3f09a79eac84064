"""What all tests share."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["hub_fixture"]


@pytest.fixture
def quiet() -> None:
    """Nothing is logged that is no disaster."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))


@pytest.fixture(autouse=True)
def _logs_of_their_own() -> Iterator[None]:
    """A command that a test calls sets up logs on a stream that pytest closes: the next test in line once died of it."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
