"""Operations on the App, its installations and deliveries, accounts and repositories."""

from __future__ import annotations

import re

from pawl.localhub.api import Call, Listing, R, Reply, route
from pawl.localhub.errors import HubError, not_found
from pawl.localhub.hub import ROLES
from pawl.localhub.shapes import Json
from pawl.localhub.store import Fact


@route("GET", "/")
def root(call: Call) -> Json:
    """Where things are."""
    return {
        "current_user_url": call.hub.api_url + "/user",
        "rate_limit_url": call.hub.api_url + "/rate_limit",
    }


@route("GET", "/meta")
def meta(call: Call) -> Json:
    """About this GitHub."""
    return {"verifiable_password_authentication": False}


@route("GET", "/rate_limit")
def rate_limit(call: Call) -> Json:
    """What is left; asking is free."""
    import flask

    used = flask.current_app.config["API"].used(call.caller)
    limit = call.hub.rate_limit
    reset = int(call.hub.clock()) // 3600 * 3600 + 3600
    core = {"limit": limit, "used": used, "remaining": max(0, limit - used), "reset": reset}
    search = {"limit": 30, "used": 0, "remaining": 30, "reset": reset}
    return {"resources": {"core": core, "search": search}, "rate": core}


@route("GET", "/user", "user")
def me(call: Call) -> Json:
    """The user behind the token."""
    if call.caller.kind != "user":
        raise HubError(403, "Resource not accessible by integration")
    return _public(call, call.hub.user(call.actor))


@route("GET", "/users/<path:username>")
def user(call: Call) -> Json:
    """An account."""
    return _public(call, call.hub.user(call.args["username"]))


def _public(call: Call, user: Fact) -> Json:
    now = call.hub.now()
    empty = dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio"))
    return {
        **call.hub.shapes.user(user), **empty, "public_repos": 0, "public_gists": 0, "followers": 0, "following": 0,
        "created_at": now, "updated_at": now,
    }  # fmt: skip


@route("GET", "/app", "app")
def app(call: Call) -> Json:
    """The App behind the JWT."""
    return {**call.hub.shapes.app(), "installations_count": len(call.hub.store.all("installation"))}


@route("GET", "/app/installations", "app")
def installations(call: Call) -> Listing:
    """Where the App is installed."""
    return Listing(call.hub.store.all("installation"), call.hub.shapes.installation)


def _installation(call: Call) -> Fact:
    text = call.args["installation_id"]
    found = call.hub.store.get("installation", int(text)) if text.isdigit() else None
    if not found:
        raise not_found()
    return found


@route("GET", "/app/installations/<installation_id>", "app")
def installation(call: Call) -> Json:
    """One installation."""
    return call.hub.shapes.installation(_installation(call))


@route("POST", "/app/installations/<installation_id>/access_tokens", "app")
def access_token(call: Call) -> Reply:
    """A token for an hour, narrowed to repositories and permissions where the body says so."""
    found = _installation(call)
    wanted = call.body.get("repositories"), call.body.get("repository_ids")
    repos: list[int] | None = None
    shown: list[Fact] = []
    if any(item is not None for item in wanted):
        for repo_id in found["repos"]:
            repo = call.hub.store.get("repo", repo_id)
            if repo and (repo["name"] in (wanted[0] or []) or repo_id in (wanted[1] or [])):
                shown.append(repo)
        if len(shown) != len(wanted[0] or []) + len(wanted[1] or []):
            raise HubError(422, "There is at least one repository that does not exist or is not accessible to the "
                                "parent installation.")  # fmt: skip
        repos = [repo["id"] for repo in shown]
    token = call.hub.installations.token(found, call.body.get("permissions"), repos)
    from pawl.localhub.gitstore import moment

    body: Json = {
        "token": token["key"], "expires_at": moment(token["expires"]), "permissions": token["permissions"],
        "repository_selection": "selected",
    }  # fmt: skip
    if repos is not None:
        body["repositories"] = [call.hub.shapes.repository(repo) for repo in shown]
    return Reply(201, body)


@route("GET", R + "/installation", "app")
def repository_installation(call: Call) -> Json:
    """The installation that covers a repository."""
    return call.hub.shapes.installation(call.hub.installations.of(call.repo))


@route("GET", "/installation/repositories", "installation")
def installation_repositories(call: Call) -> Listing:
    """What the token may see."""
    repos = [repo for repo_id in call.caller.repos or () if (repo := call.hub.store.get("repo", repo_id))]
    return Listing(repos, call.hub.shapes.repository, "repositories", {"repository_selection": "selected"})


@route("GET", "/app/hook/deliveries", "app")
def deliveries(call: Call) -> Reply:
    """Webhooks that were sent, newest first, paged by cursor."""
    import flask

    found = call.hub.store.all("delivery", key="done")[::-1]
    status = call.query.get("status")
    if status:
        found = [d for d in found if (200 <= d["status_code"] < 400) == (status == "success")]
    cursor = call.query.get("cursor", "")
    if cursor and not re.fullmatch(r"v1_\d+", cursor):
        raise HubError(400, "Invalid cursor")
    if cursor:
        found = [d for d in found if d["id"] < int(cursor[3:])]
    size = min(int(call.query.get("per_page") or 30), 100)
    headers = {}
    if len(found) > size:
        target = f"{flask.request.base_url}?per_page={size}&cursor=v1_{found[size - 1]['id']}"
        headers["Link"] = f'<{target + (f"&status={status}" if status else "")}>; rel="next"'
    return Reply(200, [call.hub.events.shape(d, full=False) for d in found[:size]], headers)


@route("GET", "/app/hook/deliveries/<int:delivery_id>", "app")
def delivery(call: Call) -> Json:
    """One delivery with request and answer."""
    found = call.hub.store.get("delivery", int(call.args["delivery_id"]))
    if not found or found["key"] == "pending":
        raise not_found()
    return call.hub.events.shape(found, full=True)


@route("POST", "/app/hook/deliveries/<int:delivery_id>/attempts", "app")
def redeliver(call: Call) -> Reply:
    """Send a delivery again."""
    call.hub.events.redeliver(int(call.args["delivery_id"]))
    return Reply(202, {})


@route("GET", R, "metadata:read")
def repository(call: Call) -> Json:
    """A repository."""
    shape = call.hub.shapes.repository(call.repo)
    if call.caller.kind == "user":
        level = call.hub.permission(call.repo, call.actor)
        write = level in ("write", "maintain", "admin")
        shape["permissions"] = {
            "admin": level == "admin", "maintain": level == "admin", "push": write, "triage": write, "pull": True,
        }  # fmt: skip
    return shape


@route("GET", R + "/collaborators/<path:username>/permission", "metadata:read")
def permission(call: Call) -> Json:
    """What a user may do."""
    user = call.hub.user(call.args["username"])
    level = call.hub.permission(call.repo, user["login"])
    if user["login"] == call.hub.bot:
        level = "write"
    names = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    permissions = {key: ROLES.index(level) >= ROLES.index(needed) for key, needed in names.items()}
    return {
        # Of the older names there are four alone.
        "permission": {"maintain": "write", "triage": "read"}.get(level, level), "role_name": level,
        "user": {**call.hub.shapes.user(user), "permissions": permissions, "role_name": level},
    }  # fmt: skip


def _tip(call: Call, branch: str) -> str:
    sha = call.hub.store.ref(call.repo["id"], f"refs/heads/{branch}")
    if sha is None:
        raise HubError(404, "Branch not found")
    return sha


def _classic(rule: Fact | None) -> Fact | None:
    """A protection of the older kind; none where a ruleset protects."""
    return None if rule is None or rule.get("ruleset") else rule


def _protection(call: Call, rule: Fact | None) -> Json:
    checks = rule["checks"] if rule else []
    return {
        "enabled": rule is not None,
        "required_status_checks": {
            "enforcement_level": ("everyone" if rule["enforce_admins"] else "non_admins") if checks and rule else "off",
            "contexts": checks, "checks": [{"context": name, "app_id": None} for name in checks],
            "strict": bool(rule and rule["strict"]),
        },
    }  # fmt: skip


@route("GET", R + "/branches", "contents:read")
def branches(call: Call) -> Listing:
    """All branches."""
    refs = call.hub.store.refs(call.repo["id"], "refs/heads/")

    def shape(name: str) -> Json:
        sha, short = refs[name], name.removeprefix("refs/heads/")
        return {
            "name": short, "commit": {"sha": sha, "url": call.hub.shapes.api(call.repo, f"/commits/{sha}")},
            "protected": short in call.repo["protection"],
        }  # fmt: skip

    return Listing(list(refs), shape)


@route("GET", R + "/branches/<path:branch>/protection", "administration:read")
def protection(call: Call) -> Json:
    """A branch's protection."""
    rule = _classic(call.repo["protection"].get(call.args["branch"]))
    if not rule:
        raise HubError(404, "Branch not protected")
    at = call.hub.shapes.api(call.repo, f"/branches/{call.args['branch']}/protection")
    shape: Json = {
        "url": at,
        "enforce_admins": {"url": at + "/enforce_admins", "enabled": rule["enforce_admins"]},
    }
    if rule["checks"]:
        status = _protection(call, rule)["required_status_checks"]
        shape["required_status_checks"] = {
            **status, "url": at + "/required_status_checks", "contexts_url": at + "/required_status_checks/contexts",
        }  # fmt: skip
    if rule["reviews"]:
        shape["required_pull_request_reviews"] = {
            "url": at + "/required_pull_request_reviews", "dismiss_stale_reviews": False,
            "require_code_owner_reviews": False, "required_approving_review_count": rule["reviews"],
        }  # fmt: skip
    return shape


@route("GET", R + "/branches/<path:branch>", "contents:read")
def branch(call: Call) -> Json:
    """One branch with its tip."""
    name = call.args["branch"]
    rule = call.repo["protection"].get(name)
    at = call.hub.shapes.api(call.repo, f"/branches/{name}")
    return {
        "name": name, "commit": call.hub.shapes.commit(call.repo, _tip(call, name)), "protected": rule is not None,
        "protection": _protection(call, _classic(rule)), "protection_url": at + "/protection",
        "_links": {"self": at, "html": call.hub.shapes.html(call.repo, f"/tree/{name}")},
    }  # fmt: skip


@route("GET", R + "/rules/branches/<path:branch>", "metadata:read")
def rules(call: Call) -> list[Json]:
    """The rulesets that apply. The older protections are not listed here."""
    rule = call.repo["protection"].get(call.args["branch"])
    if not rule or not rule.get("ruleset") or not rule["checks"]:
        return []
    parameters = {
        "required_status_checks": [{"context": name} for name in rule["checks"]],
        "strict_required_status_checks_policy": rule["strict"],
    }
    source = {"ruleset_source_type": "Repository", "ruleset_source": call.repo["full_name"], "ruleset_id": 1}
    return [{"type": "required_status_checks", "parameters": parameters, **source}]
