"""Probes of Actions, artifacts, tokens and webhooks."""

from __future__ import annotations

import base64
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawl.commands.probing import Ground, Skipped, host_of, require
from pawl.core.config import WORKFLOW_PATH
from pawl.core.workflow_check import triggers
from pawl.github.errors import GitHubError, NotFound

WORKFLOW = WORKFLOW_PATH.rsplit("/", 1)[-1]
ARTIFACT_LIMIT = 64 * 2**20
CONTROL_SECONDS = 90.0
QUIET_SECONDS = 30.0
_QUEUE_MAX = re.compile(r"(?m)^\s+group: .*inputs\.title.*\n\s+queue: max\s*$")


def _workflow(ground: Ground) -> str:
    """The text of the measuring workflow."""
    try:
        found = ground.client.get(f"contents/{WORKFLOW_PATH}", ref=ground.default_branch)
    except NotFound:
        raise Skipped(
            f"there is no {WORKFLOW_PATH} on {ground.default_branch}; `pawl init` writes it"
        ) from None
    return base64.b64decode(found["content"]).decode("utf-8", errors="replace")


def _dispatch(ground: Ground, title: str = "") -> tuple[dict[str, Any], str]:
    """A job of the measuring workflow that measures nothing; returns GitHub's answer, and the title."""
    _workflow(ground)
    title = title or f"pawl conformance {ground.name('job').rsplit('/', 1)[-1]} {ground.mark}"
    body = {
        "ref": ground.default_branch,
        "inputs": {"title": title, "request": "{}"},
        "return_run_details": True,
    }
    told = ground.client.post(f"actions/workflows/{WORKFLOW}/dispatches", body)
    require(isinstance(told, dict) and "workflow_run_id" in told, f"the answer is {told!r}")
    ground.jobs.append(int(told["workflow_run_id"]))
    return told, title


def dispatch_told(ground: Ground) -> str:
    """A dispatch that asks which job it starts; the job's title, event and branch; and that it can be listed."""
    told, title = _dispatch(ground)
    job = told["workflow_run_id"]
    run = ground.until(lambda: _run(ground, job), "the job cannot be read")
    require(run["display_title"] == title, f"its title is {run['display_title']!r}")
    require(run["event"] == "workflow_dispatch", f"its event is {run['event']}")
    require(run["head_branch"] == ground.default_branch, f"its branch is {run['head_branch']}")
    path = f"actions/workflows/{WORKFLOW}/runs"
    ground.until(
        lambda: (
            job
            in [
                item["id"]
                for item in ground.client.get(path, event="workflow_dispatch", per_page=50)["workflow_runs"]
            ]
        ),
        "the job is not among the workflow's",
    )
    return str(told.get("html_url") or "")


def _run(ground: Ground, job: int) -> Any:
    try:
        return ground.client.get(f"actions/runs/{job}")
    except NotFound:
        return None


def cancelled(ground: Ground) -> str:
    """A job is cancelled, and then once more."""
    told, _ = _dispatch(ground)
    job = told["workflow_run_id"]
    ground.until(lambda: _run(ground, job), "the job cannot be read")
    ground.client.post(f"actions/runs/{job}/cancel")
    run = ground.until(
        lambda: (found := _run(ground, job)) and found["status"] == "completed" and found,
        "the job still runs",
    )
    require(run["conclusion"] in ("cancelled", "failure"), f"it ended as {run['conclusion']}")
    refused = ground.refusal(lambda: ground.client.post(f"actions/runs/{job}/cancel"), 409, 422)
    return f"{run['conclusion']}; a second time {refused.status}: {refused.message}"


def all_wait(ground: Ground) -> str:
    """Four jobs of one concurrency group with ``queue: max``: by default the third would take the second one's place."""
    if not _QUEUE_MAX.search(_workflow(ground)):
        raise Skipped(
            f"{WORKFLOW_PATH} has no `queue: max` in the group of an attempt; `pawl init --force` writes it anew"
        )
    told, title = _dispatch(ground)
    jobs = [told["workflow_run_id"]]
    jobs += [_dispatch(ground, title)[0]["workflow_run_id"] for _ in range(3)]
    for job in jobs:
        ground.until(lambda job=job: _run(ground, job), "a job cannot be read")  # type: ignore[misc]
    if not ground.local:
        ground.sleep(QUIET_SECONDS)
    ended = [
        run["conclusion"] for job in jobs if (run := _run(ground, job)) and run["conclusion"] == "cancelled"
    ]
    require(not ended, f"{len(ended)} of {len(jobs)} jobs were cancelled")
    return ""


def artifacts_early(ground: Ground) -> str:
    """The artifacts of a workflow run that goes on."""
    running = ground.client.get("actions/runs", status="in_progress", per_page=20)["workflow_runs"]
    for run in running:
        listed = ground.client.get(f"actions/runs/{run['id']}/artifacts")["artifacts"]
        if listed and _run(ground, run["id"])["status"] == "in_progress":
            return f"{len(listed)} of a run that goes on"
    raise Skipped(
        "no workflow run that goes on has uploaded anything; try again while a job runs behind one that has"
    )


def _started_by(ground: Ground, events: tuple[str, ...]) -> list[str]:
    """Workflows on the default branch that one of these events starts, whatever the branch."""
    found = []
    try:
        listing = ground.client.get("contents/.github/workflows", ref=ground.default_branch)
    except NotFound:
        return []
    for item in listing:
        if not item["path"].endswith((".yml", ".yaml")):
            continue
        text = base64.b64decode(ground.client.get(f"git/blobs/{item['sha']}")["content"])
        try:
            workflow = YAML(typ="safe", pure=True).load(text.decode())
        except (YAMLError, UnicodeDecodeError):
            continue
        rules = triggers(workflow) if isinstance(workflow, dict) else {}
        if any(event in rules and not rules[event] for event in events):
            found.append(str(item["path"]))
    return found


def skip_ci(ground: Ground) -> str:
    """A pull request whose head says ``[skip ci]``, beside one whose head does not."""
    if not _started_by(ground, ("pull_request", "push")):
        raise Skipped("no workflow here runs on every push or pull request, so silence would say nothing")
    plain, skipping = (ground.pull(message)[0]["head"]["sha"] for message in ("A probe", "A probe [skip ci]"))

    def started(commit: str) -> list[str]:
        runs = ground.client.get("actions/runs", head_sha=commit)["workflow_runs"]
        ground.jobs += [run["id"] for run in runs if run["id"] not in ground.jobs]
        return [run["event"] for run in runs if run["event"] in ("push", "pull_request")]

    ground.until(lambda: started(plain), "even a head without [skip ci] started nothing", CONTROL_SECONDS)
    ground.sleep(QUIET_SECONDS)
    found = started(skipping)
    require(not found, f"it started {', '.join(found)}")
    return ""


def artifact_elsewhere(ground: Ground) -> str:
    """Where the zip of an artifact comes from, and that the list can be asked by name."""
    found = ground.client.get("actions/artifacts", per_page=50)["artifacts"]
    usable = [item for item in found if not item["expired"] and item["size_in_bytes"] < ARTIFACT_LIMIT]
    if not usable:
        raise Skipped("there is no artifact here yet; try again after a job")
    item = usable[0]
    path = f"/repos/{ground.client.name}/actions/artifacts/{item['id']}/zip"
    headers, _ = ground.recorder.send("GET", path)
    location = str(headers.get("location", ""))
    require(location.startswith(("https://", "http://")), f"it names {location!r}")
    data = ground.client.download(f"actions/artifacts/{item['id']}/zip", ARTIFACT_LIMIT)
    require(data[:2] == b"PK", "what comes without a token is no zip")
    job = (item.get("workflow_run") or {}).get("id")
    if job:
        named = ground.client.get(f"actions/runs/{job}/artifacts", name=item["name"])["artifacts"]
        require({entry["name"] for entry in named} == {item["name"]}, "asked by name it lists others")
    return f"from {host_of(location)}"


def narrow_token(ground: Ground) -> str:
    """What an installation's token that was asked for one repository can see."""
    if ground.app is None:
        raise Skipped("this is a plain token, and no installation's")
    seen = [item["full_name"] for item in ground.recorder.pages("/installation/repositories", "repositories")]
    require(
        [name.lower() for name in seen] == [ground.client.name.lower()], f"it sees {len(seen)} repositories"
    )
    return ""


def redelivered(ground: Ground) -> str:
    """The delivery id of a webhook that was sent again."""
    if ground.app is None:
        raise Skipped("only an App has deliveries")
    try:
        seen = [delivery for _, delivery in zip(range(500), ground.app.deliveries(), strict=False)]
    except GitHubError as error:
        raise Skipped(f"deliveries cannot be listed ({error.message})") from None
    again = [delivery for delivery in seen if delivery.redelivery]
    if not again:
        raise Skipped(
            "no delivery was sent again lately; press Redeliver on the App's Advanced page, and try again"
        )
    first = {delivery.guid for delivery in seen if not delivery.redelivery}
    require(
        any(item.guid in first for item in again),
        "no delivery that was sent again shares its id with another",
    )
    return ""
