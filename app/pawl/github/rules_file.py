"""The file that holds the rules of a repository's loops, as it is on GitHub."""

from __future__ import annotations

import base64

from pawl.core.config import CONFIG_PATH
from pawl.github.client import Repository
from pawl.github.errors import NotFound
from pawl.github.facts import ConfigFile


def rules_file(client: Repository, ref: str = "") -> ConfigFile | None:
    """The file on a branch or commit, by default on the default branch; none where there is none.

    Raises:
        GitHubError: GitHub refuses, or does not answer.
    """
    try:
        data = client.get(f"contents/{CONFIG_PATH}", **({"ref": ref} if ref else {}))
    except NotFound:
        return None
    if not isinstance(data, dict) or data.get("type") != "file":
        return None  # a folder, a link or a submodule of that name
    return ConfigFile(data["sha"], base64.b64decode(data["content"]).decode("utf-8", errors="replace"))
