"""Branches, tags and other refs: who may move them, and what follows from a move."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pawl.localhub.errors import HubError
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

ZERO = "0" * 40
_PASSING = ("success", "neutral", "skipped")


class Refs:
    """Moves refs. Pushes, merges and the API all come through here."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def update(
        self, repo: Fact, name: str, sha: str | None, actor: str, *, force: bool = False, checked: bool = True
    ) -> None:
        """Create, move or (SHA None) delete a ref. HubError 422 or 403 where GitHub would refuse."""
        store = self.hub.store
        with store.transaction():
            old = store.ref(repo["id"], name)
            if old == sha:
                return
            if checked:
                self.check(repo, name, old, sha, actor, force)
            forced = bool(old and sha and not self.hub.git(repo).is_ancestor(old, sha))
            store.set_ref(repo["id"], name, sha)
            fresh = store.get("repo", repo["id"])
            assert fresh is not None
            now = self.hub.now()
            fresh |= {"pushed_at": now, "updated_at": now}
            store.save(fresh)
            if name.startswith(("refs/heads/", "refs/tags/")):
                self._announce(fresh, name, old, sha, actor, forced)
            if name.startswith("refs/heads/"):
                self.hub.pulls.follow(fresh, name.removeprefix("refs/heads/"), old, sha, actor)

    def check(self, repo: Fact, name: str, old: str | None, sha: str | None, actor: str, force: bool) -> None:
        """Raise what GitHub answers where this move is not allowed."""
        git = self.hub.git(repo)
        if sha and name.startswith("refs/heads/") and not git.has(sha):
            raise HubError(422, "Object does not exist")
        if sha is None and name == f"refs/heads/{repo['default_branch']}":
            raise HubError(422, "Cannot delete the default branch")
        if old is None and self._in_the_way(repo, name):
            raise HubError(422, "Reference update failed")
        rule = (
            repo["protection"].get(name.removeprefix("refs/heads/"))
            if name.startswith("refs/heads/")
            else None
        )
        is_admin = self.hub.permission(repo, actor) == "admin"
        bypass = rule is not None and is_admin and not rule["enforce_admins"]
        forward = not (old and sha) or git.is_ancestor(old, sha)
        if not forward and not force:
            raise HubError(422, "Update is not a fast forward")
        if rule is None or bypass:
            return
        if sha is None:
            raise HubError(422, "Cannot delete this protected branch")
        if not forward:
            raise HubError(422, "Cannot force-push to this branch")
        allowed = rule["restrict"]
        if allowed is not None and actor not in allowed and actor.removesuffix("[bot]") not in allowed:
            raise HubError(403, "You're not authorized to push to this branch.")
        branch = name.removeprefix("refs/heads/")
        if rule["reviews"] and not self._approved(repo, branch, sha, rule["reviews"]):
            raise HubError(422, "Changes must be made through a pull request.")
        missing = self.missing_checks(repo, rule, sha)
        if len(missing) == 1:
            raise HubError(422, f'Required status check "{missing[0]}" is expected.')
        if missing:
            raise HubError(
                422, f"{len(missing)} of {len(rule['checks'])} required status checks are expected."
            )

    def _in_the_way(self, repo: Fact, name: str) -> bool:
        """Whether a ref cannot be beside those that are there: git keeps them as files, `a` or `a/b` but not both."""
        parts = name.split("/")
        above = ("/".join(parts[:length]) for length in range(3, len(parts)))
        store = self.hub.store
        return any(store.ref(repo["id"], other) for other in above) or bool(
            store.refs(repo["id"], name + "/")
        )

    def _approved(self, repo: Fact, branch: str, sha: str, wanted: int) -> bool:
        return any(
            issue["pull"]
            and issue["state"] == "open"
            and issue["pull"]["base_ref"] == branch
            and issue["pull"]["head_sha"] == sha
            and self.hub.pulls.approvals(repo, issue) >= wanted
            for issue in self.hub.store.all("issue", repo["id"])
        )

    def missing_checks(self, repo: Fact, rule: Fact, sha: str) -> list[str]:
        """Required checks that have not passed on a commit."""
        passed = {s["context"] for s in self.hub.checks.statuses(repo, sha) if s["state"] == "success"}
        passed |= {
            run["name"] for run in self.hub.checks.latest(repo, sha)
            if run["status"] == "completed" and run["conclusion"] in _PASSING
        }  # fmt: skip
        return [name for name in rule["checks"] if name not in passed]

    def _announce(
        self, repo: Fact, name: str, old: str | None, sha: str | None, actor: str, forced: bool
    ) -> None:
        shapes, git = self.hub.shapes, self.hub.git(repo)
        short = name.split("/", 2)[2]
        kind = "tag" if name.startswith("refs/tags/") else "branch"
        commits = []
        if sha and git.has(sha):
            known = [old] if old and git.has(old) else []
            if (
                not old
                and (main := self.hub.store.ref(repo["id"], f"refs/heads/{repo['default_branch']}")) != sha
            ):
                known = [main] if main else []
            commits = [self._pushed(repo, c) for c in reversed(git.log(sha, known, limit=20))]
        if bool(old) != bool(sha):
            payload: Fact = {"ref": short, "ref_type": kind, "pusher_type": "user"}
            if sha:
                payload |= {"master_branch": repo["default_branch"], "description": repo.get("description")}
            self.hub.events.emit(repo, "create" if sha else "delete", actor, payload)
        repository = shapes.repository(repo)
        repository["owner"] = {**repository["owner"], "name": repo["owner"], "email": None}
        self.hub.events.emit(
            repo,
            "push",
            actor,
            {
                "ref": name, "before": old or ZERO, "after": sha or ZERO, "created": old is None,
                "deleted": sha is None, "forced": forced, "base_ref": None, "commits": commits,
                "head_commit": self._pushed(repo, sha) if sha and git.has(sha) else None,
                "compare": shapes.html(repo, f"/compare/{(old or ZERO)[:12]}...{(sha or ZERO)[:12]}"),
                "pusher": {"name": actor, "email": f"{actor}@users.noreply.github.com"}, "repository": repository,
            },
        )  # fmt: skip

    def _pushed(self, repo: Fact, sha: str) -> Fact:
        git = self.hub.git(repo)
        parents = git.commit(sha).parents
        changes = git.changes(parents[0].decode() if parents else None, sha)
        files = {
            name: [change.path for change in changes if change.status == name]
            for name in ("added", "removed", "modified")
        }
        url = self.hub.shapes.html(repo, f"/commit/{sha}")
        return {**self.hub.shapes.simple_commit(repo, sha), "url": url, "distinct": True, **files}
