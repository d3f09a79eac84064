"""Actions: dispatches become runs and jobs, runners take jobs and hand back artifacts and conclusions.

GitHub's protocol between service and runner is private, so the runner's side here is the hub's own.
"""

from __future__ import annotations

import hashlib
import io
import secrets
import zipfile
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.gitstore import moment
from pawl.localhub.shapes import ACTIONS_BOT
from pawl.localhub.store import Fact
from pawl.localhub.workflows import WorkflowFile, concurrency, fill, labels, parse, wanted

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

FOLDER = ".github/workflows"
ARTIFACT_SECONDS = 90 * 86_400
JOB_TOKEN_SECONDS = 86_400
_CONCLUSIONS = ("success", "failure", "cancelled", "skipped", "timed_out", "neutral")


class Actions:
    """Workflows, runs, jobs, artifacts, runners."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    # -- workflows ---------------------------------------------------------------------------------------------------

    def workflows(self, repo: Fact) -> list[Fact]:
        """The workflows on the default branch; an id belongs to a path for ever."""
        tip = self.hub.store.ref(repo["id"], f"refs/heads/{repo['default_branch']}")
        git = self.hub.git(repo)
        folder = git.entry(tip, FOLDER) if tip else None
        if not folder or folder.type != "tree":
            return []
        found = []
        for entry in git.entries(folder.sha, prefix=FOLDER + "/"):
            if not entry.path.endswith((".yml", ".yaml")):
                continue
            fact = self.hub.store.find("workflow", entry.path, repo["id"])
            try:
                name = parse(git.blob(entry.sha), entry.path).name
            except HubError:
                name = entry.path
            if fact is None:
                body = {"path": entry.path, "name": name, "created_at": self.hub.now()}
                fact = self.hub.store.add("workflow", body, repo["id"], entry.path)
            found.append({**fact, "name": name})
        return found

    def workflow(self, repo: Fact, which: str) -> Fact:
        """A workflow by id or file name; HubError 404."""
        for fact in self.workflows(repo):
            if which in (str(fact["id"]), fact["path"], fact["path"].rsplit("/", 1)[-1]):
                return fact
        raise not_found()

    def dispatch(self, repo: Fact, workflow: Fact, actor: str, ref: str, inputs: Mapping[str, Any]) -> Fact:
        """Start a run of the workflow as it is on a branch or tag."""
        short = ref.removeprefix("refs/heads/").removeprefix("refs/tags/")
        names = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        sha = next((found for name in names if (found := self.hub.store.ref(repo["id"], name))), None)
        if sha is None:
            raise HubError(422, f"No ref found for: {ref}")
        file = self._file(repo, sha, workflow["path"])
        values = file.inputs(inputs)
        return self._start(repo, workflow, file, actor, "workflow_dispatch", short, sha, values)

    def pull_request(self, repo: Fact, issue: Fact) -> list[Fact]:
        """Start the head's workflows on `pull_request`, as GitHub does where the head lies in the repository itself."""
        pull, started = issue["pull"], list[Fact]()
        for workflow in self.workflows(repo):
            file = self._file(repo, pull["head_sha"], workflow["path"])
            if "pull_request" in file.triggers:
                head = pull["head_ref"], pull["head_sha"]
                started.append(self._start(repo, workflow, file, issue["user"], "pull_request", *head, {}))
        return started

    def _file(self, repo: Fact, sha: str, path: str) -> WorkflowFile:
        git = self.hub.git(repo)
        entry = git.entry(sha, path)
        if not entry or entry.type != "blob":
            raise HubError(422, f"Workflow file {path} is not on this ref")
        return parse(git.blob(entry.sha), path)

    def _start(self, repo: Fact, workflow: Fact, file: WorkflowFile, actor: str, event: str, branch: str, sha: str,
               inputs: dict[str, str]) -> Fact:  # fmt: skip
        now = self.hub.now()
        number = len(self.hub.store.all("run", repo["id"], workflow["id"])) + 1
        run = self.hub.store.add(
            "run",
            {
                "name": file.name, "path": workflow["path"], "workflow_id": workflow["id"], "event": event,
                "run_number": number, "attempt": 1, "actor": actor, "head_branch": branch, "head_sha": sha,
                "display_title": str(fill(file.run_name, inputs) or file.name), "inputs": inputs, "status": "queued",
                "conclusion": None, "created_at": now, "updated_at": now, "started_at": now,
            },
            repo["id"],
            workflow["id"],
        )  # fmt: skip
        self._announce_run(repo, run, "requested")
        self._create_jobs(repo, run, file)
        return run

    def _create_jobs(self, repo: Fact, run: Fact, file: WorkflowFile) -> None:
        skipped = []
        for key, spec in file.jobs.items():
            needs = spec.get("needs") or []
            job = self.hub.store.add(
                "job",
                {
                    "run_id": run["id"], "attempt": run["attempt"], "job_key": key, "workflow_name": run["name"],
                    "name": str(fill(spec.get("name"), run["inputs"]) or key), "labels": labels(spec, run["inputs"]),
                    "needs": [needs] if isinstance(needs, str) else list(needs), "status": "waiting",
                    "always": "always()" in str(spec.get("if", "")), "conclusion": None, "runner": None,
                    "head_sha": run["head_sha"], "head_branch": run["head_branch"], "created_at": self.hub.now(),
                    "started_at": None, "completed_at": None, "cancel_requested": False,
                    "permissions": _permissions(spec.get("permissions", file.permissions)), "logs": "",
                    **concurrency(spec, run["inputs"]),
                },
                repo["id"],
                run["id"],
            )  # fmt: skip
            if not wanted(spec, run["inputs"]):
                skipped.append(job)
            elif not job["needs"]:
                self._queue(repo, job)
        for job in skipped:
            self._finish(repo, job, "skipped")

    def _queue(self, repo: Fact, job: Fact) -> None:
        group = [other for other in self._group(repo, job) if other["id"] != job["id"]]
        if any(other["status"] in ("queued", "in_progress") for other in group):
            for other in group if not job["all_wait"] else ():
                if other["status"] == "pending":  # by default one waits, and a newer one takes its place
                    self._finish(repo, other, "cancelled")
            job["status"] = "pending"
            self.hub.store.save(job)
            return
        job["status"] = "queued"
        self.hub.store.save(job)
        self.hub.store.add("queue", {"labels": job["labels"]}, repo["id"], job["id"])
        self._announce_job(repo, job, "queued")

    def _group(self, repo: Fact, job: Fact) -> list[Fact]:
        """Jobs of the same concurrency group, oldest first; none for a job without one."""
        if not job["group"]:
            return []
        return [other for other in self.hub.store.all("job", repo["id"]) if other["group"] == job["group"]]

    # -- announcements -----------------------------------------------------------------------------------------------

    def _announce_run(self, repo: Fact, run: Fact, action: str) -> None:
        shapes = self.hub.shapes
        workflow = self.hub.store.get("workflow", run["workflow_id"])
        payload = {
            "workflow_run": shapes.run(repo, run),
            "workflow": shapes.workflow(repo, workflow) if workflow else None,
        }
        self.hub.events.emit(repo, "workflow_run", run["actor"], payload, action)

    def _announce_job(self, repo: Fact, job: Fact, action: str) -> None:
        run = self.run(repo, job["run_id"])
        payload = {"workflow_job": self.hub.shapes.job(repo, job)}
        self.hub.events.emit(repo, "workflow_job", run["actor"], payload, action)

    # -- runs ----------------------------------------------------------------------------------------------------------

    def run(self, repo: Fact, run_id: int) -> Fact:
        """The run; HubError 404."""
        run = self.hub.store.get("run", run_id)
        if not run or run["repo"] != repo["id"]:
            raise not_found()
        return run

    def jobs(self, run: Fact, latest: bool = True) -> list[Fact]:
        """The jobs of a run's latest attempt, or of all."""
        return [j for j in self.hub.store.all("job", run["repo"], run["id"])
                if not latest or j["attempt"] == run["attempt"]]  # fmt: skip

    def cancel(self, repo: Fact, run: Fact, force: bool = False) -> None:
        """Cancel: waiting jobs end at once, running ones are told (with `force`, end at once too).

        A job whose condition holds even then, ``always()``, goes on or begins all the same, unless by force.
        """
        if run["status"] == "completed":
            raise HubError(409, "Cannot cancel a workflow run that is completed.")
        for job in self.jobs(run):
            job = self._job(job["id"])
            if job["always"] and not force:
                continue
            if job["status"] in ("queued", "waiting", "pending") or (force and job["status"] != "completed"):
                self._finish(repo, job, "cancelled")
            elif job["status"] != "completed":
                self.hub.store.save({**job, "cancel_requested": True})

    def rerun(self, repo: Fact, run: Fact) -> None:
        """Start all jobs of a completed run again, as the next attempt."""
        if run["status"] != "completed":
            raise HubError(403, "This workflow is already running")
        now = self.hub.now()
        run |= {"attempt": run["attempt"] + 1, "status": "queued", "conclusion": None, "updated_at": now,
                "started_at": now}  # fmt: skip
        self.hub.store.save(run)
        self._announce_run(repo, run, "requested")
        self._create_jobs(repo, run, self._file(repo, run["head_sha"], run["path"]))

    # -- runners -------------------------------------------------------------------------------------------------------

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
                job = self._job(int(entry["key"]))
                job["runner"] = runner_name
                self.hub.store.save(job)
                return self._assignment(job)

    def _assignment(self, job: Fact) -> dict[str, Any]:
        repo = self.hub.store.get("repo", job["repo"])
        assert repo is not None
        run = self.run(repo, job["run_id"])
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

    def _job(self, job_id: int) -> Fact:
        job = self.hub.store.get("job", job_id)
        if not job:
            raise not_found()
        return job

    def _repo_of(self, job: Fact) -> Fact:
        repo = self.hub.store.get("repo", job["repo"])
        assert repo is not None
        return repo

    def start_job(self, job_id: int) -> None:
        """The runner began."""
        with self.hub.store.transaction():
            job = self._job(job_id)
            if job["status"] != "queued":
                return
            repo = self._repo_of(job)
            now = self.hub.now()
            job |= {"status": "in_progress", "started_at": now}
            self.hub.store.save(job)
            self._announce_job(repo, job, "in_progress")
            run = self.run(repo, job["run_id"])
            if run["status"] == "queued":
                run |= {"status": "in_progress", "updated_at": now}
                self.hub.store.save(run)
                self._announce_run(repo, run, "in_progress")

    def cancel_requested(self, job_id: int) -> bool:
        """Whether someone cancelled the job (or it has ended without its runner)."""
        job = self._job(job_id)
        return bool(job["cancel_requested"]) or job["status"] == "completed"

    def append_log(self, job_id: int, text: str) -> None:
        """Add to a job's log, which its page shows."""
        with self.hub.store.transaction():
            job = self._job(job_id)
            self.hub.store.save({**job, "logs": (job["logs"] + text)[-200_000:]})

    def complete_job(self, job_id: int, conclusion: str) -> None:
        """The runner is done. A job that has already ended stays as it is."""
        if conclusion not in _CONCLUSIONS:
            raise invalid("Job", "conclusion")
        with self.hub.store.transaction():
            job = self._job(job_id)
            if job["status"] != "completed":
                self._finish(self._repo_of(job), job, conclusion)
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

    def _finish(self, repo: Fact, job: Fact, conclusion: str) -> None:
        now = self.hub.now()
        entry = self.hub.store.find("queue", job["id"])
        if entry:
            self.hub.store.remove(entry)
        job |= {"status": "completed", "conclusion": conclusion, "completed_at": now}
        job["started_at"] = job["started_at"] or now
        self.hub.store.save(job)
        self._announce_job(repo, job, "completed")
        group = self._group(repo, job)
        behind = [other for other in group if other["status"] == "pending"]
        if behind and not any(other["status"] in ("queued", "in_progress") for other in group):
            self._queue(repo, behind[0])
        run = self.run(repo, job["run_id"])
        jobs = self.jobs(run)
        ended = {j["job_key"]: j["conclusion"] for j in jobs if j["status"] == "completed"}
        for other in jobs:
            if other["status"] == "waiting" and all(key in ended for key in other["needs"]):
                if other["always"] or all(ended[key] == "success" for key in other["needs"]):
                    self._queue(repo, other)
                else:
                    self._finish(repo, other, "skipped")
        run, jobs = self.run(repo, job["run_id"]), self.jobs(run)
        if run["status"] != "completed" and all(j["status"] == "completed" for j in jobs):
            results = {j["conclusion"] for j in jobs}
            worst = next((c for c in ("failure", "timed_out", "cancelled") if c in results), "success")
            run |= {"status": "completed", "conclusion": worst, "updated_at": now}
            self.hub.store.save(run)
            self._announce_run(repo, run, "completed")

    # -- artifacts -----------------------------------------------------------------------------------------------------

    def artifact_path(self, artifact_id: int) -> Any:
        """Where the zip of an artifact lies."""
        return self.hub.home / "artifacts" / f"{artifact_id}.zip"

    def upload_artifact(self, job_id: int, name: str, files: Mapping[str, bytes] | bytes,
                        overwrite: bool = False) -> int:  # fmt: skip
        """Keep files (or a ready zip) under a name; 409 where this attempt of the run has it, unless `overwrite`.

        What an earlier attempt has left under that name stays, and is listed beside it.
        """
        data = files if isinstance(files, bytes) else _zip(files)
        with self.hub.store.transaction():
            job = self._job(job_id)
            for old in self.hub.store.all("artifact", job["repo"], job["run_id"]):
                if (old["name"], old["attempt"]) == (name, job["attempt"]):
                    if not overwrite:
                        raise HubError(409, "an artifact with this name already exists on the workflow run")
                    self.hub.store.remove(old)
            artifact = self.hub.store.add(
                "artifact",
                {
                    "name": name, "attempt": job["attempt"], "size": len(data),
                    "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "expired": False,
                    "created_at": self.hub.now(), "head_sha": job["head_sha"],
                    "head_branch": job["head_branch"], "expires_at": moment(self.hub.clock() + ARTIFACT_SECONDS),
                },
                job["repo"],
                job["run_id"],
            )  # fmt: skip
            path = self.artifact_path(artifact["id"])
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            return int(artifact["id"])

    def expire_artifact(self, artifact_id: int) -> None:
        """Let an artifact expire now."""
        with self.hub.store.transaction():
            artifact = self.hub.store.get("artifact", artifact_id)
            if not artifact:
                raise not_found()
            self.hub.store.save({**artifact, "expired": True})


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _permissions(declared: Any) -> dict[str, str]:
    """What a job's token may do; GitHub's restricted default where nothing is declared."""
    if declared is None:
        return {"metadata": "read", "contents": "read"}
    if isinstance(declared, str):
        level = {"read-all": "read", "write-all": "write"}.get(declared, "none")
        names = ("actions", "checks", "contents", "issues", "pull_requests", "statuses")
        return {"metadata": "read", **{name: level for name in names if level != "none"}}
    given = {name.replace("-", "_"): level for name, level in declared.items() if level in ("read", "write")}
    return {"metadata": "read", **given}
