"""Operations on pull requests and their reviews."""

from __future__ import annotations

from pawl.localhub.api import Call, Listing, R, Reply, route
from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.hub import require_text
from pawl.localhub.routes_issues import find_issue, in_order
from pawl.localhub.shapes import Json
from pawl.localhub.store import Fact


@route("GET", R + "/pulls", "pull_requests:read")
def pulls(call: Call) -> Listing:
    """Pull requests, open ones unless `state` says otherwise."""
    state, head, base = call.query.get("state", "open"), call.query.get("head"), call.query.get("base")
    found = [
        issue for issue in call.hub.store.all("issue", call.repo["id"])
        if issue["pull"]
        and state in ("all", issue["state"])
        # Without an owner GitHub ignores the filter, and does not say so.
        and (not head or ":" not in head or head == f"{call.repo['owner']}:{issue['pull']['head_ref']}")
        and (not base or base == issue["pull"]["base_ref"])
    ]  # fmt: skip
    return Listing(in_order(call, found), lambda issue: call.hub.shapes.pull(call.repo, issue, full=False))


@route("POST", R + "/pulls", "pull_requests:write")
def create_pull(call: Call) -> Reply:
    """Open a pull request."""
    require_text(call.body.get("title"), "PullRequest", "title")
    if call.caller.kind == "job" and not call.repo.get("actions_may_open_pulls"):
        raise HubError(403, "GitHub Actions is not permitted to create or approve pull requests.")
    issue = call.hub.pulls.create(call.repo, call.actor, {**call.body, "via_app": call.via_app})
    return Reply(201, call.hub.shapes.pull(call.repo, issue))


@route("GET", R + "/pulls/<int:number>", "pull_requests:read")
def pull(call: Call) -> Json:
    """One pull request."""
    return call.hub.shapes.pull(call.repo, find_issue(call, pull=True))


@route("PATCH", R + "/pulls/<int:number>", "pull_requests:write")
def edit_pull(call: Call) -> Json:
    """Change title, body, state or base."""
    issue = find_issue(call, pull=True)
    base = call.body.get("base")
    if base and base != issue["pull"]["base_ref"]:
        tip = call.hub.store.ref(call.repo["id"], f"refs/heads/{base}")
        if tip is None:
            raise invalid("PullRequest", "base")
        was = issue["pull"]["base_ref"], issue["pull"]["base_sha"]
        issue["pull"] |= {"base_ref": base, "base_sha": tip}
        call.hub.pulls.touch(issue)
        changes = {"base": {"ref": {"from": was[0]}, "sha": {"from": was[1]}}}
        call.hub.pulls.announce(call.repo, issue, "edited", call.actor, changes=changes)
    wanted: Fact = {name: call.body[name] for name in ("title", "body", "state") if name in call.body}
    return call.hub.shapes.pull(call.repo, call.hub.pulls.edit(call.repo, issue, call.actor, wanted))


@route("GET", R + "/pulls/<int:number>/files", "pull_requests:read")
def files(call: Call) -> Listing:
    """What a pull request changes."""
    issue = find_issue(call, pull=True)
    head = issue["pull"]["head_sha"]
    return Listing(
        call.hub.pulls.changes(call.repo, issue), lambda change: call.hub.shapes.file(call.repo, head, change)
    )


@route("GET", R + "/pulls/<int:number>/commits", "pull_requests:read")
def pull_commits(call: Call) -> Listing:
    """A pull request's commits, oldest first."""
    found = call.hub.pulls.commits(call.repo, find_issue(call, pull=True))
    return Listing(found, lambda sha: call.hub.shapes.commit(call.repo, sha))


@route("GET", R + "/pulls/<int:number>/merge", "pull_requests:read")
def is_merged(call: Call) -> Reply:
    """204 where it is merged."""
    if not find_issue(call, pull=True)["pull"]["merged_at"]:
        raise not_found()
    return Reply(204)


@route("PUT", R + "/pulls/<int:number>/merge", "contents:write")
def merge(call: Call) -> Json:
    """Merge; `sha` guards the head."""
    sha = call.hub.pulls.merge(call.repo, find_issue(call, pull=True), call.actor, call.body)
    return {"sha": sha, "merged": True, "message": "Pull Request successfully merged"}


@route("GET", R + "/pulls/<int:number>/reviews", "pull_requests:read")
def reviews(call: Call) -> Listing:
    """Reviews, oldest first."""
    found = call.hub.store.all("review", call.repo["id"], find_issue(call, pull=True)["number"])
    return Listing(found, lambda review: call.hub.shapes.review(call.repo, review))


@route("POST", R + "/pulls/<int:number>/reviews", "pull_requests:write")
def create_review(call: Call) -> Json:
    """Review a pull request."""
    issue = find_issue(call, pull=True)
    states = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
    event = call.body.get("event", "COMMENT")
    if event not in states:
        raise invalid("PullRequestReview", "event")
    if event == "APPROVE" and call.actor == issue["user"]:
        raise HubError(422, "Unprocessable Entity", ["Can not approve your own pull request"])
    body = {
        "user": call.actor, "body": call.body.get("body") or "", "state": states[event],
        "commit_id": call.body.get("commit_id") or issue["pull"]["head_sha"], "submitted_at": call.hub.now(),
    }  # fmt: skip
    review = call.hub.store.add("review", body, call.repo["id"], issue["number"])
    shape = call.hub.shapes.review(call.repo, review)
    payload = {
        "pull_request": call.hub.shapes.pull(call.repo, issue),
        "review": {**shape, "state": shape["state"].lower()},
    }
    call.hub.events.emit(call.repo, "pull_request_review", call.actor, payload, "submitted")
    return shape
