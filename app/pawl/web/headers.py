"""Headers of every answer: nothing is loaded, framed, cached, sniffed or told to the next page."""

from __future__ import annotations

from typing import TypeVar

from werkzeug.wrappers import Response

R = TypeVar("R", bound=Response)

POLICY = "Content-Security-Policy"
GUARDS = {
    POLICY: "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def guarded(response: R, more: str = "") -> R:
    """Add them.

    Args:
        response: the answer.
        more: directives of CSP beside ``default-src 'none'``, for pages that have a form.
    """
    response.headers.update(GUARDS)
    if more:
        response.headers[POLICY] += f"; {more}"
    return response
