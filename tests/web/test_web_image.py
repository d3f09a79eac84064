"""The App's image: built from its Dockerfile, started as the compose file starts it, ready on a local GitHub."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from requests.adapters import HTTPAdapter
from ruamel.yaml import YAML
from urllib3.util import Retry

import image_kit
from pawl.localhub import Hub, HubServer

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
ROOT = Path(__file__).parents[2]
TAG = "pawl-app-test:latest"


@pytest.fixture(scope="module")
def image(docker_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, from a checkout with every package beside it: no container here reaches an index."""
    context = tmp_path_factory.mktemp("context")
    image_kit.build("app.Dockerfile", TAG, docker_image, "app,granian,llm,search", context)
    yield TAG
    image_kit.remove(TAG)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    """A GitHub with the App installed on one repository."""
    opened = Hub.open(tmp_path / "hub")
    opened.create_repository("octo/aim")
    opened.push_files("octo/aim", {"README.md": "An aim.\n"}, "Begin")
    opened.installations.install("octo/aim")
    with HubServer(opened) as server:
        yield server
    opened.close()


@pytest.fixture
def started(image: str, hub: HubServer) -> Iterator[Any]:
    """A container under the compose file's restrictions, on this machine's own network so that it finds the hub."""
    service = YAML(typ="safe").load(ROOT / "docker" / "compose.yaml")["services"]["pawl"]
    known, client = hub.hub.app, docker.from_env(timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    container = client.containers.run(
        image,
        detach=True,
        network_mode="host",
        read_only=service["read_only"],
        tmpfs=dict.fromkeys(service["tmpfs"], ""),
        cap_drop=service["cap_drop"],
        security_opt=service["security_opt"],
        environment={
            "PAWL_HOST": "127.0.0.1",
            "PAWL_PORT": str(port),
            "PAWL_API": hub.api_url,
            "PAWL_APP_ID": str(known.id),
            "PAWL_PRIVATE_KEY": known.private_key_pem,
            "PAWL_WEBHOOK_SECRET": known.webhook_secret,
        },
    )
    try:
        yield container, port
    finally:
        container.remove(force=True, v=True)
        client.close()


def test_the_image_starts_as_nobody_and_becomes_ready(started: Any) -> None:
    container, port = started
    said, stream = b"", container.logs(stream=True, follow=True)
    for chunk in stream:
        said += chunk
        if b'"serving"' in said:
            break
    stream.close()
    assert b'"serving"' in said, said.decode()
    session = requests.Session()
    session.mount(
        "http://", HTTPAdapter(max_retries=Retry(total=8, status_forcelist=[503], backoff_factor=0.1))
    )
    assert session.get(f"http://127.0.0.1:{port}/readyz", timeout=10).status_code == 200
    assert session.get(f"http://127.0.0.1:{port}/", timeout=10).json()["repositories"] == 1
    check = container.client.api.inspect_image(TAG)["Config"]["Healthcheck"]["Test"]
    code, output = container.exec_run(check[1:])
    assert code == 0, output
    assert container.exec_run(["id", "-u"]).output.strip() == b"10001"
    assert container.exec_run(["sh", "-c", "echo x > /opt/pawl/x"]).exit_code != 0
    assert container.exec_run(["ls", "/data"]).output.split() >= [b"pawl.db"]
    container.stop(timeout=20)
    assert container.wait(timeout=30)["StatusCode"] == 0


def test_the_image_is_small_and_holds_no_tests(image: str, docker_image: str) -> None:
    client = docker.from_env(timeout=60)
    try:
        sizes = [client.images.get(name).attrs["Size"] for name in (image, docker_image)]
        assert sizes[0] - sizes[1] < 400e6
        listed = client.containers.run(image, ["-c", "import os; print(os.listdir('/opt/pawl'))"],
                                       entrypoint="python3", remove=True)  # fmt: skip
        assert b"'pawl'" in listed
        assert b"tests" not in listed
    finally:
        client.close()
