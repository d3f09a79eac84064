"""Holds requests, answers and webhooks against GitHub's own descriptions (see trim.py)."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

HERE = Path(__file__).parent
# Only formats that are facts about us: GitHub's description calls templated addresses `uri` here and there.
FORMATS = FormatChecker(formats=["date-time"])


class Contract:
    """Answers with a list of violations in words; empty is good."""

    def __init__(self, api: dict[str, Any], hooks: dict[str, Any]) -> None:
        self._api, self._hooks = api, hooks
        self._registry = Registry().with_resources(
            [("api:", Resource(api, DRAFT202012)), ("hooks:", Resource(hooks, DRAFT202012))]
        )
        self._validators: dict[str, Draft202012Validator] = {}
        self._routes = []
        for template, operations in api["paths"].items():
            # Refs and paths may hold slashes; the longest template that fits is tried first.
            pattern = re.sub(r"\\\{(\w+)\\\}", _segment, re.escape(template))
            self._routes.append((re.compile(pattern + "$"), template, operations))
        self._routes.sort(key=lambda route: (route[1].count("{"), -len(route[1])))

    @classmethod
    @cache
    def load(cls) -> Contract:
        """The contract, read once per process."""
        return cls(
            *(
                json.loads(gzip.decompress((HERE / name).read_bytes()))
                for name in ("api.json.gz", "webhooks.json.gz")
            )
        )

    def template(self, method: str, path: str) -> str | None:
        """The path template that GitHub has for a request."""
        return next((t for p, t, ops in self._routes if method.lower() in ops and p.match(path)), None)

    def check_request(self, method: str, path: str, query: dict[str, str], body: Any) -> list[str]:
        """What GitHub would not understand in a request."""
        template = self.template(method, path)
        if template is None:
            return [f"{method} {path}: GitHub has no such operation (or trim.py does not list it)"]
        operation, pointer = self._operation(method, template)
        found = []
        names = {
            p["name"] for p in map(self._parameter, operation.get("parameters", [])) if p["in"] == "query"
        }
        found += [f"{method} {path}: unknown query parameter {name!r}" for name in query if name not in names]
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if schema and body not in (None, {}):
            at = f"{pointer}/requestBody/content/application~1json/schema"
            found += self._errors("api:", at, body, f"request {method} {path}")
            known = schema["schema"].get("properties")
            if known and isinstance(body, dict):
                found += [
                    f"request {method} {path}: unknown field {name!r}" for name in body if name not in known
                ]
        return found

    def check_response(self, method: str, path: str, status: int, body: Any) -> list[str]:
        """What GitHub would not have answered."""
        template = self.template(method, path)
        if template is None:
            return [f"{method} {path}: GitHub has no such operation (or trim.py does not list it)"]
        operation, pointer = self._operation(method, template)
        responses = operation["responses"]
        if str(status) not in responses:
            # Not every error is declared for every operation; their shape is always the same.
            declared = status in (304, 400, 401, 403, 404, 409, 410, 422) or status >= 500
            return [] if declared else [f"{method} {path}: GitHub never answers {status}"]
        at, response = f"{pointer}/responses/{status}", responses[str(status)]
        if "$ref" in response:
            at = response["$ref"].removeprefix("#")
            response = self._at(at)
        if "application/json" not in response.get("content", {}):
            return [f"{method} {path}: {status} has no body at GitHub"] if body not in (None, {}, "") else []
        return self._errors(
            "api:", f"{at}/content/application~1json/schema", body, f"answer {status} {method} {path}"
        )

    def check_webhook(self, event: str, action: str | None, body: Any) -> list[str]:
        """What GitHub would not have sent."""
        name = "-".join(filter(None, (event, action))).replace("_", "-")
        if name not in self._hooks["webhooks"]:
            return [f"webhook {name}: GitHub has none of that name"]
        return self._errors("hooks:", f"/webhooks/{name}", body, f"webhook {name}")

    def _parameter(self, given: dict[str, Any]) -> dict[str, Any]:
        return self._at(given["$ref"].removeprefix("#")) if "$ref" in given else given

    def _at(self, pointer: str) -> dict[str, Any]:
        found: Any = self._api
        for part in pointer.strip("/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        return found

    def _operation(self, method: str, template: str) -> tuple[dict[str, Any], str]:
        return self._api["paths"][template][
            method.lower()
        ], f"/paths/{template.replace('/', '~1')}/{method.lower()}"

    def _errors(self, document: str, pointer: str, body: Any, where: str) -> list[str]:
        key = f"{document}#{pointer}"
        if key not in self._validators:
            quoted = key.replace("{", "%7B").replace("}", "%7D")
            self._validators[key] = Draft202012Validator(
                {"$ref": quoted}, registry=self._registry, format_checker=FORMATS
            )
        found = []
        for error in self._validators[key].iter_errors(body):
            while (
                error.context
            ):  # Name the branch that came closest: the one that failed deepest, and not for its type.
                error = max(
                    error.context,
                    key=lambda e: (e.validator != "type", len(e.absolute_path), -len(e.message)),
                )
            told = (
                error.message
                if len(error.message) < 300
                else f"{error.message[:120]} … {error.message[-160:]}"
            )
            found.append(f"{where}: {'/'.join(map(str, error.absolute_path))}: {told}")
        return found


def _segment(match: re.Match[str]) -> str:
    return "(.+)" if match[1] in ("ref", "path", "branch", "basehead", "name") else "([^/]+)"
