"""A running GitHub for tests: `hub_server` (and `hub`), strict about everything it is asked and answers.

At the end of a test the hub must have seen no unknown route, and every request, answer and webhook must fit GitHub's own
description. A test that provokes a violation on purpose empties `hub_violations` (or `hub.unknown_routes`) itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from contract.validator import Contract
from pawl.localhub import Hub, HubServer


@cache
def _key() -> str:
    # Making an RSA key is the slowest thing a hub does; one will do for all tests.
    with TemporaryDirectory() as folder:
        hub = Hub.open(Path(folder))
        hub.close()
        return hub.app.private_key_pem


@pytest.fixture
def hub_violations() -> list[str]:
    """What did not fit GitHub's description so far."""
    return []


@pytest.fixture
def hub_server(tmp_path: Path, hub_violations: list[str]) -> Iterator[HubServer]:
    """A hub in an empty folder, served on a free port."""
    contract = Contract.load()

    def exchange(method: str, path: str, query: dict[str, str], body: Any, status: int, answer: Any) -> None:
        if path == "/":
            return
        if status < 400:
            hub_violations.extend(contract.check_request(method, path, query, body))
        hub_violations.extend(contract.check_response(method, path, status, answer))

    hub = Hub.open(tmp_path / "hub", private_key_pem=_key())
    hub.webhook_observer = lambda event, action, body: hub_violations.extend(
        contract.check_webhook(event, action, body)
    )
    server = HubServer(hub, observer=exchange).start()
    try:
        yield server
    finally:
        server.stop()
        unknown = list(hub.unknown_routes)
        hub.close()
    assert not unknown, f"routes that the hub does not have: {unknown}"
    assert not hub_violations, "not as GitHub has it:\n" + "\n".join(hub_violations[:20])


@pytest.fixture
def hub(hub_server: HubServer) -> Hub:
    """The hub behind `hub_server`."""
    return hub_server.hub
