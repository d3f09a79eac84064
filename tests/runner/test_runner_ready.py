"""What a machine has ready before the first job."""

from __future__ import annotations

import pytest
from runner_kit import REPO, repository

from pawl.core.config_file import ConfigError
from pawl.github.runners import pinned_images
from pawl.localhub import HubServer
from pawl.runner.images import fetch

PINNED = f"registry.example.org/torch@sha256:{'0a' * 32}"
RULES = f"""\
version: 1
loops:
  one:
    program: program.md
    edit: train.py
    metric: {{name: loss, goal: minimize}}
    budget: 10s
    run: {{command: python train.py, image: "{PINNED}"}}
  two:
    program: program.md
    edit: other.py
    metric: {{name: loss, goal: minimize}}
    budget: 10s
    run: {{command: python other.py, image: docker/two.Dockerfile}}
"""


def test_images_that_loops_pin_are_known(hub_server: HubServer) -> None:
    client = repository(hub_server.hub)
    assert pinned_images(client) == ()
    hub_server.hub.push_files(REPO, {".github/pawl.yml": RULES}, "Rules")
    assert pinned_images(client) == (PINNED,)
    hub_server.hub.push_files(REPO, {".github/pawl.yml": "version: 2"}, "Broken rules")
    with pytest.raises(ConfigError):
        pinned_images(client)


@pytest.mark.docker
def test_an_image_that_cannot_be_had_is_said_and_stops_nothing(docker_image: str) -> None:
    said: list[str] = []
    fetch((docker_image, "localhost:9/nothing@sha256:" + "0a" * 32), said.append)
    assert [line.split()[0] for line in said] == ["fetching", "localhost:9/nothing@sha256:" + "0a" * 32]
    assert "was not fetched" in said[1]
    fetch((), said.append)
    assert len(said) == 2
