"""Operations on git data, contents and commits."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dulwich.refs import Ref, check_ref_format

from pawl.localhub.api import Call, Listing, R, Reply, route
from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.gitstore import Person
from pawl.localhub.shapes import Json

_MODES = {"100644", "100755", "040000", "160000", "120000"}


def resolve(call: Call, ref: str) -> str:
    """The commit that a branch, tag, full ref or SHA names; HubError 404."""
    store, repo = call.hub.store, call.repo
    for name in (f"refs/heads/{ref}", f"refs/tags/{ref}", ref, f"refs/{ref}"):
        if sha := store.ref(repo["id"], name):
            return sha
    if len(ref) == 40 and call.hub.git(repo).has(ref):
        return ref
    if ref == "HEAD" and (sha := store.ref(repo["id"], f"refs/heads/{repo['default_branch']}")):
        return sha
    raise not_found()


def _may_change(call: Call, path: str) -> None:
    """HubError 403 for an App that would write a workflow without the permission `workflows`, besides `contents`."""
    allowed = (
        call.caller.kind not in ("installation", "job") or call.caller.permissions.get("workflows") == "write"
    )
    if path.startswith(".github/workflows/") and not allowed:
        raise HubError(403, "Resource not accessible by integration")


@route("GET", R + "/git/ref/<path:ref>", "contents:read")
def get_ref(call: Call) -> Json:
    """One ref."""
    name = "refs/" + call.args["ref"]
    sha = call.hub.store.ref(call.repo["id"], name)
    if sha is None:
        raise not_found()
    return call.hub.shapes.ref(call.repo, name, sha)


@route("GET", R + "/git/matching-refs/<path:ref>", "contents:read")
def matching_refs(call: Call) -> Listing:
    """Refs that begin so."""
    refs = call.hub.store.refs(call.repo["id"], "refs/" + call.args["ref"])
    return Listing(list(refs.items()), lambda item: call.hub.shapes.ref(call.repo, *item))


@route("POST", R + "/git/refs", "contents:write")
def create_ref(call: Call) -> Reply:
    """A new ref."""
    name, sha = str(call.body.get("ref", "")), str(call.body.get("sha", ""))
    if not name.startswith("refs/") or name.count("/") < 2 or not check_ref_format(Ref(name.encode())):
        raise HubError(422, "Reference name must start with 'refs/' and be well formed.")
    git = call.hub.git(call.repo)
    if not git.has(sha):
        raise HubError(422, "Object does not exist")
    if call.hub.store.ref(call.repo["id"], name):
        raise HubError(422, "Reference already exists")
    call.hub.refs.update(call.repo, name, sha, call.actor)
    return Reply(201, call.hub.shapes.ref(call.repo, name, sha))


@route("PATCH", R + "/git/refs/<path:ref>", "contents:write")
def update_ref(call: Call) -> Json:
    """Move a ref, forward only unless forced."""
    name, sha = "refs/" + call.args["ref"], str(call.body.get("sha", ""))
    if call.hub.store.ref(call.repo["id"], name) is None:
        raise HubError(422, "Reference does not exist")
    if not call.hub.git(call.repo).has(sha):
        raise HubError(422, "Object does not exist")
    call.hub.refs.update(call.repo, name, sha, call.actor, force=bool(call.body.get("force")))
    return call.hub.shapes.ref(call.repo, name, sha)


@route("DELETE", R + "/git/refs/<path:ref>", "contents:write")
def delete_ref(call: Call) -> Reply:
    """Remove a ref."""
    name = "refs/" + call.args["ref"]
    if call.hub.store.ref(call.repo["id"], name) is None:
        raise HubError(422, "Reference does not exist")
    call.hub.refs.update(call.repo, name, None, call.actor)
    return Reply(204)


@route("GET", R + "/git/commits/<sha>", "contents:read")
def git_commit(call: Call) -> Json:
    """A commit object."""
    return call.hub.shapes.git_commit(call.repo, call.args["sha"])


def _person(call: Call, given: Any, default: Person) -> Person:
    if not given:
        return default
    when = default.when
    if given.get("date"):
        when = int(datetime.fromisoformat(given["date"].replace("Z", "+00:00")).timestamp())
    return Person(given.get("name") or default.name, given.get("email") or default.email, when)


@route("POST", R + "/git/commits", "contents:write")
def create_commit(call: Call) -> Reply:
    """A new commit object."""
    git = call.hub.git(call.repo)
    tree, parents = call.body.get("tree"), call.body.get("parents") or []
    if not tree or not git.is_tree(tree):
        raise HubError(422, "Tree SHA does not exist")
    if any(not git.has(sha) for sha in parents):
        raise HubError(422, "Parent SHA does not exist or is not a commit object")
    author = _person(call, call.body.get("author"), call.hub.identity(call.actor))
    committer = _person(call, call.body.get("committer"), author)
    sha = git.write_commit(tree, parents, call.body["message"], author, committer)
    return Reply(201, call.hub.shapes.git_commit(call.repo, sha))


@route("GET", R + "/git/trees/<path:sha>", "contents:read")
def get_tree(call: Call) -> Json:
    """A tree, with everything below where `recursive`."""
    git = call.hub.git(call.repo)
    wanted = call.args["sha"]
    tree = git.tree(wanted if len(wanted) == 40 else resolve(call, wanted)).id.decode()
    entries = git.entries(tree, recursive="recursive" in call.query)
    return {
        "sha": tree, "url": call.hub.shapes.api(call.repo, f"/git/trees/{tree}"), "truncated": False,
        "tree": [call.hub.shapes.tree_entry(call.repo, entry) for entry in entries],
    }  # fmt: skip


@route("POST", R + "/git/trees", "contents:write")
def create_tree(call: Call) -> Reply:
    """A new tree from a base and changes."""
    git = call.hub.git(call.repo)
    base = call.body.get("base_tree")
    if base and not git.is_tree(base):
        raise HubError(422, "base_tree is not a valid tree")
    changes: list[tuple[str, int | None, str | None]] = []
    for item in call.body.get("tree") or []:
        path = str(item.get("path", ""))
        if not path or path.startswith("/") or ".git" in path.split("/") or ".." in path.split("/"):
            raise HubError(422, "tree.path contains a malformed path component")
        if item.get("mode", "100644") not in _MODES:
            raise HubError(422, "Must supply a valid tree.mode")
        _may_change(call, path)
        if item.get("content") is not None:
            if item.get("sha"):
                raise HubError(422, "Must supply either tree.sha or tree.content, not both")
            changes.append(
                (path, int(item.get("mode", "100644"), 8), git.write_blob(item["content"].encode()))
            )
        elif item.get("sha") is None:
            if not base or not git.entry(base, path):
                raise HubError(422, f"GitRPC::BadObjectState: {path} does not exist")
            changes.append((path, None, None))
        else:
            try:
                git._object(item["sha"])
            except HubError:
                raise HubError(422, f"tree.sha {item['sha']} is not a valid object") from None
            changes.append((path, int(item.get("mode", "100644"), 8), item["sha"]))
    tree = git.write_tree(base, changes)
    return Reply(201, {
        "sha": tree, "url": call.hub.shapes.api(call.repo, f"/git/trees/{tree}"), "truncated": False,
        "tree": [call.hub.shapes.tree_entry(call.repo, entry) for entry in git.entries(tree)],
    })  # fmt: skip


@route("GET", R + "/git/blobs/<sha>", "contents:read")
def get_blob(call: Call) -> Json | Reply:
    """A blob, as base64 or raw."""
    if "raw" in call.accept:
        return Reply(200, raw=call.hub.git(call.repo).blob(call.args["sha"]))
    return call.hub.shapes.blob(call.repo, call.args["sha"])


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise HubError(422, 'Invalid request.\n\n"content" wasn\'t supplied.')
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error:
        raise HubError(422, "content is not valid Base64") from None


@route("POST", R + "/git/blobs", "contents:write")
def create_blob(call: Call) -> Reply:
    """A new blob."""
    content = call.body.get("content", "")
    data = _decoded(content) if call.body.get("encoding") == "base64" else content.encode()
    sha = call.hub.git(call.repo).write_blob(data)
    return Reply(201, {"sha": sha, "url": call.hub.shapes.api(call.repo, f"/git/blobs/{sha}")})


@route("GET", R + "/contents/", "contents:read")
@route("GET", R + "/contents/<path:path>", "contents:read")
def contents(call: Call) -> Any:
    """A file, or what a folder holds."""
    ref = call.query.get("ref") or call.repo["default_branch"]
    try:
        sha = resolve(call, ref)
    except HubError:
        raise HubError(404, f"No commit found for the ref {ref}" if "ref" in call.query else
                       "This repository is empty.") from None  # fmt: skip
    git = call.hub.git(call.repo)
    path = call.args.get("path", "").strip("/")
    entry = git.entry(sha, path)
    if entry is None:
        raise not_found()
    if entry.type == "tree":
        prefix = path + "/" if path else ""
        return [
            call.hub.shapes.content(call.repo, item, ref, full=False)
            for item in git.entries(entry.sha, prefix=prefix)
        ]
    if "raw" in call.accept:
        return Reply(200, raw=git.blob(entry.sha))
    return call.hub.shapes.content(call.repo, entry, ref, full=True)


@route("PUT", R + "/contents/<path:path>", "contents:write")
def put_contents(call: Call) -> Reply:
    """Create or replace a file by a commit; `sha` guards a replacement."""
    git, repo, path = call.hub.git(call.repo), call.repo, call.args["path"]
    _may_change(call, path)
    branch = call.body.get("branch") or repo["default_branch"]
    name = f"refs/heads/{branch}"
    tip = call.hub.store.ref(repo["id"], name)
    if tip is None and branch != repo["default_branch"]:
        raise HubError(404, f"Branch {branch} not found")
    if not call.body.get("message"):
        raise invalid("Commit", "message", "missing_field")
    old = git.entry(tip, path) if tip else None
    given = call.body.get("sha")
    if "sha" in call.body and not isinstance(given, str):
        kind = "nil" if given is None else given
        raise HubError(422, f"Invalid request.\n\nFor 'properties/sha', {kind} is not a string.")
    if old and not given:
        raise HubError(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
    if given and (not old or old.sha != given):
        raise HubError(409, f"{path} does not match {given}")
    blob = git.write_blob(_decoded(call.body.get("content")))
    tree = git.write_tree(tip, [(path, old.mode if old else 0o100644, blob)])
    committer = _person(call, call.body.get("committer"), call.hub.identity(call.actor))
    author = _person(call, call.body.get("author"), committer)
    sha = git.write_commit(tree, [tip] if tip else [], call.body["message"], author, committer)
    call.hub.refs.update(repo, name, sha, call.actor)
    entry = git.entry(sha, path)
    assert entry is not None
    content = call.hub.shapes.content(repo, entry, branch, full=False)
    return Reply(200 if old else 201, {"content": content, "commit": call.hub.shapes.git_commit(repo, sha)})


@route("GET", R + "/compare/<path:basehead>", "contents:read")
def compare(call: Call) -> Json:
    """How two commits relate, and the files between the fork and the head."""
    left, dots, right = call.args["basehead"].partition("...")
    if not dots:
        raise not_found()
    owner = call.repo["owner"] + ":"
    base, head = (resolve(call, text.removeprefix(owner)) for text in (left, right))
    git, shapes, repo = call.hub.git(call.repo), call.hub.shapes, call.repo
    fork = git.merge_base(base, head)
    if fork is None:
        raise HubError(404, f"No common ancestor between {left} and {right}.")
    ahead, behind = git.log(head, [base])[::-1], git.log(base, [head])
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    at, page = (
        shapes.api(repo, f"/compare/{quote(left)}...{quote(right)}"),
        shapes.html(repo, f"/compare/{base}...{head}"),
    )
    return {
        "url": at, "html_url": page, "permalink_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
        "base_commit": shapes.commit(repo, base), "merge_base_commit": shapes.commit(repo, fork), "status": status,
        "ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead),
        "commits": [shapes.commit(repo, sha) for sha in ahead[:250]],
        "files": [shapes.file(repo, head, change) for change in git.changes(fork, head)][:300],
    }  # fmt: skip


def _parent(call: Call, sha: str) -> str | None:
    parents = call.hub.git(call.repo).commit(sha).parents
    return parents[0].decode() if parents else None


@route("GET", R + "/commits", "contents:read")
def commits(call: Call) -> Listing:
    """The history of a branch or commit, newest first."""
    try:
        sha = resolve(call, call.query.get("sha") or call.repo["default_branch"])
    except HubError:
        raise HubError(404 if "sha" in call.query else 409, "Not Found" if "sha" in call.query else
                       "Git Repository is empty.") from None  # fmt: skip
    git = call.hub.git(call.repo)
    found = git.log(sha)
    if path := call.query.get("path"):
        found = [
            item for item in found
            if any(
                change.path == path or change.path.startswith(path.rstrip("/") + "/")
                for change in git.changes(_parent(call, item), item)
            )
        ]  # fmt: skip
    return Listing(found, lambda item: call.hub.shapes.commit(call.repo, item))


@route("GET", R + "/commits/<path:ref>", "contents:read")
def commit(call: Call) -> Json:
    """One commit with its files."""
    try:
        sha = resolve(call, call.args["ref"])
    except HubError:
        raise HubError(422, f"No commit found for SHA: {call.args['ref']}") from None
    return call.hub.shapes.commit(call.repo, sha, files=True)
