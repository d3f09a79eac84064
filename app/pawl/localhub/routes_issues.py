"""Operations on issues, labels, comments, reactions."""

from __future__ import annotations

import re
from typing import Any

from pawl.localhub.api import Call, Listing, R, Reply, route
from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.hub import require_text
from pawl.localhub.shapes import Json
from pawl.localhub.store import Fact

_READ = ("issues:read", "pull_requests:read")
_WRITE = ("issues:write", "pull_requests:write")
_REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def find_issue(call: Call, pull: bool = False) -> Fact:
    """The issue, or only a pull request, that the path names; HubError 404."""
    return call.hub.pulls.find(call.repo, int(call.args["number"]), pull)


def in_order(call: Call, found: list[Fact]) -> list[Fact]:
    """Sorted as the query says, newest first where it says nothing."""
    key = {"updated": "updated_at", "comments": "comments"}.get(call.query.get("sort", ""), "created_at")
    down = call.query.get("direction", "desc") == "desc"
    return sorted(found, key=lambda issue: (issue.get(key, ""), issue["number"]), reverse=down)


@route("GET", R + "/issues", *_READ)
def issues(call: Call) -> Listing:
    """Issues and pull requests, open ones unless `state` says otherwise."""
    state, since = call.query.get("state", "open"), call.query.get("since", "")
    wanted = {name.lower() for name in call.query.get("labels", "").split(",") if name}
    found = [
        issue for issue in call.hub.store.all("issue", call.repo["id"])
        if state in ("all", issue["state"])
        and wanted <= {name.lower() for name in issue["labels"]}
        and call.query.get("creator", issue["user"]) == issue["user"]
        and issue["updated_at"] >= since
    ]  # fmt: skip
    return Listing(in_order(call, found), lambda issue: call.hub.shapes.issue(call.repo, issue))


@route("POST", R + "/issues", "issues:write")
def create_issue(call: Call) -> Reply:
    """Open an issue."""
    title = require_text(call.body.get("title"), "Issue", "title")
    names = [item if isinstance(item, str) else item["name"] for item in call.body.get("labels") or []]
    issue = call.hub.pulls.open(
        call.repo, call.actor, title, call.body.get("body"), names, via_app=call.via_app
    )
    return Reply(201, call.hub.shapes.issue(call.repo, issue))


@route("GET", R + "/issues/<int:number>", *_READ)
def issue(call: Call) -> Json:
    """One issue."""
    return call.hub.shapes.issue(call.repo, find_issue(call))


@route("PATCH", R + "/issues/<int:number>", *_WRITE)
def edit_issue(call: Call) -> Json:
    """Change an issue."""
    return call.hub.shapes.issue(
        call.repo, call.hub.pulls.edit(call.repo, find_issue(call), call.actor, call.body)
    )


# -- labels ------------------------------------------------------------------------------------------------------------


def _labels(call: Call, issue: Fact) -> Listing:
    return Listing(call.hub.shapes.labels(call.repo, issue), lambda shape: shape)


def _names(call: Call) -> list[str]:
    given = call.body.get("labels", call.body.get("", []))
    names = [item if isinstance(item, str) else item.get("name", "") for item in given or []]
    if any(not name or len(name) > 50 for name in names):
        raise invalid("Label", "name")
    return names


@route("GET", R + "/issues/<int:number>/labels", *_READ)
def issue_labels(call: Call) -> Listing:
    """What an issue is labelled."""
    return _labels(call, find_issue(call))


@route("GET", R + "/issues/<int:number>/events", *_READ)
def issue_events(call: Call) -> Listing:
    """What happened to an issue, oldest first; here its labels and its state alone."""
    found = call.hub.store.all("happening", call.repo["id"], find_issue(call)["number"])
    return Listing(found, lambda event: call.hub.shapes.happening(call.repo, event))


@route("POST", R + "/issues/<int:number>/labels", *_WRITE)
def add_labels(call: Call) -> Listing:
    """Put labels on."""
    found = find_issue(call)
    call.hub.pulls.set_labels(call.repo, found, [*found["labels"], *_names(call)], call.actor)
    return _labels(call, found)


@route("PUT", R + "/issues/<int:number>/labels", *_WRITE)
def replace_labels(call: Call) -> Listing:
    """Exactly these labels."""
    found = find_issue(call)
    call.hub.pulls.set_labels(call.repo, found, _names(call), call.actor)
    return _labels(call, found)


@route("DELETE", R + "/issues/<int:number>/labels", *_WRITE)
def clear_labels(call: Call) -> Reply:
    """No labels."""
    call.hub.pulls.set_labels(call.repo, find_issue(call), [], call.actor)
    return Reply(204)


@route("DELETE", R + "/issues/<int:number>/labels/<path:label>", *_WRITE)
def remove_label(call: Call) -> Listing:
    """Take one label off."""
    found, name = find_issue(call), call.args["label"].lower()
    if name not in [label.lower() for label in found["labels"]]:
        raise HubError(404, "Label does not exist")
    keep = [label for label in found["labels"] if label.lower() != name]
    call.hub.pulls.set_labels(call.repo, found, keep, call.actor)
    return _labels(call, found)


@route("GET", R + "/labels", *_READ)
def labels(call: Call) -> Listing:
    """The repository's labels."""
    found = call.hub.store.all("label", call.repo["id"])
    return Listing(found, lambda label: call.hub.shapes.label(call.repo, label))


def _label(call: Call) -> Fact:
    found = call.hub.pulls.label(call.repo, call.args["label"])
    if not found:
        raise not_found()
    return found


@route("POST", R + "/labels", *_WRITE)
def create_label(call: Call) -> Reply:
    """A new label."""
    name = require_text(call.body.get("name"), "Label", "name")
    color = str(call.body.get("color") or "ededed")
    if not re.fullmatch("[0-9a-fA-F]{6}", color):
        raise invalid("Label", "color")
    if len(name) > 50:
        raise invalid("Label", "name")
    if len(call.body.get("description") or "") > 100:
        raise invalid("Label", "description")
    label = call.hub.pulls.create_label(call.repo, call.actor, name, color, call.body.get("description"))
    return Reply(201, call.hub.shapes.label(call.repo, label))


@route("GET", R + "/labels/<path:label>", *_READ)
def get_label(call: Call) -> Json:
    """One label."""
    return call.hub.shapes.label(call.repo, _label(call))


@route("PATCH", R + "/labels/<path:label>", *_WRITE)
def edit_label(call: Call) -> Json:
    """Change a label; issues keep it under its new name."""
    label = _label(call)
    old = label["name"]
    label["name"] = call.body.get("new_name") or call.body.get("name") or old
    label["key"] = label["name"].lower()
    for name in ("color", "description"):
        label[name] = call.body.get(name, label[name])
    call.hub.store.save(label)
    for issue in call.hub.store.all("issue", call.repo["id"]):
        if old in issue["labels"]:
            issue["labels"] = [label["name"] if name == old else name for name in issue["labels"]]
            call.hub.store.save(issue)
    shape = call.hub.shapes.label(call.repo, label)
    call.hub.events.emit(call.repo, "label", call.actor, {"label": shape, "changes": {}}, "edited")
    return shape


@route("DELETE", R + "/labels/<path:label>", *_WRITE)
def delete_label(call: Call) -> Reply:
    """Remove a label, also from issues."""
    label = _label(call)
    call.hub.store.remove(label)
    for issue in call.hub.store.all("issue", call.repo["id"]):
        if label["name"] in issue["labels"]:
            issue["labels"].remove(label["name"])
            call.hub.store.save(issue)
    shape = call.hub.shapes.label(call.repo, label)
    call.hub.events.emit(call.repo, "label", call.actor, {"label": shape}, "deleted")
    return Reply(204)


# -- comments ----------------------------------------------------------------------------------------------------------


def _comment(call: Call) -> Fact:
    found = call.hub.store.get("comment", int(call.args["comment_id"]))
    if not found or found["repo"] != call.repo["id"]:
        raise not_found()
    return found


def _announce(call: Call, comment: Fact, action: str, **more: Any) -> None:
    issue = call.hub.pulls.find(call.repo, int(comment["key"]))
    shapes = call.hub.shapes
    payload = {"issue": shapes.issue(call.repo, issue), "comment": shapes.comment(call.repo, comment), **more}
    call.hub.events.emit(call.repo, "issue_comment", call.actor, payload, action)


def _text(call: Call) -> str:
    body = require_text(call.body.get("body"), "IssueComment", "body")
    call.hub.pulls.check_body(body, "IssueComment")
    return body


@route("GET", R + "/issues/<int:number>/comments", *_READ)
def comments(call: Call) -> Listing:
    """What was said on an issue, oldest first."""
    found = call.hub.store.all("comment", call.repo["id"], find_issue(call)["number"])
    found = [comment for comment in found if comment["updated_at"] >= call.query.get("since", "")]
    return Listing(found, lambda comment: call.hub.shapes.comment(call.repo, comment))


@route("GET", R + "/issues/comments", *_READ)
def all_comments(call: Call) -> Listing:
    """What was said on any issue or pull request. GitHub heeds `direction` only where `sort` is given."""
    found = call.hub.store.all("comment", call.repo["id"])
    found = [comment for comment in found if comment["updated_at"] >= call.query.get("since", "")]
    if "sort" in call.query:
        by = "updated_at" if call.query["sort"] == "updated" else "created_at"
        found.sort(
            key=lambda comment: (comment[by], comment["id"]), reverse=call.query.get("direction") == "desc"
        )
    return Listing(found, lambda comment: call.hub.shapes.comment(call.repo, comment))


@route("POST", R + "/issues/<int:number>/comments", *_WRITE)
def create_comment(call: Call) -> Reply:
    """Say something."""
    issue, now = find_issue(call), call.hub.now()
    body = {
        "body": _text(call),
        "user": call.actor,
        "created_at": now,
        "updated_at": now,
        "via_app": call.via_app,
    }
    comment = call.hub.store.add("comment", body, call.repo["id"], issue["number"])
    call.hub.pulls.touch(issue)
    _announce(call, comment, "created")
    return Reply(201, call.hub.shapes.comment(call.repo, comment))


@route("GET", R + "/issues/comments/<int:comment_id>", *_READ)
def get_comment(call: Call) -> Json:
    """One comment."""
    return call.hub.shapes.comment(call.repo, _comment(call))


@route("PATCH", R + "/issues/comments/<int:comment_id>", *_WRITE)
def edit_comment(call: Call) -> Json:
    """Rewrite a comment."""
    comment = _comment(call)
    before, comment["body"] = comment["body"], _text(call)
    comment["updated_at"] = call.hub.now()
    call.hub.store.save(comment)
    _announce(call, comment, "edited", changes={"body": {"from": before}})
    return call.hub.shapes.comment(call.repo, comment)


@route("DELETE", R + "/issues/comments/<int:comment_id>", *_WRITE)
def delete_comment(call: Call) -> Reply:
    """Remove a comment."""
    comment = _comment(call)
    _announce(call, comment, "deleted")
    call.hub.store.remove(comment)
    return Reply(204)


@route("GET", R + "/issues/comments/<int:comment_id>/reactions", *_READ)
def reactions(call: Call) -> Listing:
    """Reactions to a comment."""
    return Listing(call.hub.store.all("reaction", key=_comment(call)["id"]), call.hub.shapes.reaction)


@route("POST", R + "/issues/comments/<int:comment_id>/reactions", *_WRITE)
def react(call: Call) -> Reply:
    """React; saying the same again answers 200 with what is there."""
    comment, content = _comment(call), call.body.get("content")
    if content not in _REACTIONS:
        raise invalid("Reaction", "content")
    for old in call.hub.store.all("reaction", key=comment["id"]):
        if (old["user"], old["content"]) == (call.actor, content):
            return Reply(200, call.hub.shapes.reaction(old))
    body = {"user": call.actor, "content": content, "created_at": call.hub.now()}
    fact = call.hub.store.add("reaction", body, call.repo["id"], comment["id"])
    return Reply(201, call.hub.shapes.reaction(fact))
