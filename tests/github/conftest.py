from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from github_kit import World

from pawl.localhub import Hub, HubServer


@pytest.fixture
def world(hub_server: HubServer) -> World:
    """On a hub that checks every request and answer against GitHub's own description."""
    return World(hub_server)


@pytest.fixture
def quick_world(tmp_path: Path) -> Iterator[World]:
    """On a hub that checks nothing, for tests that make requests by the hundred."""
    hub = Hub.open(tmp_path / "hub")
    with HubServer(hub) as server:
        yield World(server)
    unknown = list(hub.unknown_routes)
    hub.close()
    assert not unknown
