"""Facts as GitHub's JSON: issues, pull requests, checks, statuses, Actions."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from pawl.localhub.shapes import Json, Shapes, node
from pawl.localhub.store import Fact

_REACTIONS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


class WorkShapes(Shapes):
    """Renders what happens in a repository."""

    def label(self, repo: Fact, label: Fact) -> Json:
        """A `label`."""
        return {
            "id": label["id"], "node_id": node("Label", label["id"]), "name": label["name"], "color": label["color"],
            "url": self.api(repo, "/labels/" + quote(label["name"])), "default": False,
            "description": label["description"],
        }  # fmt: skip

    def happening(self, repo: Fact, event: Fact) -> Json:
        """A `labeled-issue-event` or its opposite, or a `state-change-issue-event`."""
        named = {"label": {"name": event["label"], "color": event["color"]}} if "label" in event else {}
        return {
            "id": event["id"], "node_id": node("IssueEvent", event["id"]),
            "url": self.api(repo, f"/issues/events/{event['id']}"), "actor": self.login(event["actor"]),
            "event": event["event"], "commit_id": None, "commit_url": None, "created_at": event["created_at"],
            "performed_via_github_app": None, **named,
        }  # fmt: skip

    def labels(self, repo: Fact, issue: Fact) -> list[Json]:
        """The labels of an issue."""
        found = {label["name"].lower(): label for label in self.hub.store.all("label", repo["id"])}
        return [self.label(repo, found[name.lower()]) for name in issue["labels"] if name.lower() in found]

    def reactions(self, fact: Fact, url: str) -> Json:
        """A `reaction-rollup`."""
        given = [reaction["content"] for reaction in self.hub.store.all("reaction", key=fact["id"])]
        return {"url": url, "total_count": len(given), **{name: given.count(name) for name in _REACTIONS}}

    def association(self, repo: Fact, login: str) -> str:
        """What a user is to a repository."""
        if login == repo["owner"]:
            return "OWNER"
        return "COLLABORATOR" if login in repo["collaborators"] else "NONE"

    def issue(self, repo: Fact, issue: Fact) -> Json:
        """An `issue`; pull requests too, as GitHub does."""
        at = self.api(repo, f"/issues/{issue['number']}")
        shape: Json = {
            "id": issue["id"], "node_id": node("Issue", issue["id"]), "number": issue["number"], "url": at,
            "repository_url": self.api(repo), "labels_url": at + "/labels{/name}", "comments_url": at + "/comments",
            "events_url": at + "/events", "html_url": self.html(repo, f"/issues/{issue['number']}"),
            "title": issue["title"], "body": issue["body"], "user": self.login(issue["user"]),
            "labels": self.labels(repo, issue), "state": issue["state"], "state_reason": issue.get("state_reason"),
            "locked": False, "active_lock_reason": None, "assignee": None, "assignees": [], "milestone": None,
            "comments": len(self.hub.store.all("comment", repo["id"], issue["number"])),
            "created_at": issue["created_at"], "updated_at": issue["updated_at"], "closed_at": issue["closed_at"],
            "closed_by": self.login(issue.get("closed_by")),
            "author_association": self.association(repo, issue["user"]),
            "reactions": self.reactions(issue, at + "/reactions"),
            "performed_via_github_app": self.app(issue["user"]) if issue.get("via_app") else None,
        }  # fmt: skip
        if issue["pull"]:
            pull = self.api(repo, f"/pulls/{issue['number']}")
            page = self.html(repo, f"/pull/{issue['number']}")
            shape["html_url"] = page
            shape["draft"] = issue["pull"]["draft"]
            shape["pull_request"] = {
                "url": pull, "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch",
                "merged_at": issue["pull"]["merged_at"],
            }  # fmt: skip
        return shape

    def comment(self, repo: Fact, comment: Fact) -> Json:
        """An `issue-comment`."""
        at = self.api(repo, f"/issues/comments/{comment['id']}")
        return {
            "id": comment["id"], "node_id": node("IssueComment", comment["id"]), "url": at,
            "html_url": self.html(repo, f"/issues/{comment['key']}#issuecomment-{comment['id']}"),
            "issue_url": self.api(repo, f"/issues/{comment['key']}"), "body": comment["body"],
            "user": self.login(comment["user"]), "created_at": comment["created_at"],
            "updated_at": comment["updated_at"], "author_association": self.association(repo, comment["user"]),
            "reactions": self.reactions(comment, at + "/reactions"),
            "performed_via_github_app": self.app(comment["user"]) if comment.get("via_app") else None,
        }  # fmt: skip

    def reaction(self, reaction: Fact) -> Json:
        """A `reaction`."""
        return {
            "id": reaction["id"], "node_id": node("Reaction", reaction["id"]), "user": self.login(reaction["user"]),
            "content": reaction["content"], "created_at": reaction["created_at"],
        }  # fmt: skip

    def _end(self, repo: Fact, ref: str, sha: str) -> Json:
        return {
            "label": f"{repo['owner']}:{ref}", "ref": ref, "sha": sha, "user": self.login(repo["owner"]),
            "repo": self.repository(repo),
        }  # fmt: skip

    def pull(self, repo: Fact, issue: Fact, full: bool = True) -> Json:
        """A `pull-request`, or where not `full` a `pull-request-simple` as lists have it."""
        pull, number = issue["pull"], issue["number"]
        at, page = self.api(repo, f"/pulls/{number}"), self.html(repo, f"/pull/{number}")
        issue_at = self.api(repo, f"/issues/{number}")
        links = {
            "self": at, "html": page, "issue": issue_at, "comments": issue_at + "/comments",
            "review_comments": at + "/comments", "review_comment": self.api(repo, "/pulls/comments{/number}"),
            "commits": at + "/commits", "statuses": self.api(repo, f"/statuses/{pull['head_sha']}"),
        }  # fmt: skip
        shape: Json = {
            "id": issue["id"], "node_id": node("PullRequest", issue["id"]), "number": number, "url": at,
            "html_url": page, "diff_url": page + ".diff", "patch_url": page + ".patch", "issue_url": issue_at,
            "comments_url": links["comments"], "review_comments_url": links["review_comments"],
            "review_comment_url": links["review_comment"], "commits_url": links["commits"],
            "statuses_url": links["statuses"], "_links": {name: {"href": href} for name, href in links.items()},
            "state": issue["state"], "locked": False, "active_lock_reason": None, "title": issue["title"],
            "body": issue["body"], "user": self.login(issue["user"]), "labels": self.labels(repo, issue),
            "milestone": None, "assignee": None, "assignees": [], "requested_reviewers": [], "requested_teams": [],
            "created_at": issue["created_at"], "updated_at": issue["updated_at"], "closed_at": issue["closed_at"],
            "merged_at": pull["merged_at"], "merge_commit_sha": pull["merge_commit_sha"], "draft": pull["draft"],
            "auto_merge": None, "author_association": self.association(repo, issue["user"]),
            "head": self._end(repo, pull["head_ref"], pull["head_sha"]),
            "base": self._end(repo, pull["base_ref"], pull["base_sha"]),
        }  # fmt: skip
        if full:
            mergeable, state = self.hub.pulls.mergeable(repo, issue)
            commits = self.hub.pulls.commits(repo, issue)
            changes = self.hub.pulls.changes(repo, issue)
            shape |= {
                "merged": bool(pull["merged_at"]), "merged_by": self.login(pull["merged_by"]),
                "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
                "maintainer_can_modify": False, "review_comments": 0, "commits": len(commits),
                "comments": len(self.hub.store.all("comment", repo["id"], number)),
                "additions": sum(c.additions for c in changes), "deletions": sum(c.deletions for c in changes),
                "changed_files": len(changes),
            }  # fmt: skip
        return shape

    def review(self, repo: Fact, review: Fact) -> Json:
        """A `pull-request-review`."""
        page = self.html(repo, f"/pull/{review['key']}#pullrequestreview-{review['id']}")
        at = self.api(repo, f"/pulls/{review['key']}")
        return {
            "id": review["id"], "node_id": node("PullRequestReview", review["id"]), "user": self.login(review["user"]),
            "body": review["body"], "state": review["state"], "html_url": page, "pull_request_url": at,
            "_links": {"html": {"href": page}, "pull_request": {"href": at}}, "commit_id": review["commit_id"],
            "submitted_at": review["submitted_at"], "author_association": self.association(repo, review["user"]),
        }  # fmt: skip

    def _minimal_pulls(self, repo: Fact, sha: str) -> list[Json]:
        ends = {"id": repo["id"], "name": repo["name"], "url": self.api(repo)}
        return [
            {
                "id": issue["id"], "number": issue["number"], "url": self.api(repo, f"/pulls/{issue['number']}"),
                "head": {"ref": issue["pull"]["head_ref"], "sha": issue["pull"]["head_sha"], "repo": ends},
                "base": {"ref": issue["pull"]["base_ref"], "sha": issue["pull"]["base_sha"], "repo": ends},
            }
            for issue in self.hub.store.all("issue", repo["id"])
            if issue["pull"] and issue["state"] == "open" and issue["pull"]["head_sha"] == sha
        ]  # fmt: skip

    def check_run(self, repo: Fact, run: Fact, hook: bool = False) -> Json:
        """A `check-run`; webhooks carry more of its suite."""
        at = self.api(repo, f"/check-runs/{run['id']}")
        suite: Json = {"id": run["suite_id"]}
        app = self.app(run.get("by", ""))
        pulls = self._minimal_pulls(repo, run["head_sha"])
        if hook:
            suite |= {
                "node_id": node("CheckSuite", run["suite_id"]), "head_sha": run["head_sha"], "head_branch": None,
                "status": run["status"], "conclusion": run["conclusion"], "before": None, "after": None,
                "url": self.api(repo, f"/check-suites/{run['suite_id']}"), "pull_requests": pulls, "app": app,
                "created_at": run["created_at"], "updated_at": run["created_at"],
            }  # fmt: skip
        return {
            "id": run["id"], "node_id": node("CheckRun", run["id"]), "head_sha": run["head_sha"],
            "external_id": run["external_id"] or "", "url": at, "name": run["name"],
            "html_url": self.html(repo, f"/runs/{run['id']}"),
            "details_url": run["details_url"] or self.html(repo, f"/runs/{run['id']}"), "status": run["status"],
            "conclusion": run["conclusion"], "started_at": run["started_at"], "completed_at": run["completed_at"],
            "output": {
                "title": run["title"], "summary": run["summary"], "text": run["text"],
                "annotations_count": len(run["annotations"]), "annotations_url": at + "/annotations",
            },
            "check_suite": suite, "app": app, "pull_requests": pulls,
        }  # fmt: skip

    def annotation(self, repo: Fact, run: Fact, given: Json) -> Json:
        """A `check-annotation`."""
        return {
            "path": given["path"], "start_line": given["start_line"], "end_line": given["end_line"],
            "start_column": given.get("start_column"), "end_column": given.get("end_column"),
            "annotation_level": given["annotation_level"], "title": given.get("title"), "message": given["message"],
            "raw_details": given.get("raw_details"),
            "blob_href": self.html(repo, f"/blob/{run['head_sha']}/{quote(given['path'])}"),
        }  # fmt: skip

    def status(self, repo: Fact, status: Fact, simple: bool = False) -> Json:
        """A `status`."""
        shape = {
            "id": status["id"], "node_id": node("Status", status["id"]), "state": status["state"],
            "context": status["context"], "description": status["description"], "target_url": status["target_url"],
            "url": self.api(repo, f"/statuses/{status['key']}"), "avatar_url": f"{self.hub.url}/_avatar/status",
            "created_at": status["created_at"], "updated_at": status["created_at"],
        }  # fmt: skip
        return shape if simple else {**shape, "creator": self.login(status["creator"])}

    def status_hook(self, repo: Fact, status: Fact) -> Json:
        """What a `status` event says of one, with the branches whose tip it is on."""
        sha, prefix = status["key"], "refs/heads/"
        tips = self.hub.store.refs(repo["id"], prefix)
        return {
            **{name: status[name] for name in ("id", "state", "context", "description", "target_url", "created_at")},
            "updated_at": status["created_at"], "sha": sha, "name": repo["full_name"], "avatar_url": None,
            "commit": self.commit(repo, sha),
            "branches": [
                {
                    "name": name.removeprefix(prefix), "commit": {"sha": sha, "url": self.api(repo, "/commits/" + sha)},
                    "protected": False,
                }
                for name, tip in tips.items() if tip == sha
            ],
        }  # fmt: skip

    # -- Actions ---------------------------------------------------------------------------------------------------

    def workflow(self, repo: Fact, workflow: Fact) -> Json:
        """A `workflow`."""
        return {
            "id": workflow["id"], "node_id": node("Workflow", workflow["id"]), "name": workflow["name"],
            "path": workflow["path"], "state": "active", "created_at": workflow["created_at"],
            "updated_at": workflow["created_at"], "url": self.api(repo, f"/actions/workflows/{workflow['id']}"),
            "html_url": self.html(repo, f"/blob/{quote(repo['default_branch'])}/{workflow['path']}"),
            "badge_url": self.html(repo, f"/actions/workflows/{workflow['path'].rsplit('/', 1)[-1]}/badge.svg"),
        }  # fmt: skip

    def run(self, repo: Fact, run: Fact) -> Json:
        """A `workflow-run`."""
        at = self.api(repo, f"/actions/runs/{run['id']}")
        actor = self.login(run["actor"])
        repository = self.repository(repo)
        return {
            "id": run["id"], "name": run["name"], "node_id": node("WorkflowRun", run["id"]),
            "head_branch": run["head_branch"], "head_sha": run["head_sha"], "path": run["path"],
            "display_title": run["display_title"], "run_number": run["run_number"], "event": run["event"],
            "status": run["status"], "conclusion": run["conclusion"], "workflow_id": run["workflow_id"],
            "check_suite_id": run["id"], "check_suite_node_id": node("CheckSuite", run["id"]), "url": at,
            "html_url": self.html(repo, f"/actions/runs/{run['id']}"), "pull_requests": [],
            "created_at": run["created_at"], "updated_at": run["updated_at"], "actor": actor,
            "triggering_actor": actor, "run_attempt": run["attempt"], "run_started_at": run["started_at"],
            "referenced_workflows": [], "jobs_url": at + "/jobs", "logs_url": at + "/logs",
            "check_suite_url": self.api(repo, f"/check-suites/{run['id']}"), "artifacts_url": at + "/artifacts",
            "cancel_url": at + "/cancel", "rerun_url": at + "/rerun", "previous_attempt_url": None,
            "workflow_url": self.api(repo, f"/actions/workflows/{run['workflow_id']}"),
            "head_commit": self.simple_commit(repo, run["head_sha"]), "repository": repository,
            "head_repository": repository,
        }  # fmt: skip

    def job(self, repo: Fact, job: Fact) -> Json:
        """A `job`."""
        runner = self.hub.store.find("runner", job["runner"]) if job["runner"] else None
        return {
            "id": job["id"], "run_id": job["run_id"], "node_id": node("Job", job["id"]),
            "run_url": self.api(repo, f"/actions/runs/{job['run_id']}"), "run_attempt": job["attempt"],
            "head_sha": job["head_sha"], "head_branch": job["head_branch"], "workflow_name": job["workflow_name"],
            "url": self.api(repo, f"/actions/jobs/{job['id']}"),
            "html_url": self.html(repo, f"/actions/runs/{job['run_id']}/job/{job['id']}"),
            "check_run_url": self.api(repo, f"/check-runs/{job['id']}"), "status": job["status"],
            "conclusion": job["conclusion"], "name": job["name"], "labels": job["labels"], "steps": [],
            "created_at": job["created_at"], "started_at": job["started_at"] or job["created_at"],
            "completed_at": job["completed_at"], "runner_id": runner["id"] if runner else None,
            "runner_name": job["runner"], "runner_group_id": 1 if runner else None,
            "runner_group_name": "Default" if runner else None,
        }  # fmt: skip

    def artifact(self, repo: Fact, artifact: Fact) -> Json:
        """An `artifact`."""
        at = self.api(repo, f"/actions/artifacts/{artifact['id']}")
        return {
            "id": artifact["id"], "node_id": node("Artifact", artifact["id"]), "name": artifact["name"],
            "size_in_bytes": artifact["size"], "digest": artifact["digest"], "url": at,
            "archive_download_url": at + "/zip", "expired": artifact["expired"],
            "created_at": artifact["created_at"], "updated_at": artifact["created_at"],
            "expires_at": artifact["expires_at"],
            "workflow_run": {
                "id": int(artifact["key"]), "repository_id": repo["id"], "head_repository_id": repo["id"],
                "head_branch": artifact["head_branch"], "head_sha": artifact["head_sha"],
            },
        }  # fmt: skip

    def runner(self, runner: Fact) -> Json:
        """A self-hosted `runner`."""
        labels: list[Json] = [{"name": name, "type": "custom"} for name in runner["labels"]]
        busy: Any = any(
            job["runner"] == runner["name"] and job["status"] != "completed"
            for job in self.hub.store.all("job")
        )
        return {
            "id": runner["id"], "name": runner["name"], "os": "linux", "busy": busy,
            "status": "online" if runner.get("online", True) else "offline",
            "labels": labels, "runner_group_id": 1,
        }  # fmt: skip
