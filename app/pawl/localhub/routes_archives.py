"""The repository at a commit, packed: a redirect to another host, as on GitHub."""

from __future__ import annotations

import io
import secrets
import tarfile
from typing import Any

from pawl.localhub.api import Call, R, Reply, route
from pawl.localhub.routes_git import resolve

LINK_SECONDS = 300


@route("GET", R + "/tarball/<path:ref>", "contents:read")
def tarball(call: Call) -> Reply:
    """A link to the archive, good for five minutes, that needs no token."""
    commit = resolve(call, call.args["ref"])
    key = secrets.token_urlsafe(24)
    until = call.hub.clock() + LINK_SECONDS
    call.hub.store.add("link", {"commit": commit, "of": call.repo["full_name"], "until": until}, key=key)
    at = call.hub.url.replace("127.0.0.1", "localhost")
    return Reply(302, None, {"Location": f"{at}/_blob/{key}/{commit[:7]}.tar.gz"})


def packed(hub: Any, link: dict[str, Any]) -> bytes:
    """The archive: everything in one folder that is named after the repository and the commit."""
    git = hub.git(hub.repository(link["of"]))
    top = f"{link['of'].replace('/', '-')}-{link['commit'][:7]}"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for entry in git.entries(git.commit(link["commit"]).tree.decode(), recursive=True):
            if entry.type != "blob":
                continue
            member = tarfile.TarInfo(f"{top}/{entry.path}")
            content = git.blob(entry.sha)
            if entry.mode == 0o120000:
                member.type, member.linkname, content = tarfile.SYMTYPE, content.decode(errors="replace"), b""
            member.size, member.mode = len(content), 0o755 if entry.mode == 0o100755 else 0o644
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()
