"""Probes of git's side of GitHub's API: refs, objects, contents, and how refusals are worded."""

from __future__ import annotations

import base64

from pawl.commands.probing import Ground, Skipped, require
from pawl.core.digest import git_blob_sha
from pawl.github.errors import Conflict, NotFound, Unprocessable


def ref_exists(ground: Ground) -> str:
    """A ref is created a second time."""
    name = ground.branch("twice")
    body = {"ref": f"refs/heads/{name}", "sha": ground.tip}
    refused = ground.refusal(lambda: ground.client.post("git/refs", body), 422)
    require(isinstance(refused, Unprocessable) and refused.already_exists, f"it says {refused.message!r}")
    return refused.message


def unforced_refuses(ground: Ground) -> str:
    """A branch is moved to a commit that does not contain it, without force."""
    first, other = (ground.commit(ground.tip, text)["sha"] for text in ("one", "other"))
    name = ground.branch("forward", first)
    body = {"sha": other, "force": False}
    refused = ground.refusal(lambda: ground.client.patch(f"git/refs/heads/{name}", body), 422)
    require(isinstance(refused, Unprocessable) and refused.not_fast_forward, f"it says {refused.message!r}")
    now = ground.client.get(f"git/ref/heads/{name}")["object"]["sha"]
    require(now == first, f"the branch moved to {now} all the same")
    return refused.message


def forced_moves(ground: Ground) -> str:
    """The same with force."""
    first, other = (ground.commit(ground.tip, text)["sha"] for text in ("first", "second"))
    name = ground.branch("forced", first)
    ground.client.patch(f"git/refs/heads/{name}", {"sha": other, "force": True})
    now = ground.client.get(f"git/ref/heads/{name}")["object"]["sha"]
    require(now == other, f"the branch is at {now}")
    return ""


def delete_twice(ground: Ground) -> str:
    """A branch is deleted a second time."""
    name = ground.branch("gone")
    ground.client.delete(f"git/refs/heads/{name}")
    refused = ground.refusal(lambda: ground.client.delete(f"git/refs/heads/{name}"), 404, 422)
    return f"{refused.status}: {refused.message}"


def prefix_matches(ground: Ground) -> str:
    """Refs are listed by the beginning of their names."""
    name = ground.branch("prefix")
    ground.client.post("git/refs", {"ref": f"refs/heads/{name}-and-more", "sha": ground.tip})
    found = {item["ref"] for item in ground.client.get(f"git/matching-refs/heads/{name}")}
    wanted = {f"refs/heads/{name}", f"refs/heads/{name}-and-more"}
    require(found == wanted, f"it lists {sorted(found)}")
    none = ground.client.get(f"git/matching-refs/heads/{ground.prefix}/nothing-here")
    require(none == [], f"for a name that is not there it lists {none}")
    return ""


def own_namespace(ground: Ground) -> str:
    """A ref that is no branch and no tag, like the kill switch's."""
    name = f"refs/{ground.name('ref')}"
    ground.client.post("git/refs", {"ref": name, "sha": ground.tip})
    found = [item["ref"] for item in ground.client.get(f"git/matching-refs/{name.removeprefix('refs/')}")]
    require(found == [name], f"it lists {found}")
    ground.client.delete(f"git/{name}")
    return ""


def orphan_branch(ground: Ground) -> str:
    """A branch whose first commit has no parent, and then one more on top."""
    first = ground.commit(None, "alone")
    require(first["parents"] == [], "the commit has parents")
    name = ground.branch("orphan", first["sha"])
    second = ground.commit(first["sha"], "not alone")
    ground.client.patch(f"git/refs/heads/{name}", {"sha": second["sha"], "force": False})
    listing = ground.client.get(f"git/trees/{second['sha']}")["tree"]
    require([item["path"] for item in listing] == ["pawl-conformance.txt"], "its tree holds other files")
    return ""


def tree_keeps_rest(ground: Ground) -> str:
    """A tree made from another one with one file changed."""
    before = {
        item["path"]: item for item in ground.client.get(f"git/trees/{ground.tip}", recursive="1")["tree"]
    }
    made = ground.commit(ground.tip, "changed")
    after = {
        item["path"]: item
        for item in ground.client.get(f"git/trees/{made['tree']['sha']}", recursive="1")["tree"]
    }
    changed = {
        path
        for path in before.keys() | after.keys()
        if (before.get(path) or {}).get("sha") != (after.get(path) or {}).get("sha")
    }
    require(changed == {"pawl-conformance.txt"}, f"it changes {sorted(changed)}")
    require(after["pawl-conformance.txt"]["mode"] == "100644", "the mode is another")
    return ""


def blob_name(ground: Ground) -> str:
    """The name that a blob gets, and its bytes."""
    data = bytes(range(256))
    encoded = {"content": base64.b64encode(data).decode(), "encoding": "base64"}
    sha = ground.client.post("git/blobs", encoded)["sha"]
    require(sha == git_blob_sha(data), f"the name is {sha}, git's is {git_blob_sha(data)}")
    back = base64.b64decode(ground.client.get(f"git/blobs/{sha}")["content"])
    require(back == data, "the bytes are others")
    return ""


def commit_as_written(ground: Ground) -> str:
    """A commit's message and parents, read back."""
    message = "Subject\n\nBody with ümlauts and a trailer\n\nPawl-Effect: +0.01"
    sha = ground.commit(ground.tip, "message", message)["sha"]
    read = ground.client.get(f"git/commits/{sha}")
    require(read["message"].strip() == message, f"the message is {read['message']!r}")
    require([parent["sha"] for parent in read["parents"]] == [ground.tip], "the parents are others")
    return ""


def contents_commit(ground: Ground) -> str:
    """A file put on a branch, and put there again with a name of its content that has passed."""
    name = ground.branch("contents")
    made = ground.put(name, "pawl-conformance.txt", "one\n", None, "Put [skip ci]")
    commit, blob = made["commit"], made["content"]["sha"]
    require([parent["sha"] for parent in commit["parents"]] == [ground.tip], "it is not on top of the branch")
    require(commit["tree"]["sha"] and commit["message"] == "Put [skip ci]", "the commit is not told whole")
    require(
        ground.client.get(f"git/ref/heads/{name}")["object"]["sha"] == commit["sha"],
        "the branch is elsewhere",
    )
    ground.put(name, "pawl-conformance.txt", "two\n", blob, "Again [skip ci]")
    refused = ground.refusal(
        lambda: ground.put(name, "pawl-conformance.txt", "three\n", blob, "Stale [skip ci]"), 409
    )
    require(isinstance(refused, Conflict), f"it says {refused.message!r}")
    return refused.message


def branch_told(ground: Ground) -> str:
    """What one answer tells of a branch: its tip with tree, parents and message, and its protection."""
    sha = ground.commit(ground.tip, "told")["sha"]
    data = ground.client.get(f"branches/{ground.branch('told', sha)}")
    inner = data["commit"]["commit"]
    require(
        data["commit"]["sha"] == sha and data["commit"]["parents"][0]["sha"] == ground.tip,
        "it is another commit",
    )
    require(inner["tree"]["sha"] and inner["message"], "tree or message are missing")
    require(data["protected"] is False, "a new branch is told as protected")
    return ""


def verified(ground: Ground) -> str:
    """Whether the App's commits are signed."""
    if ground.app is None:
        raise Skipped("only an App's commits are signed by GitHub; this is a plain token")
    if ground.local:
        raise Skipped("the local GitHub signs nothing")
    put = ground.put(ground.branch("signed"), "pawl-conformance.txt", "signed\n", None, "Signed? [skip ci]")
    for way, made in (("put", put["commit"]), ("made as an object", ground.commit(ground.tip, "signed"))):
        told = made["verification"]
        require(told["verified"], f"a commit that was {way} is not verified: {told['reason']}")
    return ""


def missing_is_404(ground: Ground) -> str:
    """Something that is not there."""
    refused = ground.refusal(lambda: ground.client.get(f"branches/{ground.prefix}/nowhere"), 404)
    require(isinstance(refused, NotFound), f"it is a {type(refused).__name__}")
    return refused.message


def not_permitted(ground: Ground) -> str:
    """An operation that Pawl's token may not do: it has no say over runners."""
    if ground.app is None:
        raise Skipped("a plain token may be one of an administrator; an App's is needed")
    refused = ground.refusal(lambda: ground.client.get("actions/runners"), 403)
    return refused.message


def limits_told(ground: Ground) -> str:
    """The headers that say how many requests are left."""
    headers, _ = ground.recorder.send("GET", f"/repos/{ground.client.name}")
    left, reset = headers.get("x-ratelimit-remaining", ""), headers.get("x-ratelimit-reset", "")
    require(str(left).isdigit() and str(reset).isdigit(), f"remaining is {left!r}, reset is {reset!r}")
    return f"{left} left"
