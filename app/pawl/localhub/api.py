"""The REST edge: who calls, whether they may, and how an answer is paged, tagged and counted."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import flask

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.hub import ROLES, Exchange, Hub
from pawl.localhub.installations import LEVELS
from pawl.localhub.store import Fact

R = "/repos/<owner>/<name>"
Observer = Callable[[str, str, dict[str, str], Any, int, Any], None]
"""Called with method, path below the API's base, query, request body, status, answer."""


@dataclass(frozen=True)
class Caller:
    """Who stands behind a request: `app`, `installation`, `job`, `user` or `anonymous`."""

    kind: str
    login: str | None = None
    permissions: dict[str, str] = field(default_factory=dict)
    repos: tuple[int, ...] | None = None
    installation: int | None = None


@dataclass
class Call:
    """One API request, as a handler sees it."""

    hub: Hub
    caller: Caller
    args: dict[str, str]
    query: dict[str, str]
    body: Fact
    repository: Fact | None = None
    accept: str = ""

    @property
    def repo(self) -> Fact:
        """The repository in the path."""
        assert self.repository is not None
        return self.repository

    @property
    def actor(self) -> str:
        """The login that acts."""
        assert self.caller.login is not None
        return self.caller.login

    @property
    def via_app(self) -> bool:
        """Whether the App acts, and not a person."""
        return self.caller.kind in ("installation", "job")


@dataclass(frozen=True)
class Listing:
    """A list to be paged; only the page asked for is rendered. `envelope` names the field that holds it."""

    items: list[Any]
    render: Callable[[Any], Any]
    envelope: str | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Reply:
    """An answer other than 200 with JSON."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


Handler = Callable[[Call], Any]


@dataclass(frozen=True)
class Route:
    """One operation. `needs` are permissions, of which one is enough; empty: anyone."""

    method: str
    rule: str
    needs: tuple[str, ...]
    handler: Handler


ROUTES: list[Route] = []


def route(method: str, rule: str, *needs: str) -> Callable[[Handler], Handler]:
    """Register a handler for an operation."""

    def register(handler: Handler) -> Handler:
        ROUTES.append(Route(method, rule, needs, handler))
        return handler

    return register


def authenticate(hub: Hub, header: str) -> Caller:
    """The caller behind an Authorization header; HubError 401."""
    scheme, _, value = header.partition(" ")
    value = value.strip()
    if not header:
        return Caller("anonymous")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            value = ""
    if value.count(".") == 2 and value.startswith("ey"):
        return _app_caller(hub, value)
    token = hub.store.find("token", value) if value else None
    if not token:
        raise HubError(401, "Bad credentials")
    if token["type"] == "user":
        return Caller("user", token["login"])
    installation = hub.store.get("installation", token["installation"]) if token["installation"] else None
    if token["expires"] <= hub.clock() or (token["type"] == "installation" and not installation):
        raise HubError(401, "Bad credentials")
    if installation and installation["suspended_at"]:
        raise HubError(403, "This installation has been suspended")
    repos = token["repos"] if token["repos"] is not None else (installation or {}).get("repos", [])
    permissions = token["permissions"]
    if token["type"] == "installation" and installation:
        # What the owner takes away, no token has any more; what is added, only new ones have.
        given = installation["permissions"]
        permissions = {
            name: min(level, given.get(name, "none"), key=LEVELS.index) for name, level in permissions.items()
        }
    return Caller(token["type"], token["login"], permissions, tuple(repos), token["installation"])


def _app_caller(hub: Hub, text: str) -> Caller:
    import jwt
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(hub.app.private_key_pem.encode(), None)
    try:
        claims = jwt.decode(
            text, key.public_key(), algorithms=["RS256"], options={"verify_exp": False, "verify_iat": False}
        )
    except jwt.InvalidTokenError:
        raise HubError(401, "A JSON web token could not be decoded") from None
    now = hub.clock()
    if str(claims.get("iss")) not in (str(hub.app.id), f"Iv23li{hub.app.id}"):
        raise HubError(401, "'Issuer' claim ('iss') must be an Integer or a client ID of the App")
    if claims.get("exp", 0) <= now:
        raise HubError(401, "'Expiration time' claim ('exp') must be a numeric value representing the future time at "
                            "which the assertion expires")  # fmt: skip
    if claims["exp"] > now + 660 or claims.get("iat", 0) > now + 60:
        raise HubError(401, "'Expiration time' claim ('exp') is too far in the future")
    return Caller("app", hub.bot)


def admit(hub: Hub, caller: Caller, needs: tuple[str, ...], repo: Fact | None) -> None:
    """Raise what GitHub answers to a caller who may not."""
    if not needs:
        return
    if caller.kind == "anonymous" and not (
        repo and not repo["private"] and all(n.endswith(":read") for n in needs)
    ):
        raise HubError(401, "Requires authentication") if repo is None else not_found()
    if needs == ("app",):
        if caller.kind != "app":
            raise HubError(401, "A JSON web token could not be decoded")
        return
    if caller.kind == "app":
        raise HubError(401, "Bad credentials" if repo is None else "Requires authentication")
    if needs == ("installation",):
        if caller.kind != "installation":
            raise HubError(403, "You must authenticate with an installation access token in order to list repositories "
                                "for an installation.")  # fmt: skip
        return
    if needs == ("user",) or repo is None:
        return
    if caller.kind in ("installation", "job"):
        if repo["id"] not in (caller.repos or ()) and (
            repo["private"] or not all(n.endswith(":read") for n in needs)
        ):
            raise not_found() if repo["private"] else HubError(403, "Resource not accessible by integration")
        if not any(_reaches(caller.permissions.get(n.partition(":")[0], "none"), n) for n in needs):
            raise HubError(403, "Resource not accessible by integration")
        return
    assert caller.login is not None or caller.kind == "anonymous"
    level = hub.permission(repo, caller.login or "")
    if ROLES.index(level) < 1:
        raise not_found()
    if any(n.startswith("checks:write") for n in needs):
        raise HubError(403, "You must authenticate via a GitHub App.")
    # Anyone who may read may open issues and comment.
    asked = (
        "read"
        if all(n.startswith(("issues:", "pull_requests:")) for n in needs)
        else needs[0].partition(":")[2]
    )
    if ROLES.index(level) < ROLES.index(asked):
        raise HubError(403, "Must have write access to Repository.")


def _reaches(level: str, need: str) -> bool:
    return LEVELS.index(level) >= LEVELS.index(need.partition(":")[2])


class Api:
    """Answers API requests below a base path."""

    def __init__(self, hub: Hub, observer: Observer | None = None) -> None:
        self.hub = hub
        self.observer = observer
        self._used: dict[str, int] = {}
        self._hour = 0

    def answer(self, route: Route, args: dict[str, str], path: str) -> flask.Response:
        """Run one operation for the current request."""
        request = flask.request
        method = request.method
        caller = Caller("anonymous")
        body: Any = None
        repo_name = f"{args['owner']}/{args['name']}" if "owner" in args else None
        try:
            caller = authenticate(self.hub, request.headers.get("Authorization", ""))
            body = self._body()
            status = self.hub.faults.take("before", method, path)
            if status:
                raise HubError(status, "Server Error")
            self._meter(caller, path)
            reply = self._run(route, caller, args, body, repo_name)
        except HubError as error:
            reply = Reply(error.status, error.body())
        response = self._render(reply)
        self._finish(response, caller, route, path, repo_name)
        if self.observer and reply.raw is None:
            self.observer(method, path, request.args.to_dict(), body, reply.status, reply.body)
        failure = self.hub.faults.take("after", method, path)
        if failure:
            response = flask.Response(
                json.dumps({"message": "Server Error"}), failure, mimetype="application/json"
            )
        return response

    def _body(self) -> Any:
        data = flask.request.get_data()
        if not data:
            return {}
        try:
            return json.loads(data)
        except ValueError:
            raise HubError(400, "Problems parsing JSON") from None

    def _run(
        self, route: Route, caller: Caller, args: dict[str, str], body: Any, repo_name: str | None
    ) -> Reply:
        with self.hub.store.transaction():
            repo = None
            if repo_name:
                repo = self.hub.store.find("repo", repo_name.lower())
                if repo is None:
                    return self._moved(repo_name)
            admit(self.hub, caller, route.needs, repo)
            if repo and repo.get("archived") and flask.request.method != "GET":
                raise HubError(403, "Repository was archived so is read-only.")
            if not isinstance(body, dict):
                body = {"": body}
            call = Call(self.hub, caller, args, flask.request.args.to_dict(), body, repo,
                        flask.request.headers.get("Accept", ""))  # fmt: skip
            result = route.handler(call)
            if isinstance(result, Listing):
                return self._page(result, call)
            return result if isinstance(result, Reply) else Reply(200, result)

    def _moved(self, name: str) -> Reply:
        """Where a renamed repository is now: 301 for reads and 307 for writes, as GitHub documents it."""
        renamed = self.hub.store.find("renamed", name.lower())
        if renamed is None:
            raise not_found()
        rest = flask.request.path.partition(f"/repos/{name}")[2]
        location = f"{self.hub.api_url}/repositories/{renamed['to']}{rest}"
        read = flask.request.method == "GET"
        body = {"message": "Moved Permanently" if read else "Temporary Redirect", "url": location}
        return Reply(301 if read else 307, {**body, "documentation_url": ""}, {"Location": location})

    def _meter(self, caller: Caller, path: str) -> None:
        hour = int(self.hub.clock()) // 3600
        if hour != self._hour:
            self._hour = hour
            self._used.clear()
        if path != "/rate_limit":
            key = f"{caller.kind}:{caller.installation or caller.login}"
            if self._used.get(key, 0) + self.hub.rate_spent >= self.hub.rate_limit:
                raise HubError(403, "API rate limit exceeded for installation.")
            self._used[key] = self._used.get(key, 0) + 1

    def used(self, caller: Caller) -> int:
        """Requests that counted against a caller's limit."""
        return self._used.get(f"{caller.kind}:{caller.installation or caller.login}", 0) + self.hub.rate_spent

    def _page(self, listing: Listing, call: Call) -> Reply:
        def number(name: str, default: int) -> int:
            text = call.query.get(name, "")
            return int(text) if text.isdigit() and int(text) else default

        size, page = min(number("per_page", 30), 100), number("page", 1)
        last = max(1, -(-len(listing.items) // size))
        rendered = [listing.render(item) for item in listing.items[(page - 1) * size : page * size]]
        headers = {}
        if last > 1:
            targets = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
            if page <= 1:
                del targets["prev"], targets["first"]
            if page >= last:
                del targets["next"], targets["last"]
            base = flask.request.base_url
            headers["Link"] = ", ".join(
                f'<{base}?{urlencode({**call.query, "page": target})}>; rel="{rel}"'
                for rel, target in targets.items()
            )
        body: Any = rendered
        if listing.envelope:
            body = {"total_count": len(listing.items), **listing.extra, listing.envelope: rendered}
        return Reply(200, body, headers)

    def _render(self, reply: Reply) -> flask.Response:
        request = flask.request
        if reply.raw is not None:
            data, kind = reply.raw, "application/octet-stream"
        else:
            data = b"" if reply.body is None else json.dumps(reply.body).encode()
            kind = "application/json; charset=utf-8"
        response = flask.Response(data, reply.status, headers=reply.headers, content_type=kind)
        if request.method == "GET" and reply.status == 200:
            etag = hashlib.sha256(data).hexdigest()
            response.headers["ETag"] = f'W/"{etag}"'
            if etag in request.headers.get("If-None-Match", ""):
                response.status_code = 304
                response.set_data(b"")
        return response

    def _finish(
        self, response: flask.Response, caller: Caller, route: Route, path: str, repo: str | None
    ) -> None:
        key = f"{caller.kind}:{caller.installation or caller.login}"
        if response.status_code == 304:
            self._used[key] = max(0, self._used.get(key, 1) - 1)
        used, reset = (
            self._used.get(key, 0) + self.hub.rate_spent,
            int(self.hub.clock()) // 3600 * 3600 + 3600,
        )
        response.headers.extend({
            "X-GitHub-Request-Id": hashlib.sha256(f"{path}{used}{self.hub.clock()}".encode()).hexdigest()[:16].upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": str(self.hub.rate_limit), "X-RateLimit-Used": str(used),
            "X-RateLimit-Remaining": str(max(0, self.hub.rate_limit - used)), "X-RateLimit-Reset": str(reset),
            "X-RateLimit-Resource": "core",
        })  # fmt: skip
        template = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route.rule)
        self.hub.record(
            Exchange(
                flask.request.method,
                template,
                path,
                repo,
                response.status_code,
                response.status_code == 304,
                caller.installation,
                caller.login,
            )
        )
