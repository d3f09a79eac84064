"""Operations on check runs, statuses and Actions."""

from __future__ import annotations

from typing import Any

from pawl.localhub import routes_archives
from pawl.localhub.api import Call, Listing, R, Reply, route
from pawl.localhub.errors import HubError, not_found
from pawl.localhub.routes_git import resolve
from pawl.localhub.shapes import Json
from pawl.localhub.store import Fact

# GitHub's links to artifacts live for one minute.
LINK_SECONDS = 60


def _run(call: Call) -> Fact:
    found = call.hub.store.get("check_run", int(call.args["check_run_id"]))
    if not found or found["repo"] != call.repo["id"]:
        raise not_found()
    return found


@route("POST", R + "/check-runs", "checks:write")
def create_check_run(call: Call) -> Reply:
    """A new check run."""
    run = call.hub.checks.create(call.repo, call.actor, call.body)
    return Reply(201, call.hub.shapes.check_run(call.repo, run))


@route("GET", R + "/check-runs/<int:check_run_id>", "checks:read")
def check_run(call: Call) -> Json:
    """One check run."""
    return call.hub.shapes.check_run(call.repo, _run(call))


@route("PATCH", R + "/check-runs/<int:check_run_id>", "checks:write")
def edit_check_run(call: Call) -> Json:
    """Change a check run."""
    run = _run(call)
    call.hub.checks.edit(call.repo, run, call.actor, call.body)
    return call.hub.shapes.check_run(call.repo, run)


@route("GET", R + "/check-runs/<int:check_run_id>/annotations", "checks:read")
def check_annotations(call: Call) -> Listing:
    """A check run's annotations."""
    run = _run(call)
    return Listing(run["annotations"], lambda item: call.hub.shapes.annotation(call.repo, run, item))


@route("POST", R + "/check-runs/<int:check_run_id>/rerequest", "checks:write")
def rerequest(call: Call) -> Reply:
    """Ask for it again."""
    call.hub.checks.rerequest(call.repo, _run(call), call.actor)
    return Reply(201, {})


@route("GET", R + "/commits/<path:ref>/check-runs", "checks:read")
def check_runs(call: Call) -> Listing:
    """Check runs of a commit, newest first; the latest of each name unless `filter=all`."""
    sha = resolve(call, call.args["ref"])
    checks = call.hub.checks
    found = (
        checks.runs(call.repo, sha) if call.query.get("filter") == "all" else checks.latest(call.repo, sha)
    )
    for name, field in (("check_name", "name"), ("status", "status")):
        if name in call.query:
            found = [run for run in found if run[field] == call.query[name]]
    if "app_id" in call.query and call.query["app_id"] != str(call.hub.app.id):
        found = []
    return Listing(found[::-1], lambda run: call.hub.shapes.check_run(call.repo, run), "check_runs")


@route("POST", R + "/statuses/<sha>", "statuses:write")
def create_status(call: Call) -> Reply:
    """A new commit status."""
    sha = call.args["sha"]
    if not call.hub.git(call.repo).has(sha):
        raise HubError(422, f"No commit found for SHA: {sha}")
    status = call.hub.checks.set_status(call.repo, call.actor, sha, call.body)
    return Reply(201, call.hub.shapes.status(call.repo, status))


@route("GET", R + "/commits/<path:ref>/statuses", "statuses:read")
def statuses(call: Call) -> Listing:
    """All statuses of a commit, newest first."""
    found = call.hub.store.all("status", call.repo["id"], resolve(call, call.args["ref"]))
    return Listing(found[::-1], lambda status: call.hub.shapes.status(call.repo, status))


@route("GET", R + "/commits/<path:ref>/status", "statuses:read")
def combined_status(call: Call) -> Json:
    """The latest status of each context, and one for all."""
    sha = resolve(call, call.args["ref"])
    found = call.hub.checks.statuses(call.repo, sha)
    states = {status["state"] for status in found}
    state = "failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending"
    shapes = call.hub.shapes
    return {
        "state": state, "sha": sha, "total_count": len(found), "repository": shapes.repository(call.repo),
        "statuses": [shapes.status(call.repo, status, simple=True) for status in found],
        "commit_url": shapes.api(call.repo, f"/commits/{sha}"), "url": shapes.api(call.repo, f"/commits/{sha}/status"),
    }  # fmt: skip


# -- Actions -----------------------------------------------------------------------------------------------------------


@route("GET", R + "/actions/workflows", "actions:read")
def workflows(call: Call) -> Listing:
    """The repository's workflows."""
    found = call.hub.actions.workflows(call.repo)
    return Listing(found, lambda item: call.hub.shapes.workflow(call.repo, item), "workflows")


@route("GET", R + "/actions/workflows/<workflow_id>", "actions:read")
def workflow(call: Call) -> Json:
    """A workflow by id or file name."""
    return call.hub.shapes.workflow(call.repo, call.hub.actions.workflow(call.repo, call.args["workflow_id"]))


@route("POST", R + "/actions/workflows/<workflow_id>/dispatches", "actions:write")
def dispatch(call: Call) -> Reply:
    """Start a run; with `return_run_details` the answer names it."""
    found = call.hub.actions.workflow(call.repo, call.args["workflow_id"])
    inputs = call.body.get("inputs") or {}
    run = call.hub.actions.dispatch(call.repo, found, call.actor, str(call.body.get("ref", "")), inputs)
    if not call.body.get("return_run_details"):
        return Reply(204)
    shape = call.hub.shapes.run(call.repo, run)
    return Reply(200, {"workflow_run_id": run["id"], "run_url": shape["url"], "html_url": shape["html_url"]})


def _runs(call: Call, found: list[Fact]) -> Listing:
    query = call.query
    created = query.get("created", "")
    low, _, high = created.partition("..") if ".." in created else (created.lstrip(">="), "", "")

    def wanted(run: Fact) -> bool:
        if created and not (low in ("", "*") or run["created_at"] >= low):
            return False
        if high and high != "*" and run["created_at"] > high:
            return False
        return (
            query.get("event", run["event"]) == run["event"]
            and query.get("head_sha", run["head_sha"]) == run["head_sha"]
            and query.get("branch", run["head_branch"]) == run["head_branch"]
            and query.get("actor", run["actor"]) == run["actor"]
            and query.get("status", run["status"]) in (run["status"], run["conclusion"])
        )

    kept = [run for run in found if wanted(run)][::-1]
    return Listing(kept, lambda run: call.hub.shapes.run(call.repo, run), "workflow_runs")


@route("GET", R + "/actions/workflows/<workflow_id>/runs", "actions:read")
def workflow_runs(call: Call) -> Listing:
    """Runs of one workflow, newest first."""
    found = call.hub.actions.workflow(call.repo, call.args["workflow_id"])
    return _runs(call, call.hub.store.all("run", call.repo["id"], found["id"]))


@route("GET", R + "/actions/runs", "actions:read")
def runs(call: Call) -> Listing:
    """All runs, newest first."""
    return _runs(call, call.hub.store.all("run", call.repo["id"]))


def _workflow_run(call: Call) -> Fact:
    return call.hub.actions.run(call.repo, int(call.args["run_id"]))


@route("GET", R + "/actions/runs/<int:run_id>", "actions:read")
def run(call: Call) -> Json:
    """One run."""
    return call.hub.shapes.run(call.repo, _workflow_run(call))


@route("GET", R + "/actions/runs/<int:run_id>/jobs", "actions:read")
def jobs(call: Call) -> Listing:
    """A run's jobs."""
    found = call.hub.actions.jobs(_workflow_run(call), latest=call.query.get("filter", "latest") == "latest")
    return Listing(found, lambda job: call.hub.shapes.job(call.repo, job), "jobs")


@route("GET", R + "/actions/jobs/<int:job_id>", "actions:read")
def job(call: Call) -> Json:
    """One job."""
    found = call.hub.store.get("job", int(call.args["job_id"]))
    if not found or found["repo"] != call.repo["id"]:
        raise not_found()
    return call.hub.shapes.job(call.repo, found)


@route("POST", R + "/actions/runs/<int:run_id>/cancel", "actions:write")
def cancel(call: Call) -> Reply:
    """Cancel a run."""
    call.hub.actions.cancel(call.repo, _workflow_run(call))
    return Reply(202, {})


@route("POST", R + "/actions/runs/<int:run_id>/force-cancel", "actions:write")
def force_cancel(call: Call) -> Reply:
    """Cancel a run whatever its jobs do."""
    call.hub.actions.cancel(call.repo, _workflow_run(call), force=True)
    return Reply(202, {})


@route("POST", R + "/actions/runs/<int:run_id>/rerun", "actions:write")
def rerun(call: Call) -> Reply:
    """Run it again."""
    call.hub.actions.rerun(call.repo, _workflow_run(call))
    return Reply(201, {})


def _artifacts(call: Call, found: list[Fact]) -> Listing:
    kept = [item for item in found if call.query.get("name", item["name"]) == item["name"]][::-1]
    return Listing(kept, lambda item: call.hub.shapes.artifact(call.repo, item), "artifacts")


@route("GET", R + "/actions/artifacts", "actions:read")
def artifacts(call: Call) -> Listing:
    """The repository's artifacts."""
    return _artifacts(call, call.hub.store.all("artifact", call.repo["id"]))


@route("GET", R + "/actions/runs/<int:run_id>/artifacts", "actions:read")
def run_artifacts(call: Call) -> Listing:
    """A run's artifacts."""
    return _artifacts(call, call.hub.store.all("artifact", call.repo["id"], _workflow_run(call)["id"]))


def _artifact(call: Call) -> Fact:
    found = call.hub.store.get("artifact", int(call.args["artifact_id"]))
    if not found or found["repo"] != call.repo["id"]:
        raise not_found()
    return found


@route("GET", R + "/actions/artifacts/<int:artifact_id>", "actions:read")
def artifact(call: Call) -> Json:
    """One artifact."""
    return call.hub.shapes.artifact(call.repo, _artifact(call))


@route("GET", R + "/actions/artifacts/<int:artifact_id>/<archive_format>", "actions:read")
def download(call: Call) -> Reply:
    """A link to the zip on another host, good for a minute; 410 once the artifact expired."""
    import secrets

    found = _artifact(call)
    if call.args["archive_format"] != "zip":
        raise not_found()
    if found["expired"]:
        raise HubError(410, "Artifact has expired")
    key = secrets.token_urlsafe(24)
    call.hub.store.add("link", {"artifact": found["id"], "until": call.hub.clock() + LINK_SECONDS}, key=key)
    at = call.hub.url.replace("127.0.0.1", "localhost")
    return Reply(302, None, {"Location": f"{at}/_blob/{key}/{found['name']}.zip"})


@route("GET", R + "/actions/runners", "administration:read")
def runners(call: Call) -> Listing:
    """Self-hosted runners."""
    return Listing(call.hub.jit.runners(call.repo), call.hub.shapes.runner, "runners")


@route("POST", R + "/actions/runners/generate-jitconfig", "administration:write")
def generate_jitconfig(call: Call) -> Reply:
    """A runner that may connect once, with what its program is handed."""
    runner, encoded = call.hub.jit.register(call.repo, call.body)
    return Reply(201, {"runner": call.hub.shapes.runner(runner), "encoded_jit_config": encoded})


@route("GET", R + "/actions/runners/<int:runner_id>", "administration:read")
def one_runner(call: Call) -> Json:
    """One self-hosted runner."""
    return call.hub.shapes.runner(call.hub.jit.runner(call.repo, int(call.args["runner_id"])))


@route("DELETE", R + "/actions/runners/<int:runner_id>", "administration:write")
def delete_runner(call: Call) -> Reply:
    """Forget a runner that has no job."""
    call.hub.jit.remove(call.repo, int(call.args["runner_id"]))
    return Reply(204)


def link(hub: Any, key: str) -> bytes | None:
    """The bytes behind a link that has not expired."""
    found = hub.store.find("link", key)
    if not found or found["until"] < hub.clock():
        return None
    if "commit" in found:
        return routes_archives.packed(hub, found)
    return bytes(hub.artifacts.path(found["artifact"]).read_bytes())
