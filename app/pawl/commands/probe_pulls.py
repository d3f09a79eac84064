"""Probes of pull requests, labels, comments and check runs."""

from __future__ import annotations

from pawl.commands.probing import Ground, Skipped, require
from pawl.github.errors import Unprocessable


def merged_by_ref(ground: Ground) -> str:
    """A pull request's head reaches its base by an unforced move of the branch."""
    pull, _, base = ground.pull()
    head = pull["head"]["sha"]
    ground.client.patch(f"git/refs/heads/{base}", {"sha": head, "force": False})
    told = ground.until(
        lambda: (found := ground.client.get(f"pulls/{pull['number']}"))["merged"] and found,
        "the pull request is not merged",
    )
    require(told["state"] == "closed" and told["merged_at"], "it is merged, but not closed")
    require(told["merge_commit_sha"] == head, f"its merge commit is {told['merge_commit_sha']}, not its head")
    return ""


def follows_head(ground: Ground) -> str:
    """A pull request whose branch is forced elsewhere."""
    pull, head, _ = ground.pull()
    other = ground.commit(ground.tip, "another attempt")["sha"]
    ground.client.patch(f"git/refs/heads/{head}", {"sha": other, "force": True})
    ground.until(
        lambda: ground.client.get(f"pulls/{pull['number']}")["head"]["sha"] == other,
        "the pull request still shows the old head",
    )
    return ""


def closed_with_branch(ground: Ground) -> str:
    """A pull request whose branch is deleted."""
    pull, head, _ = ground.pull()
    ground.client.delete(f"git/refs/heads/{head}")
    told = ground.until(
        lambda: (found := ground.client.get(f"pulls/{pull['number']}"))["state"] == "closed" and found,
        "the pull request is still open",
    )
    require(not told["merged"], "it counts as merged")
    return ""


def closed_and_labelled(ground: Ground) -> str:
    """A pull request is closed and labelled by one change of its issue, with a label that did not exist."""
    pull, _, _ = ground.pull()
    number = pull["number"]
    ground.client.patch(f"issues/{number}", {"state": "closed", "labels": [ground.label]})
    told = ground.client.get(f"pulls/{number}")
    labels = [item["name"] for item in told["labels"]]
    require((told["state"], labels) == ("closed", [ground.label]), f"it is {told['state']} with {labels}")
    by = (ground.client.get(f"issues/{number}").get("closed_by") or {}).get("login")
    require(by, "nobody is named as having closed it")
    if ground.app is not None:
        require(by == ground.client.identity.login, f"it was closed by {by}")
    return f"closed by {by}"


def opened_twice(ground: Ground) -> str:
    """A second pull request between the same branches."""
    _, head, base = ground.pull()
    body = {"title": "Twice", "body": "", "head": head, "base": base}
    refused = ground.refusal(lambda: ground.client.post("pulls", body), 422)
    require(isinstance(refused, Unprocessable) and refused.already_exists, f"it says {refused.message!r}")
    return refused.message


def merge_guarded(ground: Ground) -> str:
    """A merge that names another head than the pull request has, and then the right one."""
    pull, _, base = ground.pull()
    path = f"pulls/{pull['number']}/merge"
    body = {"sha": ground.tip, "merge_method": "merge"}
    refused = ground.refusal(lambda: ground.client.put(path, body), 409)
    ground.until(
        lambda: ground.client.get(f"pulls/{pull['number']}").get("mergeable") is not None,
        "nobody says whether it can be merged",
    )
    merged = ground.client.put(path, {**body, "sha": pull["head"]["sha"]})["sha"]
    require(ground.client.get(f"git/ref/heads/{base}")["object"]["sha"] == merged, "the base is elsewhere")
    parents = [parent["sha"] for parent in ground.client.get(f"git/commits/{merged}")["parents"]]
    require(parents == [ground.tip, pull["head"]["sha"]], f"the merge commit's parents are {parents}")
    return refused.message


def label_exists(ground: Ground) -> str:
    """A label is created a second time, in other letters."""
    body = {"name": f"{ground.label}-x", "color": "ededed", "description": "A probe"}
    ground.client.post("labels", body)
    try:
        again = {**body, "name": body["name"].upper()}
        refused = ground.refusal(lambda: ground.client.post("labels", again), 422)
        require(isinstance(refused, Unprocessable) and refused.already_exists, f"it says {refused.message!r}")
    finally:
        ground.client.delete(f"labels/{body['name']}")
    return refused.message


def comment_edited(ground: Ground) -> str:
    """A comment is made, edited, and found again by its marker; the list is paged by the Link header."""
    number = ground.pull()[0]["number"]
    marker = "<!-- pawl:conformance -->"
    made = ground.client.post(f"issues/{number}/comments", {"body": f"{marker}\nOne"})
    ground.client.post(f"issues/{number}/comments", {"body": "Another"})
    ground.client.patch(f"issues/comments/{made['id']}", {"body": f"{marker}\nTwo"})
    found = list(ground.client.pages(f"issues/{number}/comments", per_page=1))
    require(len(found) == 2, f"page by page there are {len(found)} comments")
    own = [item for item in found if item["body"].strip().startswith(marker)]
    require([item["id"] for item in own] == [made["id"]], "the marker is gone, or there twice")
    require(own[0]["body"].strip().endswith("Two"), "it says what it said before")
    author = own[0]["user"]["login"]
    if ground.app is not None:
        require(author == ground.client.identity.login, f"its author is {author}")
    return f"by {author}"


def pulls_are_issues(ground: Ground) -> str:
    """Pull requests in the list of issues."""
    number = ground.pull()[0]["number"]
    ground.client.post(f"issues/{number}/labels", {"labels": [ground.label]})
    found = ground.until(
        lambda: list(ground.client.pages("issues", labels=ground.label, state="all")),
        "the label finds nothing",
    )
    mine = [item for item in found if item["number"] == number]
    require(len(mine) == 1 and "pull_request" in mine[0], "it is not there, or not marked as a pull request")
    return ""


def _hold(ground: Ground, commit: str, key: str, text: str = "") -> int:
    """A check run in the state in which Pawl makes them."""
    body = {
        "name": "pawl/conformance-probe",
        "head_sha": commit,
        "external_id": key,
        "status": "queued",
        "output": {"title": "Probe", "summary": "A probe", "text": text or "```json\n{}\n```"},
    }
    return int(ground.client.post("check-runs", body)["id"])


def _need_app(ground: Ground) -> None:
    if ground.app is None:
        raise Skipped("only an App can make check runs, and this is a plain token")


def check_kept(ground: Ground) -> str:
    """A check run keeps what an attempt is recognised by, through its whole life."""
    _need_app(ground)
    commit = ground.commit(ground.tip, "checked")["sha"]
    ground.branch("checked", commit)
    text = "<details>\n\n```json\n" + '{"request": "' + "x" * 30_000 + '"}\n```\n\n</details>'
    check = _hold(ground, commit, "12.1", text)
    (told,) = ground.client.pages(f"commits/{commit}/check-runs", "check_runs", filter="all")
    require(told["id"] == check and told["external_id"] == "12.1", "the id is another")
    require(told["status"] == "queued" and told["conclusion"] is None, f"it is {told['status']}")
    require(told["app"]["slug"] == ground.client.identity.slug, f"it belongs to {told['app']['slug']}")
    require(told["output"]["text"] == text, "the list does not tell its text as it was written")
    body = {
        "status": "completed",
        "conclusion": "neutral",
        "output": {"title": "T", "summary": "S", "text": text},
    }
    ground.client.patch(f"check-runs/{check}", body)
    after = ground.client.get(f"check-runs/{check}")
    require((after["status"], after["conclusion"]) == ("completed", "neutral"), f"it is {after['status']}")
    require(
        after["external_id"] == "12.1" and after["output"]["text"] == text, "concluding it loses something"
    )
    return ""


def checks_all_listed(ground: Ground) -> str:
    """Two check runs of one name on one commit."""
    _need_app(ground)
    commit = ground.commit(ground.tip, "checked twice")["sha"]
    ground.branch("checked", commit)
    both = [_hold(ground, commit, "12.1"), _hold(ground, commit, "12.2")]
    found = [
        item["id"] for item in ground.client.pages(f"commits/{commit}/check-runs", "check_runs", filter="all")
    ]
    require(sorted(found) == both, f"it lists {len(found)} of 2")
    return ""
