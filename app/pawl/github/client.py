"""Requests to one repository, through PyGithub's requester: typed errors, paging, and no write that is ever repeated."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol
from urllib.parse import quote

import requests
from github.GithubException import GithubException
from github.Requester import Requester
from requests.utils import parse_header_links

from pawl.github.budget import Budget
from pawl.github.errors import (
    Conflict,
    Forbidden,
    GitHubError,
    NotFound,
    RateLimited,
    Unprocessable,
    Unreachable,
    said,
)
from pawl.github.grants import Grant
from pawl.github.remembered import Remembered
from pawl.github.requester import PAGE, TIMEOUT

MOVED = ("Moved Permanently", "Temporary Redirect")
"""What GitHub says where it answers with a redirect."""


@dataclass(frozen=True)
class Identity:
    """Who Pawl is on GitHub: the slug of the App whose check runs and comments are its own."""

    slug: str
    app_id: int = 0
    """The App's id, which no renaming changes; 0 where only the slug is known."""

    def owns(self, app: Mapping[str, Any] | None) -> bool:
        """Whether that App, as GitHub's answers name it, is this one."""
        app = app or {}
        return bool(app.get("id") == self.app_id if self.app_id else app.get("slug") == self.slug)

    @property
    def login(self) -> str:
        """The App's user name."""
        return f"{self.slug}[bot]"


class Signed(Protocol):
    """Whoever is signed in."""

    @property
    def identity(self) -> Identity:
        """Who Pawl is, as far as it knows."""
        ...

    def ask_identity(self) -> Identity:
        """The same, asked of GitHub anew."""
        ...


class Connection:
    """Requests by absolute path, with GitHub's answers as values and its refusals as `GitHubError`.

    Reads that were answered before ask only for what has changed since.

    Args:
        requester: what sends them.
        budget: where it is kept how many more may be sent.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        requester: Requester,
        budget: Budget | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._requester = requester
        self.budget = budget or Budget()
        self._clock = clock
        self._remembered = Remembered()

    def send(self, verb: str, path: str, body: Any = None, **parameters: Any) -> tuple[dict[str, Any], Any]:
        """One request: the answer's headers (names in lower case), and its JSON.

        An answer without a body gives None, and one that is no JSON gives ``{"data": text}``.

        Raises:
            GitHubError: one of its classes, for every answer from 400 on and for none at all.
        """
        doing = f"{verb} {path.split('?')[0]}"
        known = self._remembered.find(path, parameters) if verb == "GET" else None
        asked = {"If-None-Match": known.etag} if known else {}
        try:
            headers, data = self._requester.requestJsonAndCheck(verb, path, parameters, asked, body)
        except GithubException as error:
            self.budget.note(error.headers or {})
            self._raise(error, doing)
        except requests.RequestException as error:
            raise Unreachable(0, type(error).__name__, doing) from error
        except (ValueError, RuntimeError, AssertionError) as error:
            # Broken JSON, or a redirect to another host: not from the GitHub we meant to ask.
            raise Unreachable(0, str(error)[:200], doing) from error
        if (
            isinstance(data, dict)
            and data.get("message") in MOVED
            and "/repositories/" in str(data.get("url"))
        ):
            # A write to a repository that was renamed: PyGithub takes the redirect for an answer.
            raise NotFound(307, "the repository has another name now", doing)
        self.budget.note(headers)
        if known and data is None:  # 304
            return known.headers, known.data
        if verb == "GET":
            self._remembered.keep(path, parameters, headers, data)
        return headers, data

    def pages(self, path: str, key: str = "", **parameters: Any) -> Iterator[Any]:
        """Items of a list, page after page by the Link header, each page only when it is needed.

        Args:
            path: absolute path of the list.
            key: where the items lie in each page, for lists that come inside an object.
            parameters: the query; ``per_page=None`` for lists that take no size.
        """
        query = {"per_page": PAGE, **parameters}
        headers, data = self.send(
            "GET", path, **{name: value for name, value in query.items() if value is not None}
        )
        while True:
            yield from data[key] if key else data
            links = parse_header_links(headers.get("link", ""))
            following = [link["url"] for link in links if link.get("rel") == "next"]
            if not following:
                return
            headers, data = self.send("GET", following[0])

    def _raise(self, error: GithubException, doing: str) -> NoReturn:
        message, documentation = said(error.data)
        status, headers = error.status, {k.lower(): v for k, v in (error.headers or {}).items()}
        limited = "rate limit" in message.lower() or headers.get("x-ratelimit-remaining") == "0"
        if status == 429 or (status == 403 and (limited or "retry-after" in headers)):
            raise RateLimited(status, message, doing, self._retry_at(headers)) from error
        kinds = {
            401: Forbidden,
            403: Forbidden,
            404: NotFound,
            405: Unprocessable,
            409: Conflict,
            410: NotFound,
        }
        kind: type[GitHubError] = kinds.get(status, Unprocessable if status == 422 else GitHubError)
        raise (Unreachable if status >= 500 else kind)(status, message, doing, documentation) from error

    def _retry_at(self, headers: dict[str, str]) -> float:
        """Retry-After counts from now, X-RateLimit-Reset is a time; without either a minute is GitHub's advice."""
        after, reset = headers.get("retry-after", ""), headers.get("x-ratelimit-reset", "")
        if after.isdigit():
            return self._clock() + int(after)
        if reset.isdigit() and headers.get("x-ratelimit-remaining") == "0":
            return float(reset)
        return self._clock() + 60


class Repository:
    """One repository: requests by paths below ``/repos/{owner}/{name}/``.

    Args:
        connection: what sends them.
        name: ``owner/name``.
        signed: who Pawl is there.
        grant: what Pawl may do there now; everything, as far as is known.
    """

    def __init__(
        self,
        connection: Connection,
        name: str,
        signed: Signed,
        grant: Callable[[], Grant] = Grant,
    ) -> None:
        self.name, self.signed = name, signed
        self._grant = grant
        self._connection = connection
        self._top = f"/repos/{name}"

    def __repr__(self) -> str:
        return f"Repository({self.name!r})"

    @property
    def identity(self) -> Identity:
        """Who Pawl is there, as far as it knows."""
        return self.signed.identity

    @property
    def grant(self) -> Grant:
        """What Pawl may do there now."""
        return self._grant()

    @property
    def scarce_until(self) -> float:
        """Until when few more requests may be sent, in seconds since 1970; 0 if there are enough."""
        return self._connection.budget.scarce_until

    def get(self, path: str = "", **parameters: Any) -> Any:
        """Read."""
        return self._connection.send("GET", self._path(path), **parameters)[1]

    def pages(self, path: str, key: str = "", **parameters: Any) -> Iterator[Any]:
        """Read a list, item by item."""
        return self._connection.pages(self._path(path), key, **parameters)

    def post(self, path: str, body: Any = None) -> Any:
        """Create, or start."""
        return self._connection.send("POST", self._path(path), body)[1]

    def patch(self, path: str, body: Any) -> Any:
        """Change."""
        return self._connection.send("PATCH", self._path(path), body)[1]

    def put(self, path: str, body: Any) -> Any:
        """Put in place."""
        return self._connection.send("PUT", self._path(path), body)[1]

    def delete(self, path: str) -> None:
        """Delete."""
        self._connection.send("DELETE", self._path(path))

    def download(self, path: str, limit: int) -> bytes:
        """The bytes behind a redirect, fetched without our token, as the address may be another host's.

        Args:
            path: of the request that answers 302, valid for a minute.
            limit: largest size, in bytes, that is taken.

        Raises:
            GitHubError: no redirect, no answer, or more bytes than the limit.
        """
        doing = f"GET {self._path(path)}"
        location = self._connection.send("GET", self._path(path))[0].get("location", "")
        if not location.startswith(("https://", "http://")):
            raise Unreachable(0, "it named no place to download from", doing)
        try:
            with requests.get(location, stream=True, timeout=TIMEOUT, auth=_no_auth) as answer:
                if answer.status_code != 200:
                    raise Unreachable(answer.status_code, "the download was refused", doing)
                data = bytearray()
                for chunk in answer.iter_content(65536):
                    data += chunk
                    if len(data) > limit:
                        raise Unreachable(0, f"the download is larger than {limit:,} bytes", doing)
                return bytes(data)
        except requests.RequestException as error:
            raise Unreachable(0, type(error).__name__, doing) from error

    def _path(self, path: str) -> str:
        return f"{self._top}/{quote(path)}" if path else self._top


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keeps requests from taking credentials out of a .netrc."""
    return request
