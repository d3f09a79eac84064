"""A measurement request inside a check run's text, where Pawl reads it back from."""

from __future__ import annotations

import json
import re

from pydantic import ValidationError

from pawl.core.measurement import REQUEST_LIMIT, Request
from pawl.messages.quoting import Safe

_BEGIN = "<!-- pawl-request -->"
_END = "<!-- /pawl-request -->"
_BLOCK = re.compile(rf"{_BEGIN}\s+```json\s+([^\n]+?)\s+```\s+{_END}")


def request_block(request: Request) -> Safe:
    """The request as JSON in a fence between two markers.

    ASCII alone, so that nothing on the way changes a character; one line, so that nothing in it can close the fence.

    Raises:
        ValueError: the request is longer than a dispatch admits.
    """
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    if len(text) > REQUEST_LIMIT:
        raise ValueError(f"the request has {len(text):,} characters, {REQUEST_LIMIT:,} are allowed")
    # "<" and ">" only occur inside strings, where JSON has another way to write them: no marker can stand in the data.
    text = text.replace("<", "\\u003c").replace(">", "\\u003e")
    return Safe(f"{_BEGIN}\n```json\n{text}\n```\n{_END}")


def read_request(text: str) -> Request | None:
    """The request in a check run's text; none if there is not exactly one, or if it is not one to the letter."""
    if text.count(_BEGIN) != 1:
        return None
    found = _BLOCK.search(text)
    if found is None:
        return None
    try:
        return Request.model_validate_json(found[1])
    except ValidationError:
        return None
