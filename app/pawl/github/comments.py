"""The one comment of an experiment: found by its marker, edited in place, left alone when it says so already."""

from __future__ import annotations

from contextlib import suppress

from pawl.core.digest import sha256
from pawl.github.errors import NotFound
from pawl.github.view import RepositoryView


class Comments:
    """Writes comments, and remembers what it wrote, so that saying the same again costs nothing."""

    def __init__(self, view: RepositoryView) -> None:
        self._view = view
        self._written: dict[int, tuple[int, str]] = {}
        """Comment and digest of its text, by pull request."""
        self._begun: set[int] = set()
        """Pull requests that a comment may be on although nobody told us its id."""

    def write(self, pull: int, marker: str, body: str, fresh: bool) -> bool:
        """Let the comment say this; whether it did not before.

        Args:
            pull: number of the pull request.
            marker: first line, by which Pawl's comment is known.
            body: the whole text, its marker included.
            fresh: whether there cannot be a comment yet, so that none is looked for.
        """
        digest = sha256(body.strip())
        if pull not in self._written and (not fresh or pull in self._begun):
            self._find(pull, marker)
        if pull in self._written:
            if self._written[pull][1] == digest:
                return False
            # Not known any more until it is answered: an edit that raised may have had its effect, and is looked for.
            comment, _ = self._written.pop(pull)
            self._begun.add(pull)
            with suppress(NotFound):  # somebody deleted it
                self._view.client.patch(f"issues/comments/{comment}", {"body": body})
                self._written[pull] = (comment, digest)
                return True
        self._begun.add(pull)
        made = self._view.client.post(f"issues/{pull}/comments", {"body": body})
        self._written[pull] = (made["id"], digest)
        return True

    def _find(self, pull: int, marker: str) -> None:
        for item in self._view.client.pages(f"issues/{pull}/comments"):
            author = (item.get("user") or {}).get("login")
            text = (item.get("body") or "").strip()
            if author == self._view.client.identity.login and text.startswith(marker):
                self._written[pull] = (item["id"], sha256(text))
                return
