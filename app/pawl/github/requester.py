"""How requests to GitHub are paced and tried again: PyGithub's requester, set up so that no write is ever repeated."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from github import Auth, Github
from github.GithubException import GithubException
from github.GithubRetry import GithubRetry
from github.Requester import Requester

from pawl import __version__

API = "https://api.github.com"
API_VERSION = "2022-11-28"
PAGE = 100
"""Items that a page of a list holds at most."""
TIMEOUT = 30
"""Seconds to wait for an answer."""

# At DEBUG, PyGithub logs whole answers, and one of them is an installation's token.
logging.getLogger("github.Requester").setLevel(logging.INFO)


@dataclass(frozen=True)
class Pace:
    """How fast requests follow each other, in seconds, and how often a GET is tried again.

    GitHub asks for a second between writes, and answers bursts with a secondary limit (REST best practices).
    """

    between_requests: float = 0.25
    between_writes: float = 1.0
    retries: int = 3
    backoff: float = 0.5
    longest_wait: float = 10.0
    """A longer wait for a rate limit is the caller's to plan: it gets `RateLimited` instead."""


AT_ONCE = Pace(between_requests=0, between_writes=0, backoff=0)
"""For a GitHub in the same process."""


class _Retry(GithubRetry):
    """PyGithub's retries for reads alone; a wait that is too long becomes an error instead of a sleeping thread."""

    def increment(
        self, method: Any = None, url: Any = None, response: Any = None, *rest: Any, **more: Any
    ) -> Any:
        if response is not None:
            wait = self.get_retry_after(response) or 0
            if wait > (self.max_rate_limit_wait or 0):
                response.drain_conn()
                raise GithubException(response.status, {"message": "rate limit"}, dict(response.headers))
        return super().increment(method, url, response, *rest, **more)


def connect(auth: Auth.Auth, api: str, pace: Pace) -> Requester:
    """A requester that retries reads on 429 and 5xx, and writes never: a POST answered 500 may have had its effect."""
    retry = _Retry(
        total=pace.retries,
        backoff_factor=pace.backoff,
        status_forcelist=[429, 500, 502, 503, 504],
        allowed_methods=frozenset({"GET"}),
        raise_on_status=False,
        max_rate_limit_wait=pace.longest_wait,
    )
    return Github(
        auth=auth,
        base_url=api,
        timeout=TIMEOUT,
        user_agent=f"pawl/{__version__}",
        per_page=PAGE,
        retry=retry,
        seconds_between_requests=pace.between_requests,
        seconds_between_writes=pace.between_writes,
        api_version=API_VERSION,
    ).requester
