"""Images that loops name by digest, fetched before the first job asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pawl.lab.output import one_line

if TYPE_CHECKING:
    from docker import DockerClient


def fetch(names: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Have the engine fetch what it lacks. What fails is said, and met again by the job that needs it.

    Images that loops build from a Dockerfile are made by the first job that needs them, from the commit that it measures.
    """
    import docker
    from docker.errors import DockerException

    if not names:
        return
    try:
        client = docker.from_env(timeout=3600)
    except (DockerException, OSError) as error:
        say(f"images were not fetched: no Docker Engine answers ({one_line(str(error), 200)})")
        return
    try:
        for name in names:
            _fetch(client, name, say)
    finally:
        client.close()


def _fetch(client: DockerClient, name: str, say: Callable[[str], None]) -> None:
    from docker.errors import DockerException, ImageNotFound

    try:
        try:
            client.images.get(name)
        except ImageNotFound:
            say(f"fetching {one_line(name, 200)}")
            client.images.pull(name)
    except (DockerException, OSError) as error:
        say(f"{one_line(name, 200)} was not fetched: {one_line(str(error), 200)}")
