"""Headers of every answer: nothing is loaded, framed, cached, sniffed or told to the next page."""

from __future__ import annotations

from typing import TypeVar

from werkzeug.wrappers import Response

R = TypeVar("R", bound=Response)


def guarded(response: R, more: str = "") -> R:
    """Add them.

    Args:
        response: the answer.
        more: directives of CSP beside ``default-src 'none'``, for pages that have a form.
    """
    response.headers["Content-Security-Policy"] = f"default-src 'none'{more and '; '}{more}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-store"
    return response
