"""Actions: dispatches become runs, and runs become jobs that wait for each other and for a runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.store import Fact
from pawl.localhub.workflows import WorkflowFile, concurrency, fill, labels, parse, wanted

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

FOLDER = ".github/workflows"


class Actions:
    """Workflows, runs and jobs."""

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
        self.announce_run(repo, run, "requested")
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
            self.finish(repo, job, "skipped")

    def _queue(self, repo: Fact, job: Fact) -> None:
        group = [other for other in self._group(repo, job) if other["id"] != job["id"]]
        if any(other["status"] in ("queued", "in_progress") for other in group):
            for other in group if not job["all_wait"] else ():
                if other["status"] == "pending":  # by default one waits, and a newer one takes its place
                    self.finish(repo, other, "cancelled")
            job["status"] = "pending"
            self.hub.store.save(job)
            return
        job["status"] = "queued"
        self.hub.store.save(job)
        self.hub.store.add("queue", {"labels": job["labels"]}, repo["id"], job["id"])
        self.announce_job(repo, job, "queued")

    def _group(self, repo: Fact, job: Fact) -> list[Fact]:
        """Jobs of the same concurrency group, oldest first; none for a job without one."""
        if not job["group"]:
            return []
        return [other for other in self.hub.store.all("job", repo["id"]) if other["group"] == job["group"]]

    # -- announcements -----------------------------------------------------------------------------------------------

    def announce_run(self, repo: Fact, run: Fact, action: str) -> None:
        """Tell by webhook what happened to a run."""
        shapes = self.hub.shapes
        workflow = self.hub.store.get("workflow", run["workflow_id"])
        payload = {
            "workflow_run": shapes.run(repo, run),
            "workflow": shapes.workflow(repo, workflow) if workflow else None,
        }
        self.hub.events.emit(repo, "workflow_run", run["actor"], payload, action)

    def announce_job(self, repo: Fact, job: Fact, action: str) -> None:
        """Tell by webhook what happened to a job."""
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
            job = self.job(job["id"])
            if job["always"] and not force:
                continue
            if job["status"] in ("queued", "waiting", "pending") or (force and job["status"] != "completed"):
                self.finish(repo, job, "cancelled")
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
        self.announce_run(repo, run, "requested")
        self._create_jobs(repo, run, self._file(repo, run["head_sha"], run["path"]))

    def job(self, job_id: int) -> Fact:
        """The job; HubError 404."""
        job = self.hub.store.get("job", job_id)
        if not job:
            raise not_found()
        return job

    def repo_of(self, job: Fact) -> Fact:
        """The repository that a job runs in."""
        repo = self.hub.store.get("repo", job["repo"])
        assert repo is not None
        return repo

    def finish(self, repo: Fact, job: Fact, conclusion: str) -> None:
        """End a job, and let begin what waited for it, or end what never can; the last one ends its run."""
        now = self.hub.now()
        entry = self.hub.store.find("queue", job["id"])
        if entry:
            self.hub.store.remove(entry)
        job |= {"status": "completed", "conclusion": conclusion, "completed_at": now}
        job["started_at"] = job["started_at"] or now
        self.hub.store.save(job)
        self.announce_job(repo, job, "completed")
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
                    self.finish(repo, other, "skipped")
        run, jobs = self.run(repo, job["run_id"]), self.jobs(run)
        if run["status"] != "completed" and all(j["status"] == "completed" for j in jobs):
            results = {j["conclusion"] for j in jobs}
            worst = next((c for c in ("failure", "timed_out", "cancelled") if c in results), "success")
            run |= {"status": "completed", "conclusion": worst, "updated_at": now}
            self.hub.store.save(run)
            self.announce_run(repo, run, "completed")


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
