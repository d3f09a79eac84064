"""Clone, fetch and push over smart HTTP, with a token as password."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from io import BytesIO
from typing import Any, cast

import flask
from dulwich.protocol import ReceivableProtocol
from dulwich.server import Backend, ReceivePackHandler, UploadPackHandler

from pawl.localhub.api import Caller, admit, authenticate
from pawl.localhub.errors import HubError
from pawl.localhub.hub import Hub
from pawl.localhub.refs import ZERO
from pawl.localhub.store import Fact

SERVICES = {"git-upload-pack": "contents:read", "git-receive-pack": "contents:write"}


class _One(Backend):
    """A backend with one repository."""

    def __init__(self, repo: Any) -> None:
        self.repo = repo

    def open_repository(self, path: Any) -> Any:
        return self.repo


class _Push(ReceivePackHandler):
    """A push whose refs are judged and moved by the hub, not by git."""

    hub: Hub
    target: Fact
    actor: str

    def _on_update(self, ref_name: Any, old_sha: Any, new_sha: Any) -> bytes | None:
        name, old, new = ref_name.decode(), old_sha.decode(), new_sha.decode()
        current = self.hub.store.ref(self.target["id"], name)
        if (current or ZERO) != old:
            return b"remote ref has moved"
        try:  # Git itself lets force through; a protected branch does not.
            self.hub.refs.check(
                self.target, name, current, None if new == ZERO else new, self.actor, force=True
            )
        except HubError as error:
            return f"protected branch hook declined: {error.message}".encode()
        return None

    def _on_post_receive(self, client_refs: Any) -> None:
        for _, new, ref in client_refs:
            sha = None if new.decode() == ZERO else new.decode()
            self.hub.refs.update(self.target, ref.decode(), sha, self.actor, checked=False)


def serve(hub: Hub, full_name: str, service: str, advertise: bool) -> flask.Response:
    """Answer one git request."""
    if service not in SERVICES:
        return flask.Response("Unsupported service", 403, mimetype="text/plain")
    try:
        caller = authenticate(hub, flask.request.headers.get("Authorization", ""))
        repo = hub.repository(full_name)
        admit(hub, caller, (SERVICES[service],), repo)
    except HubError as error:
        return _refused(error, flask.request.headers.get("Authorization"))
    body = flask.request.get_data()
    if flask.request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    if service == "git-receive-pack" and not advertise:
        with hub.store.transaction():
            data = _talk(hub, repo, service, caller, body, advertise)
    else:
        data = _talk(hub, repo, service, caller, body, advertise)
    kind = "advertisement" if advertise else "result"
    response = flask.Response(data, mimetype=f"application/x-{service}-{kind}")
    response.headers["Cache-Control"] = "no-cache"
    return response


def _refused(error: HubError, authorization: str | None) -> flask.Response:
    # Git asks for a password only when it is challenged, also where GitHub hides that a repository exists.
    if not authorization:
        headers = {"WWW-Authenticate": 'Basic realm="GitHub"'}
        return flask.Response("Authentication required", 401, headers, mimetype="text/plain")
    return flask.Response(error.message, error.status, mimetype="text/plain")


def _talk(hub: Hub, repo: Fact, service: str, caller: Caller, body: bytes, advertise: bool) -> bytes:
    out: list[bytes] = []

    def write(data: bytes) -> int:
        out.append(data)
        return len(data)

    handle = hub.git(repo).open_for(hub.store.refs(repo["id"]), repo["default_branch"])
    try:
        protocol = ReceivableProtocol(BytesIO(body).read, write)
        kind: Any = UploadPackHandler if service == "git-upload-pack" else _Push
        handler = kind(
            _One(handle), cast(Iterable[str], ["/"]), protocol, stateless_rpc=True, advertise_refs=advertise
        )
        if service == "git-receive-pack":
            handler.hub, handler.target, handler.actor = hub, repo, caller.login
        if advertise:
            protocol.write_pkt_line(f"# service={service}\n".encode())
            protocol.write_pkt_line(None)
        handler.handle()
    finally:
        handle.close()
    return b"".join(out)
