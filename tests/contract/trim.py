"""Regenerate the two contract files from GitHub's own descriptions.

    npm pack @octokit/openapi@23.0.2 @octokit/openapi-webhooks@12.1.0
    python tests/contract/trim.py octokit-openapi-23.0.2.tgz octokit-openapi-webhooks-12.1.0.tgz

Only the operations and webhooks that the local hub serves are kept, and of those only facts (paths, parameters, schemas): no
descriptions, summaries or examples. OpenAPI 3.0's `nullable` becomes JSON Schema's `null` type, so that a plain JSON Schema
validator reads the result.
"""

from __future__ import annotations

import gzip
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

R = "/repos/{owner}/{repo}"
OPERATIONS = f"""
GET /app
GET /app/installations
GET /app/installations/{{installation_id}}
POST /app/installations/{{installation_id}}/access_tokens
GET /app/hook/deliveries
GET /app/hook/deliveries/{{delivery_id}}
POST /app/hook/deliveries/{{delivery_id}}/attempts
POST /app-manifests/{{code}}/conversions
GET /installation/repositories
GET /rate_limit
GET /meta
GET /user
GET /users/{{username}}
GET {R}
GET {R}/installation
GET {R}/branches
GET {R}/branches/{{branch}}
GET {R}/branches/{{branch}}/protection
GET {R}/rules/branches/{{branch}}
GET {R}/collaborators/{{username}}/permission
GET {R}/git/ref/{{ref}}
GET {R}/git/matching-refs/{{ref}}
POST {R}/git/refs
PATCH {R}/git/refs/{{ref}}
DELETE {R}/git/refs/{{ref}}
POST {R}/git/commits
GET {R}/git/commits/{{commit_sha}}
POST {R}/git/trees
GET {R}/git/trees/{{tree_sha}}
POST {R}/git/blobs
GET {R}/git/blobs/{{file_sha}}
GET {R}/contents/{{path}}
PUT {R}/contents/{{path}}
GET {R}/compare/{{basehead}}
GET {R}/tarball/{{ref}}
GET {R}/commits
GET {R}/commits/{{ref}}
GET {R}/commits/{{ref}}/status
GET {R}/commits/{{ref}}/statuses
POST {R}/statuses/{{sha}}
GET {R}/commits/{{ref}}/check-runs
GET {R}/pulls
POST {R}/pulls
GET {R}/pulls/{{pull_number}}
PATCH {R}/pulls/{{pull_number}}
GET {R}/pulls/{{pull_number}}/files
GET {R}/pulls/{{pull_number}}/commits
GET {R}/pulls/{{pull_number}}/merge
PUT {R}/pulls/{{pull_number}}/merge
GET {R}/pulls/{{pull_number}}/reviews
POST {R}/pulls/{{pull_number}}/reviews
GET {R}/issues
POST {R}/issues
GET {R}/issues/{{issue_number}}
PATCH {R}/issues/{{issue_number}}
GET {R}/issues/{{issue_number}}/events
GET {R}/issues/{{issue_number}}/labels
POST {R}/issues/{{issue_number}}/labels
PUT {R}/issues/{{issue_number}}/labels
DELETE {R}/issues/{{issue_number}}/labels
DELETE {R}/issues/{{issue_number}}/labels/{{name}}
GET {R}/labels
POST {R}/labels
GET {R}/labels/{{name}}
PATCH {R}/labels/{{name}}
DELETE {R}/labels/{{name}}
GET {R}/issues/{{issue_number}}/comments
POST {R}/issues/{{issue_number}}/comments
GET {R}/issues/comments
GET {R}/issues/comments/{{comment_id}}
PATCH {R}/issues/comments/{{comment_id}}
DELETE {R}/issues/comments/{{comment_id}}
GET {R}/issues/comments/{{comment_id}}/reactions
POST {R}/issues/comments/{{comment_id}}/reactions
POST {R}/check-runs
GET {R}/check-runs/{{check_run_id}}
PATCH {R}/check-runs/{{check_run_id}}
GET {R}/check-runs/{{check_run_id}}/annotations
POST {R}/check-runs/{{check_run_id}}/rerequest
GET {R}/actions/workflows
GET {R}/actions/workflows/{{workflow_id}}
GET {R}/actions/workflows/{{workflow_id}}/runs
POST {R}/actions/workflows/{{workflow_id}}/dispatches
GET {R}/actions/runs
GET {R}/actions/runs/{{run_id}}
GET {R}/actions/runs/{{run_id}}/jobs
GET {R}/actions/jobs/{{job_id}}
POST {R}/actions/runs/{{run_id}}/cancel
POST {R}/actions/runs/{{run_id}}/force-cancel
POST {R}/actions/runs/{{run_id}}/rerun
GET {R}/actions/runs/{{run_id}}/artifacts
GET {R}/actions/artifacts
GET {R}/actions/artifacts/{{artifact_id}}
GET {R}/actions/artifacts/{{artifact_id}}/{{archive_format}}
GET {R}/actions/runners
POST {R}/actions/runners/generate-jitconfig
GET {R}/actions/runners/{{runner_id}}
DELETE {R}/actions/runners/{{runner_id}}
""".split("\n")

WEBHOOKS = [
    "ping",
    "installation",
    "installation-repositories",
    "push",
    "create",
    "delete",
    "pull-request",
    "issues",
    "issue-comment",
    "check-run",
    "check-suite",
    "workflow-run",
    "workflow-job",
    "label",
    "pull-request-review",
    "repository-archived",
    "repository-deleted",
    "repository-privatized",
    "repository-publicized",
    "repository-renamed",
    "repository-transferred",
    "repository-unarchived",
    "status",
]

PROSE = {
    "description",
    "summary",
    "example",
    "examples",
    "externalDocs",
    "tags",
    "x-github",
    "title",
    "deprecated",
}


def plain(node: Any, named: bool = False) -> Any:
    """The node without prose, with `nullable` spelled as JSON Schema spells it. `named`: keys are names, not keywords."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    if named:
        return {key: plain(value) for key, value in node.items()}
    kept = {
        key: (
            value
            if key in ("enum", "default", "const")
            else plain(
                value,
                named=key
                in ("properties", "schemas", "patternProperties", "content", "responses", "parameters"),
            )
        )
        for key, value in node.items()
        if key not in PROSE and not key.startswith("x-")
    }
    kept.pop("default", None)
    if "oneOf" in kept:  # GitHub's alternatives overlap (an error body is two kinds of error at once).
        kept["anyOf"] = kept.pop("oneOf")
    if any(
        "slug" in part.get("required", []) for part in kept.get("allOf", [])
    ):  # A user or an enterprise, never both.
        kept["anyOf"] = kept.pop("allOf")
    enum = kept.get("enum")
    if (
        enum and "branch_protection_rule" in enum
    ):  # The list of events an App may subscribe to is years behind.
        del kept["enum"]
    if kept.pop("nullable", False):
        if "type" in kept and "enum" not in kept:
            kept["type"] = [kept["type"], "null"]
        else:
            kept = {"anyOf": [{"type": "null"}, kept]}
    return kept


def references(node: Any) -> set[str]:
    """Every `$ref` below the node."""
    if isinstance(node, list):
        return set().union(*(references(item) for item in node)) if node else set()
    if isinstance(node, dict):
        found = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return found.union(*(references(value) for value in node.values()))
    return set()


def closed(root: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
    """`root` with every component that it reaches."""
    components: dict[str, dict[str, Any]] = {}
    pending, seen = references(root), set()
    while pending:
        ref = pending.pop()
        if ref in seen:
            continue
        seen.add(ref)
        _, _, section, name = ref.split("/")
        # A response is reached only for its content; headers are checked by nobody.
        part = {k: v for k, v in source["components"][section][name].items() if k != "headers"}
        components.setdefault(section, {})[name] = plain(part)
        pending |= references(components[section][name])
    return {**root, "components": components}


def load(archive: str) -> dict[str, Any]:
    """The description inside an npm archive."""
    with tarfile.open(archive) as tar:
        member = tar.extractfile("package/generated/api.github.com.json")
        assert member is not None
        return json.load(member)


def write(name: str, document: dict[str, Any]) -> None:
    """Compact, compressed, and the same bytes every time."""
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    (HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    """Trim both descriptions into this folder."""
    api = load(sys.argv[1])
    paths: dict[str, dict[str, Any]] = {}
    for line in filter(None, OPERATIONS):
        method, path = line.split()
        operation = api["paths"][path][method.lower()]
        kept = {k: operation[k] for k in ("parameters", "requestBody", "responses") if k in operation}
        for response in kept["responses"].values():
            response.pop("headers", None)
        paths.setdefault(path, {})[method.lower()] = plain(kept)
        for status, response in paths[path][method.lower()]["responses"].items():
            assert isinstance(response, dict), status
    for method in (
        "post",
        "put",
    ):  # The bare list, which GitHub takes and PyGithub sends, has left the description.
        labels = paths[R + "/issues/{issue_number}/labels"][method]["requestBody"]["content"][
            "application/json"
        ]
        labels["schema"]["anyOf"].append({"type": "array", "items": {"type": "string"}})
    write("api.json.gz", closed({"paths": paths}, api))
    hooks = load(sys.argv[2])
    kept_hooks: dict[str, Any] = {}
    for name, item in hooks["webhooks" if "webhooks" in hooks else "x-webhooks"].items():
        event = next((e for e in WEBHOOKS if name == e or name.startswith(e + "-")), None)
        if event is None or name.startswith("installation-target"):
            continue
        content = item["post"]["requestBody"]["content"]["application/json"]["schema"]
        kept_hooks[name] = plain(content)
    write("webhooks.json.gz", closed({"webhooks": kept_hooks}, hooks))


if __name__ == "__main__":
    main()
