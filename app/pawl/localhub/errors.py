"""What the hub answers when it refuses, in GitHub's words."""

from __future__ import annotations

from typing import Any

DOCUMENTATION = "https://docs.github.com/rest"


class HubError(Exception):
    """A refusal with GitHub's status code, message and, for 422, the field errors."""

    def __init__(self, status: int, message: str, errors: list[Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = errors

    def body(self) -> dict[str, Any]:
        """The JSON that GitHub would answer."""
        answer: dict[str, Any] = {
            "message": self.message,
            "documentation_url": DOCUMENTATION,
            "status": str(self.status),
        }
        if self.errors:
            answer["errors"] = self.errors
        return answer


def not_found() -> HubError:
    """What GitHub says of things that are not there, and of things the caller may not know of."""
    return HubError(404, "Not Found")


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> HubError:
    """A 422 about one field."""
    error = {"resource": resource, "field": field, "code": code}
    if message:
        error["message"] = message
    return HubError(422, "Validation Failed", [error])
