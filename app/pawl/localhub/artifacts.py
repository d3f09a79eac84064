"""Artifacts: what jobs leave behind for others, as zip files."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.gitstore import moment

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

ARTIFACT_SECONDS = 90 * 86_400


class Artifacts:
    """The artifacts of all repositories."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def path(self, artifact_id: int) -> Path:
        """Where the zip of an artifact lies."""
        return self.hub.home / "artifacts" / f"{artifact_id}.zip"

    def upload(self, job_id: int, name: str, files: Mapping[str, bytes] | bytes,
                        overwrite: bool = False) -> int:  # fmt: skip
        """Keep files (or a ready zip) under a name; 409 where this attempt of the run has it, unless `overwrite`.

        What an earlier attempt has left under that name stays, and is listed beside it.
        """
        data = files if isinstance(files, bytes) else _zip(files)
        with self.hub.store.transaction():
            job = self.hub.actions.job(job_id)
            for old in self.hub.store.all("artifact", job["repo"], job["run_id"]):
                if (old["name"], old["attempt"]) == (name, job["attempt"]):
                    if not overwrite:
                        raise HubError(409, "an artifact with this name already exists on the workflow run")
                    self.hub.store.remove(old)
            artifact = self.hub.store.add(
                "artifact",
                {
                    "name": name, "attempt": job["attempt"], "size": len(data),
                    "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "expired": False,
                    "created_at": self.hub.now(), "head_sha": job["head_sha"],
                    "head_branch": job["head_branch"], "expires_at": moment(self.hub.clock() + ARTIFACT_SECONDS),
                },
                job["repo"],
                job["run_id"],
            )  # fmt: skip
            path = self.path(artifact["id"])
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            return int(artifact["id"])

    def expire(self, artifact_id: int) -> None:
        """Let an artifact expire now."""
        with self.hub.store.transaction():
            artifact = self.hub.store.get("artifact", artifact_id)
            if not artifact:
                raise not_found()
            self.hub.store.save({**artifact, "expired": True})


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()
