"""The image that runs are made in: one that is named, or one built from a Dockerfile of the base."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pawl.core.config import Loop
from pawl.core.digest import canonical_json, sha256
from pawl.lab.errors import Refused
from pawl.lab.output import tail
from pawl.lab.sandbox import Folder
from pawl.lab.setup import fixed_inputs
from pawl.lab.tree import Overlay, remove

if TYPE_CHECKING:
    from docker import DockerClient

LOG_TAIL = 1500


def image_for(client: DockerClient, rules: Loop, overlay: Overlay, folder: Folder) -> str:
    """Id of the loop's image, built or pulled if it is not here yet.

    A Dockerfile is built with the base's tree as its context, less what is private and less the editable file, once for each
    digest of the loop's other inputs.

    Args:
        client: a Docker Engine.
        rules: with ``run.image``.
        overlay: the base.
        folder: a private folder for the build's context; must not exist yet.

    Raises:
        Refused: the image cannot be had or built; with the end of the log.
    """
    from docker.errors import BuildError, DockerException, ImageNotFound

    name = str(rules.run.image)
    dockerfile = name if any(entry.path == name for entry in overlay.entries) else ""
    if dockerfile:
        content = sha256((overlay.base / dockerfile).read_bytes())
        name = f"pawl-{sha256(canonical_json([content, fixed_inputs(overlay.entries, rules)]))[:32]}"
    try:
        try:
            found = client.images.get(name)
            if dockerfile:
                found.tag(name)  # the engine notes when: `lab.kept` removes what has not been used for long
            return str(found.id)
        except ImageNotFound:
            if not dockerfile:
                client.images.pull(name)
                return str(client.images.get(name).id)
        try:
            overlay.lay(folder, None, private=False)
            image, _ = client.images.build(
                path=str(folder.tree), dockerfile=dockerfile, tag=name, rm=True, forcerm=True
            )
            return str(image.id)
        finally:
            remove(folder.top)
    except BuildError as error:
        log = "".join(str(line.get("stream", "")) for line in error.build_log if isinstance(line, dict))
        raise Refused(
            f"The image of {dockerfile} could not be built: {error.msg}\nThe end of its log:\n{tail(log, LOG_TAIL)}"
        ) from None
    except DockerException as error:
        said = tail(str(getattr(error, "explanation", None) or error), 300)
        raise Refused(
            f"The image {rules.run.image} cannot be had: {said}. "
            "Put it on this machine, or name another in run.image."
        ) from None
