"""Check runs and commit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, invalid
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

_CONCLUSIONS = ("action_required", "cancelled", "failure", "neutral", "success", "skipped", "timed_out")
_STATES = ("error", "failure", "pending", "success")
# GitHub's documented limits of the Checks API.
TEXT_CHARACTERS = 65_535
ANNOTATIONS_PER_REQUEST = 50
ACTIONS = 3


class Checks:
    """What is said about commits."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def runs(self, repo: Fact, sha: str) -> list[Fact]:
        """All check runs of a commit."""
        return self.hub.store.all("check_run", repo["id"], sha)

    def latest(self, repo: Fact, sha: str) -> list[Fact]:
        """The newest check run of each name."""
        return list({run["name"]: run for run in self.runs(repo, sha)}.values())

    def statuses(self, repo: Fact, sha: str) -> list[Fact]:
        """The newest status of each context."""
        return list(
            {status["context"]: status for status in self.hub.store.all("status", repo["id"], sha)}.values()
        )

    def create(self, repo: Fact, actor: str, wanted: Fact) -> Fact:
        """Create a check run; `created`, and `completed` where it already is, are announced."""
        name, sha = wanted.get("name"), wanted.get("head_sha")
        if not isinstance(name, str) or not name:
            raise HubError(422, 'Invalid request.\n\n"name" wasn\'t supplied.')
        if not isinstance(sha, str) or not self.hub.git(repo).has(sha):
            raise HubError(422, f"No commit found for SHA: {sha}")
        runs = self.runs(repo, sha)
        run: Fact = {
            "name": name, "head_sha": sha, "status": "queued", "conclusion": None, "external_id": None,
            "details_url": None, "started_at": self.hub.now(), "completed_at": None, "title": None, "summary": None,
            "text": None, "annotations": [], "actions": [], "created_at": self.hub.now(), "by": actor,
            "suite_id": runs[0]["suite_id"] if runs else self.hub.store.add("suite", {}, repo["id"], sha)["id"],
        }  # fmt: skip
        self._apply(run, wanted)
        fact = self.hub.store.add("check_run", run, repo["id"], sha)
        self.announce(repo, fact, "created", actor)
        if fact["status"] == "completed":
            self.announce(repo, fact, "completed", actor)
        return fact

    def edit(self, repo: Fact, run: Fact, actor: str, wanted: Fact) -> None:
        """Change a check run; becoming completed is announced."""
        if actor != run.get("by", actor):
            raise HubError(
                403, "Invalid app_id - check run can only be modified by the GitHub App that created it."
            )
        before = run["status"]
        self._apply(run, wanted)
        self.hub.store.save(run)
        if run["status"] == "completed" and before != "completed":
            self.announce(repo, run, "completed", actor)

    def _apply(self, run: Fact, wanted: Fact) -> None:
        for name in ("name", "external_id", "details_url", "started_at"):
            if wanted.get(name) is not None:
                run[name] = wanted[name]
        conclusion = wanted.get("conclusion")
        if conclusion is not None and conclusion not in _CONCLUSIONS:
            raise invalid("CheckRun", "conclusion")
        status = wanted.get("status") or ("completed" if conclusion else run["status"])
        if status == "completed" and not (conclusion or run["conclusion"]):
            raise invalid("CheckRun", "conclusion", "missing_field")
        if status != "completed" and conclusion is None:
            run |= {"conclusion": None, "completed_at": None}
        run["status"] = "completed" if conclusion else status
        if run["status"] == "completed":
            run["conclusion"] = conclusion or run["conclusion"]
            run["completed_at"] = wanted.get("completed_at") or run["completed_at"] or self.hub.now()
        if wanted.get("output"):
            self._output(run, wanted["output"])
        actions = wanted.get("actions")
        if actions is not None:
            limits = {"label": 20, "identifier": 20, "description": 40}
            if len(actions) > ACTIONS:
                raise invalid("CheckRun", "actions", "custom", "Only 3 actions are allowed")
            for action in actions:
                if any(not action.get(name) or len(action[name]) > most for name, most in limits.items()):
                    raise invalid("CheckRun", "actions")
            run["actions"] = actions

    def _output(self, run: Fact, output: Fact) -> None:
        for name in ("title", "summary"):
            if not isinstance(output.get(name), str) and run[name] is None:
                raise HubError(422, f'Invalid request.\n\n"{name}" wasn\'t supplied.')
        for name in ("title", "summary", "text"):
            value = output.get(name)
            if value is not None:
                if len(value) > TEXT_CHARACTERS:
                    raise invalid("CheckRun", name, "custom", f"{name} exceeds a maximum of 65535 characters")
                run[name] = value
        annotations = output.get("annotations") or []
        if len(annotations) > ANNOTATIONS_PER_REQUEST:
            raise HubError(422, "Invalid request.\n\nNo more than 50 annotations are allowed per request.")
        for item in annotations:
            if item.get("annotation_level") not in ("notice", "warning", "failure") or not item.get("path"):
                raise invalid("CheckRun", "annotations")
            lines = item.get("start_line"), item.get("end_line")
            columns = [name for name in ("start_column", "end_column") if item.get(name) is not None]
            if not all(isinstance(line, int) for line in lines) or lines[0] > lines[1]:
                raise invalid("CheckRun", "annotations")
            if columns and lines[0] != lines[1]:  # GitHub takes columns on one line alone
                raise invalid("CheckRun", "annotations")
            if len(item.get("title") or "") > 255 or len(item["message"].encode()) > 65_536:
                raise invalid("CheckRun", "annotations")
        run["annotations"] = [*run["annotations"], *annotations]

    def announce(self, repo: Fact, run: Fact, action: str, actor: str, **more: Any) -> None:
        """Send a `check_run` event."""
        payload = {"check_run": self.hub.shapes.check_run(repo, run, hook=True), **more}
        self.hub.events.emit(repo, "check_run", actor, payload, action)

    def rerequest(self, repo: Fact, run: Fact, actor: str) -> None:
        """Ask for a check again, as the Re-run button does."""
        self.announce(repo, run, "rerequested", actor)

    def rerequest_all(self, repo: Fact, run: Fact, actor: str) -> None:
        """Ask for a check run's whole suite again, as *Re-run all checks* does: one event, and none for each run."""
        suite = self.hub.shapes.check_run(repo, run, hook=True)["check_suite"]
        heads = [pull["head"]["ref"] for pull in suite["pull_requests"]]
        suite |= {
            "head_branch": heads[0] if heads else None, "latest_check_runs_count": len(self.latest(repo, run["head_sha"])),
            "check_runs_url": suite["url"] + "/check-runs",
            "head_commit": self.hub.shapes.simple_commit(repo, run["head_sha"]),
        }  # fmt: skip
        self.hub.events.emit(repo, "check_suite", actor, {"check_suite": suite}, "rerequested")

    def press(self, full_name: str, check_run_id: int, identifier: str, login: str) -> None:
        """Press one of a check run's buttons as a person would; 422 where it has no such button."""
        with self.hub.store.transaction():
            repo = self.hub.repository(full_name)
            run = self.hub.store.get("check_run", check_run_id)
            if not run or identifier not in [action["identifier"] for action in run["actions"]]:
                raise invalid("CheckRun", "identifier")
            self.announce(repo, run, "requested_action", login, requested_action={"identifier": identifier})

    def set_status(self, repo: Fact, actor: str, sha: str, wanted: Fact) -> Fact:
        """Add a commit status, and tell the App of it."""
        if wanted.get("state") not in _STATES:
            raise invalid("Status", "state")
        status = {
            "state": wanted["state"], "context": wanted.get("context") or "default", "creator": actor,
            "description": wanted.get("description"), "target_url": wanted.get("target_url"),
            "created_at": self.hub.now(),
        }  # fmt: skip
        status = self.hub.store.add("status", status, repo["id"], sha)
        self.hub.events.emit(repo, "status", actor, self.hub.shapes.status_hook(repo, status))
        return status
