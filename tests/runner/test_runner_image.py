"""The runner's image: built from its Dockerfile, started as it says itself, and given a job. And the one for CUDA."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import docker
import pytest
from runner_kit import AS_ROOT, REPO, machine

import image_kit
from pawl.localhub import HubServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
DOCKER = Path(__file__).parents[2] / "docker"
TAG = "pawl-runner-test:latest"


@pytest.fixture(scope="module")
def image(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    context = tmp_path_factory.mktemp("context")
    image_kit.build("runner.Dockerfile", TAG, docker_image, "runner", context, PACKAGES="")
    yield TAG
    image_kit.remove(TAG)


@pytest.fixture
def engine() -> Iterator[Any]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


def said_options() -> dict[str, list[str]]:
    """The options of the `docker run` that the Dockerfile's head shows."""
    text = (DOCKER / "runner.Dockerfile").read_text()
    shown = re.search(r"docker run (.*?)\n#\n", text, re.DOTALL)
    assert shown is not None
    words = shlex.split(shown[1].replace("\\\n#", " "))
    found: dict[str, list[str]] = {}
    for option, value in pairwise(words):
        if option.startswith("--"):
            found.setdefault(option, []).append(value)
    return found


@AS_ROOT
def test_the_image_takes_a_job_under_the_restrictions_that_it_names(
    image: str, engine: Any, hub_server: HubServer
) -> None:
    options = said_options()
    with machine(hub_server) as box:
        token = box.home / "token"
        token.write_text(hub_server.hub.create_user("octo"))
        token.chmod(0o600)
        container = engine.containers.create(
            image,
            ["up", "--repo", REPO, "--api", hub_server.api_url],
            network_mode="host",
            hostname="box",
            cap_drop=options["--cap-drop"],
            cap_add=options["--cap-add"],
            security_opt=options["--security-opt"],
            volumes={
                str(token): {"bind": "/etc/pawl/runner-token", "mode": "ro"},
                str(box.home): {"bind": "/var/lib/pawl-runner"},
            },
        )
        try:
            container.start()
            box.said = Logs(container)  # type: ignore[assignment]
            said = box.ran(
                "id -un; pawl --version; cat /etc/pawl/runner-token | wc -c; grep Cap /proc/self/status"
            )
            assert said.splitlines()[0] == "pawl-job"
            assert said.splitlines()[1] == __import__("pawl").__version__
            assert said.splitlines()[2] == "0"
            assert "CapEff:\t0000000000000000" in said
            container.stop(timeout=60)
            assert container.wait(timeout=30)["StatusCode"] == 0, container.logs()
            assert box.runners() == []
        finally:
            container.remove(force=True, v=True)


class Logs:
    """What a container said, for a test that fails."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __repr__(self) -> str:
        return str(self._container.logs().decode())


def test_the_image_is_small_and_holds_no_web_framework(image: str, docker_image: str, engine: Any) -> None:
    sizes = [engine.images.get(name).attrs["Size"] for name in (image, docker_image)]
    assert sizes[0] - sizes[1] < 150e6
    listed = engine.containers.run(image, ["/opt/pawl"], entrypoint="ls", remove=True)
    assert b"pawl\n" in listed
    for unwanted in (b"flask", b"sqlalchemy", b"tests"):
        assert unwanted not in listed.lower()


def test_the_image_for_cuda_pins_what_the_constraints_pin_and_runs_as_nobody(
    docker_image: str, engine: Any
) -> None:
    """Built without torch, which no test here downloads: what is left is that the file is sound."""
    text = (DOCKER / "experiment-cuda.Dockerfile").read_text()
    pins = (DOCKER.parent / ".ci" / "constraints.txt").read_text().splitlines()
    torch = re.search(r'TORCH="([^"]*)"', text)
    assert torch is not None
    assert set(torch[1].split()) <= set(pins)
    arguments = {"BASE": docker_image, "PACKAGES": "", "TORCH": ""}
    made, _ = engine.images.build(
        path=str(DOCKER), dockerfile="experiment-cuda.Dockerfile", buildargs=arguments, rm=True
    )
    try:
        assert engine.containers.run(made.id, ["id", "-u"], remove=True).strip() == b"65534"
    finally:
        engine.images.remove(made.id, force=True)
