"""What runners talk to: they take jobs, say how far they are, and hand back logs and conclusions.

GitHub's protocol between service and runner is private, so the runner's side here is the hub's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import invalid, not_found
from pawl.localhub.shapes import ACTIONS_BOT
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

JOB_TOKEN_SECONDS = 86_400
CONCLUSIONS = ("success", "failure", "cancelled", "skipped", "timed_out", "neutral")


class Service:
    """Runners, and the jobs that they have taken."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def register_runner(self, name: str, runner_labels: Iterable[str]) -> Fact:
        """Make a runner known (again); it serves every repository of the hub."""
        wanted = sorted({"self-hosted", *runner_labels})
        with self.hub.store.transaction():
            runner = self.hub.store.find("runner", name)
            if runner:
                self.hub.store.save({**runner, "labels": wanted})
                return {**runner, "labels": wanted}
            return self.hub.store.add("runner", {"name": name, "labels": wanted}, key=name)

    def acquire_job(self, runner_name: str, timeout: float = 0.0) -> dict[str, Any] | None:
        """Take the oldest queued job whose labels the runner has, waiting up to `timeout` seconds for one."""
        runner = self.hub.store.find("runner", runner_name)
        if not runner:
            raise not_found()
        wanted = set(runner["labels"])

        def matching() -> Fact | None:
            served = runner["repo"]  # None: every repository's
            waiting = self.hub.store.all("queue", served)
            return next((entry for entry in waiting if set(entry["labels"]) <= wanted), None)

        with self.hub.store.changed:
            entry = self.hub.store.changed.wait_for(matching, timeout)
            if not entry:
                return None
            with self.hub.store.transaction():
                self.hub.store.remove(entry)
                job = self.hub.actions.job(int(entry["key"]))
                job["runner"] = runner_name
                self.hub.store.save(job)
                return self._assignment(job)

    def _assignment(self, job: Fact) -> dict[str, Any]:
        repo = self.hub.actions.repo_of(job)
        run = self.hub.actions.run(repo, job["run_id"])
        token = self.hub.store.add(
            "token",
            {
                "type": "job", "login": ACTIONS_BOT, "repos": [repo["id"]], "permissions": job["permissions"],
                "expires": self.hub.clock() + JOB_TOKEN_SECONDS, "installation": None,
            },
            key="ghs_job_" + secrets.token_urlsafe(30),
        )  # fmt: skip
        return {
            "job_id": job["id"], "run_id": run["id"], "run_attempt": job["attempt"], "job_name": job["job_key"],
            "repository": repo["full_name"], "event": run["event"], "inputs": run["inputs"], "labels": job["labels"],
            "head_branch": run["head_branch"], "head_sha": run["head_sha"], "workflow_path": run["path"],
            "workflow_name": run["name"], "actor": run["actor"], "token": token["key"],
            "api_url": self.hub.api_url, "clone_url": self.hub.shapes.html(repo) + ".git",
        }  # fmt: skip

    def start_job(self, job_id: int) -> None:
        """The runner began."""
        with self.hub.store.transaction():
            job = self.hub.actions.job(job_id)
            if job["status"] != "queued":
                return
            repo = self.hub.actions.repo_of(job)
            now = self.hub.now()
            job |= {"status": "in_progress", "started_at": now}
            self.hub.store.save(job)
            self.hub.actions.announce_job(repo, job, "in_progress")
            run = self.hub.actions.run(repo, job["run_id"])
            if run["status"] == "queued":
                run |= {"status": "in_progress", "updated_at": now}
                self.hub.store.save(run)
                self.hub.actions.announce_run(repo, run, "in_progress")

    def cancel_requested(self, job_id: int) -> bool:
        """Whether someone cancelled the job (or it has ended without its runner)."""
        job = self.hub.actions.job(job_id)
        return bool(job["cancel_requested"]) or job["status"] == "completed"

    def append_log(self, job_id: int, text: str) -> None:
        """Add to a job's log, which its page shows."""
        with self.hub.store.transaction():
            job = self.hub.actions.job(job_id)
            self.hub.store.save({**job, "logs": (job["logs"] + text)[-200_000:]})

    def complete_job(self, job_id: int, conclusion: str) -> None:
        """The runner is done. A job that has already ended stays as it is."""
        if conclusion not in CONCLUSIONS:
            raise invalid("Job", "conclusion")
        with self.hub.store.transaction():
            job = self.hub.actions.job(job_id)
            if job["status"] != "completed":
                self.hub.actions.finish(self.hub.actions.repo_of(job), job, conclusion)
                self.hub.jit.served(job["runner"])

    def lost_jobs(self, runner_name: str) -> list[dict[str, Any]]:
        """Jobs a runner took and never completed, as assignments."""
        with self.hub.store.transaction():
            lost = [
                j
                for j in self.hub.store.all("job")
                if j["runner"] == runner_name and j["status"] != "completed"
            ]
            return [self._assignment(job) for job in lost]
