"""What measuring jobs leave on a machine for the next ones, and what of it can go: setups, and built images."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pawl.lab.locks import try_lock
from pawl.lab.setup import folder_of
from pawl.lab.tree import remove

if TYPE_CHECKING:
    from docker import DockerClient

BUILT = re.compile(r"pawl-[0-9a-f]{32}:latest")
"""Names of images that were built from a loop's Dockerfile (`lab.image`)."""


def prune_setups(cache: Path, before: float) -> Iterator[str]:
    """Remove setups that no job has begun to use since a time, in seconds since 1970; gives the digest of each.

    One that is being made is left alone. A job that uses one has looked at it when it began, so `before` must be longer ago
    than any job lasts: GitHub ends them after five days.
    """
    for top in (folder_of(cache, "setup"), folder_of(cache, "evaluate")):
        for place in sorted(top.iterdir()) if top.is_dir() else ():
            done, lock = place / "done.json", cache / "locks" / f"setup-{place.name}"
            if (done if done.exists() else place).stat().st_mtime >= before:
                continue
            # A lock that root made could not be opened by the jobs' user; whoever makes a setup has made its lock.
            handle = try_lock(lock) if lock.exists() else os.open(top, os.O_RDONLY | os.O_CLOEXEC)
            if handle is None:
                continue
            try:
                done.unlink(missing_ok=True)
                remove(place)
            finally:
                os.close(handle)
            yield place.name


def prune_images(client: DockerClient, before: float) -> Iterator[str]:
    """Remove images built for loops that no job has begun to use since a time; gives the name of each.

    Raises:
        docker.errors.DockerException: the engine does not answer.
    """
    from docker.errors import APIError

    for image in client.images.list(filters={"reference": "pawl-*"}):
        for name in filter(BUILT.fullmatch, image.tags):
            if _used(image.attrs) >= before:
                continue
            try:
                client.images.remove(name)
            except APIError:
                continue  # a container uses it
            yield name.removesuffix(":latest")


def _used(told: dict[str, object]) -> float:
    """When an image was last named, which every job that uses it does; engines that do not know say when it was made."""
    metadata = told.get("Metadata")
    tagged = str(metadata.get("LastTagTime", "")) if isinstance(metadata, dict) else ""
    return max(_seconds(tagged), _seconds(str(told["Created"])))


def _seconds(text: str) -> float:
    try:
        # Nanoseconds are more than Python reads.
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return moment.timestamp() if moment > datetime(1970, 1, 1, tzinfo=UTC) else 0.0
