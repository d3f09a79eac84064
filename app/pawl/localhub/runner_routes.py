"""The runner's side over HTTP, for a runner in another process. GitHub's own protocol is private; this is the hub's."""

from __future__ import annotations

from typing import Any

import flask

from pawl.localhub.hub import Hub

# A runner that waits longer asks again.
_MAX_WAIT_SECONDS = 60.0


def runner_routes(hub: Hub) -> flask.Blueprint:
    """Routes below /_hub/. They are as open as the loopback interface they live on."""
    routes = flask.Blueprint("runner", __name__, url_prefix="/_hub")

    @routes.post("/runners")
    def register() -> Any:
        body = flask.request.get_json()
        return hub.shapes.runner(hub.service.register_runner(body["name"], body.get("labels", [])))

    @routes.post("/runners/<name>/connect")
    def connect(name: str) -> Any:
        return hub.shapes.runner(hub.jit.connect(name, flask.request.get_json()["key"]))

    @routes.post("/runners/<name>/acquire")
    def acquire(name: str) -> Any:
        hub.jit.admit(name, flask.request.headers.get("X-Runner-Key", ""))
        wait = min(float(flask.request.args.get("timeout", 0)), _MAX_WAIT_SECONDS)
        return hub.service.acquire_job(name, wait) or ("", 204)

    @routes.get("/runners/<name>/lost")
    def lost(name: str) -> Any:
        return flask.jsonify(hub.service.lost_jobs(name))

    @routes.post("/jobs/<int:job_id>/start")
    def start(job_id: int) -> Any:
        hub.service.start_job(job_id)
        return "", 204

    @routes.get("/jobs/<int:job_id>/cancelled")
    def cancelled(job_id: int) -> Any:
        return {"cancelled": hub.service.cancel_requested(job_id)}

    @routes.post("/jobs/<int:job_id>/log")
    def log(job_id: int) -> Any:
        hub.service.append_log(job_id, flask.request.get_data(as_text=True))
        return "", 204

    @routes.post("/jobs/<int:job_id>/artifacts/<name>")
    def artifact(job_id: int, name: str) -> Any:
        overwrite = flask.request.args.get("overwrite") == "1"
        return {"id": hub.artifacts.upload(job_id, name, flask.request.get_data(), overwrite)}

    @routes.post("/jobs/<int:job_id>/complete")
    def complete(job_id: int) -> Any:
        hub.service.complete_job(job_id, flask.request.get_json()["conclusion"])
        return "", 204

    return routes
