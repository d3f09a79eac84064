"""Issues and pull requests: opening, labels, and how a pull request follows its two branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pawl.localhub.errors import HubError, invalid, not_found
from pawl.localhub.gitstore import FileChange
from pawl.localhub.shapes import MERGE_METHODS
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

# GitHub's limit for bodies of issues and pull requests, and the one its error names for comments.
BODY_CHARACTERS = 65_536


class Pulls:
    """What people and bots do with issues and pull requests."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._merges: dict[tuple[int, str, str], str | None] = {}

    # -- issues ----------------------------------------------------------------------------------------------------

    def find(self, repo: Fact, number: int, pull: bool = False) -> Fact:
        """The issue (or only a pull request) of that number; HubError 404."""
        for issue in self.hub.store.all("issue", repo["id"], number):
            if issue["pull"] or not pull:
                return issue
        raise not_found()

    def open(
        self, repo: Fact, actor: str, title: str, body: str | None, labels: list[str], **more: Any
    ) -> Fact:
        """Open an issue, or a pull request where `pull` says so."""
        self.check_body(body, "Issue")
        now = self.hub.now()
        issue = {
            "number": self.hub.next_number(repo), "title": title, "body": body, "state": "open", "user": actor,
            "labels": [], "created_at": now, "updated_at": now, "closed_at": None, "pull": None, **more,
        }  # fmt: skip
        issue = self.hub.store.add("issue", issue, repo["id"], issue["number"])
        for name in labels:
            label = self.ensure_label(repo, name, actor)
            issue["labels"].append(label["name"])
        self.hub.store.save(issue)
        self.announce(repo, issue, "opened", actor)
        return issue

    def check_body(self, body: str | None, resource: str) -> None:
        """Refuse a text that is too long for GitHub."""
        if body is not None and len(body) > BODY_CHARACTERS:
            raise invalid(resource, "body", "custom", "body is too long (maximum is 65536 characters)")

    def announce(self, repo: Fact, issue: Fact, action: str, actor: str, **more: Any) -> None:
        """Send the `issues` or `pull_request` event of an action."""
        if issue["pull"]:
            payload = {"number": issue["number"], "pull_request": self.hub.shapes.pull(repo, issue), **more}
            self.hub.events.emit(repo, "pull_request", actor, payload, action)
        else:
            self.hub.events.emit(
                repo, "issues", actor, {"issue": self.hub.shapes.issue(repo, issue), **more}, action
            )

    def edit(self, repo: Fact, issue: Fact, actor: str, changes: Fact) -> Fact:
        """Change title, body, state, labels; one event per kind of change."""
        self.check_body(changes.get("body"), "Issue")
        edited = {
            name: {"from": issue[name] or ""}
            for name in ("title", "body")
            if name in changes and changes[name] is not None and changes[name] != issue[name]
        }
        issue |= {name: changes[name] for name in edited}
        self.touch(issue)
        if edited:
            self.announce(repo, issue, "edited", actor, changes=edited)
        if changes.get("labels") is not None:
            names = [item if isinstance(item, str) else item["name"] for item in changes["labels"]]
            self.set_labels(repo, issue, names, actor)
        state = changes.get("state") or issue["state"]
        if state != issue["state"]:
            self.set_state(repo, issue, state, actor, changes.get("state_reason"))
        return issue

    def touch(self, issue: Fact) -> None:
        """Store the issue as changed now."""
        issue["updated_at"] = self.hub.now()
        self.hub.store.save(issue)

    def set_state(self, repo: Fact, issue: Fact, state: str, actor: str, reason: str | None = None) -> None:
        """Close or reopen."""
        if state not in ("open", "closed"):
            raise invalid("Issue", "state")
        pull = issue["pull"]
        if state == "open" and pull:
            head = self.hub.store.ref(repo["id"], f"refs/heads/{pull['head_ref']}")
            if pull["merged_at"] or head is None:
                raise invalid(
                    "PullRequest",
                    "state",
                    "custom",
                    "state cannot be changed. The pull request cannot be reopened.",
                )
            pull["head_sha"] = head
        closed = state == "closed"
        issue |= {
            "state": state, "closed_at": self.hub.now() if closed else None, "closed_by": actor if closed else None,
            "state_reason": None if pull else (reason or "completed" if closed else "reopened"),
        }  # fmt: skip
        self.touch(issue)
        self._remember(repo, issue, "closed" if closed else "reopened", actor)
        self.announce(repo, issue, "closed" if closed else "reopened", actor)

    # -- labels ----------------------------------------------------------------------------------------------------

    def label(self, repo: Fact, name: str) -> Fact | None:
        """The repository's label of that name, whatever its case."""
        return self.hub.store.find("label", name.lower(), repo["id"])

    def ensure_label(self, repo: Fact, name: str, actor: str) -> Fact:
        """The label, created grey if it is new, as GitHub does when it is put on an issue."""
        return self.label(repo, name) or self.create_label(repo, actor, name, "ededed", None)

    def create_label(self, repo: Fact, actor: str, name: str, color: str, description: str | None) -> Fact:
        """Create a label; 422 where it exists."""
        if self.label(repo, name):
            raise invalid("Label", "name", "already_exists")
        label = {"name": name, "color": color, "description": description}
        fact = self.hub.store.add("label", label, repo["id"], name.lower())
        self.hub.events.emit(repo, "label", actor, {"label": self.hub.shapes.label(repo, fact)}, "created")
        return fact

    def _remember(self, repo: Fact, issue: Fact, event: str, actor: str, label: Fact | None = None) -> None:
        """Keep who closed or reopened an issue, put a label on it or took it off: the issue's events tell."""
        shown = {"label": label["name"], "color": label["color"]} if label else {}
        fact = {"event": event, "actor": actor, "created_at": self.hub.now(), **shown}
        self.hub.store.add("happening", fact, repo["id"], issue["number"])

    def set_labels(self, repo: Fact, issue: Fact, names: list[str], actor: str) -> None:
        """Make the labels of an issue exactly these, with one event per label put on or taken off."""
        wanted = {name.lower(): name for name in names}
        for name in [name for name in issue["labels"] if name.lower() not in wanted]:
            issue["labels"].remove(name)
            self.touch(issue)
            label = self.label(repo, name)
            if label:
                self._remember(repo, issue, "unlabeled", actor, label)
                self.announce(repo, issue, "unlabeled", actor, label=self.hub.shapes.label(repo, label))
        have = {name.lower() for name in issue["labels"]}
        for lower, name in wanted.items():
            if lower not in have:
                label = self.ensure_label(repo, name, actor)
                issue["labels"].append(label["name"])
                self.touch(issue)
                self._remember(repo, issue, "labeled", actor, label)
                self.announce(repo, issue, "labeled", actor, label=self.hub.shapes.label(repo, label))

    # -- pull requests -----------------------------------------------------------------------------------------------

    def create(self, repo: Fact, actor: str, wanted: Fact) -> Fact:
        """Open a pull request between two branches of the repository."""
        head_ref = str(wanted.get("head", "")).removeprefix(repo["owner"] + ":")
        base_ref = str(wanted.get("base", ""))
        head = self.hub.store.ref(repo["id"], f"refs/heads/{head_ref}")
        base = self.hub.store.ref(repo["id"], f"refs/heads/{base_ref}")
        if head is None:
            raise invalid("PullRequest", "head")
        if base is None:
            raise invalid("PullRequest", "base")
        for issue in self.hub.store.all("issue", repo["id"]):
            pull = issue["pull"]
            if (
                pull
                and issue["state"] == "open"
                and (pull["head_ref"], pull["base_ref"]) == (head_ref, base_ref)
            ):
                message = f"A pull request already exists for {repo['owner']}:{head_ref}."
                raise HubError(422, "Validation Failed", [
                    {"resource": "PullRequest", "code": "custom", "message": message}])  # fmt: skip
        if self.hub.git(repo).is_ancestor(head, base):
            message = f"No commits between {base_ref} and {head_ref}"
            raise HubError(422, "Validation Failed", [
                {"resource": "PullRequest", "code": "custom", "message": message}])  # fmt: skip
        pull = {
            "head_ref": head_ref, "head_sha": head, "base_ref": base_ref, "base_sha": base, "merged_at": None,
            "merged_by": None, "merge_commit_sha": None, "draft": bool(wanted.get("draft")),
        }  # fmt: skip
        return self.open(repo, actor, wanted["title"], wanted.get("body"), [], pull=pull,
                         via_app=wanted.get("via_app", False))  # fmt: skip

    def follow(self, repo: Fact, branch: str, old: str | None, sha: str | None, actor: str) -> None:
        """Bring open pull requests in line with a branch that moved."""
        git = self.hub.git(repo)
        for issue in self.hub.store.all("issue", repo["id"]):
            pull = issue["pull"]
            if not pull or issue["state"] != "open" or (self.hub.faults.late_pulls and sha is not None):
                continue
            if pull["head_ref"] == branch and sha != pull["head_sha"]:
                if sha is None:
                    self.set_state(repo, issue, "closed", actor)
                    continue
                before, pull["head_sha"] = pull["head_sha"], sha
                base = self.hub.store.ref(repo["id"], f"refs/heads/{pull['base_ref']}")
                pull["base_sha"] = base or pull["base_sha"]
                self.touch(issue)
                self.announce(repo, issue, "synchronize", actor, before=before, after=sha)
                if base and git.is_ancestor(sha, base):
                    self.set_state(repo, issue, "closed", actor)
            elif pull["base_ref"] == branch:
                if sha is None:
                    self.set_state(repo, issue, "closed", actor)
                elif git.is_ancestor(pull["head_sha"], sha):
                    self._merged(repo, issue, sha, actor)

    def notice(self, repo: Fact, actor: str) -> None:
        """See at last where the heads of open pull requests are, and which of them are merged."""
        self.hub.faults.late_pulls = False
        with self.hub.store.transaction():
            for issue in self.hub.store.all("issue", repo["id"]):
                pull = issue["pull"]
                if pull and issue["state"] == "open":
                    pull["head_sha"] = self.hub.store.ref(repo["id"], f"refs/heads/{pull['head_ref']}")
                    tip = self.base_tip(repo, issue)
                    if self.hub.git(repo).is_ancestor(pull["head_sha"], tip):
                        self._merged(repo, issue, tip, actor)

    def _merged(self, repo: Fact, issue: Fact, sha: str, actor: str) -> None:
        now = self.hub.now()
        issue["pull"] |= {"merged_at": now, "merged_by": actor, "merge_commit_sha": sha}
        issue |= {"state": "closed", "closed_at": now, "closed_by": actor}
        self.touch(issue)
        self.announce(repo, issue, "closed", actor)

    def base_tip(self, repo: Fact, issue: Fact) -> str:
        """Where the base branch is now (or was, where it is gone)."""
        tip = self.hub.store.ref(repo["id"], f"refs/heads/{issue['pull']['base_ref']}")
        return tip or str(issue["pull"]["base_sha"])

    def commits(self, repo: Fact, issue: Fact) -> list[str]:
        """The pull request's commits, oldest first."""
        pull = issue["pull"]
        base = pull["base_sha"] if pull["merged_at"] else self.base_tip(repo, issue)
        return self.hub.git(repo).log(pull["head_sha"], [base])[::-1]

    def changes(self, repo: Fact, issue: Fact) -> list[FileChange]:
        """The pull request's files: head against where it left the base."""
        git, pull = self.hub.git(repo), issue["pull"]
        base = pull["base_sha"] if pull["merged_at"] else self.base_tip(repo, issue)
        fork = git.merge_base(base, pull["head_sha"])
        return git.changes(fork, pull["head_sha"])

    def merged_tree(self, repo: Fact, issue: Fact) -> str | None:
        """The tree of base and head merged, or None where they conflict."""
        key = (repo["id"], self.base_tip(repo, issue), issue["pull"]["head_sha"])
        if key not in self._merges:
            if len(self._merges) > 500:
                self._merges.clear()
            self._merges[key] = self.hub.git(repo).merge(key[1], key[2])
        return self._merges[key]

    def approvals(self, repo: Fact, issue: Fact) -> int:
        """How many people with write access approve, each counted by their last word."""
        last: dict[str, str] = {}
        for review in self.hub.store.all("review", repo["id"], issue["number"]):
            if review["state"] in ("APPROVED", "CHANGES_REQUESTED") and review["user"] != issue["user"]:
                last[review["user"]] = review["state"]
        writers = [
            login for login in last if self.hub.permission(repo, login) in ("write", "maintain", "admin")
        ]
        return 0 if "CHANGES_REQUESTED" in last.values() else sum(last[w] == "APPROVED" for w in writers)

    def mergeable(self, repo: Fact, issue: Fact) -> tuple[bool | None, str]:
        """GitHub's `mergeable` and `mergeable_state`."""
        if issue["state"] != "open":
            return None, "unknown"
        if self.merged_tree(repo, issue) is None:
            return False, "dirty"
        pull = issue["pull"]
        if pull["draft"]:
            return True, "draft"
        rule = repo["protection"].get(pull["base_ref"])
        if rule:
            if rule["reviews"] > self.approvals(repo, issue):
                return True, "blocked"
            if self.hub.refs.missing_checks(repo, rule, pull["head_sha"]):
                return True, "blocked"
            if rule["strict"] and not self.hub.git(repo).is_ancestor(
                self.base_tip(repo, issue), pull["head_sha"]
            ):
                return True, "behind"
        bad = any(
            run["conclusion"] not in ("success", "neutral", "skipped")
            for run in self.hub.checks.latest(repo, pull["head_sha"])
        )
        bad = bad or any(s["state"] != "success" for s in self.hub.checks.statuses(repo, pull["head_sha"]))
        return True, "unstable" if bad else "clean"

    def merge(self, repo: Fact, issue: Fact, actor: str, wanted: Fact) -> str:
        """Merge by `merge`, `squash` or `rebase`; returns the base's new SHA."""
        pull = issue["pull"]
        if pull["merged_at"] or issue["state"] != "open":
            raise HubError(405, "Pull Request is not mergeable")
        if wanted.get("sha") and wanted["sha"] != pull["head_sha"]:
            raise HubError(409, "Head branch was modified. Review and try the merge again.")
        mergeable, state = self.mergeable(repo, issue)
        if not mergeable or state in ("draft", "behind"):
            raise HubError(405, {"draft": "Pull Request is still a draft", "behind": "Head branch is out of date"}.get(
                state, "Pull Request is not mergeable"))  # fmt: skip
        rule = repo["protection"].get(pull["base_ref"])
        admin = self.hub.permission(repo, actor) == "admin"
        if rule and not (admin and not rule["enforce_admins"]):
            if rule["reviews"] > self.approvals(repo, issue):
                raise HubError(
                    405,
                    f"At least {rule['reviews']} approving review is required by reviewers with write access.",
                )
            missing = self.hub.refs.missing_checks(repo, rule, pull["head_sha"])
            if missing:
                raise HubError(405, f'Required status check "{missing[0]}" is expected.')
            allowed = rule["restrict"]
            if allowed is not None and actor not in allowed and actor.removesuffix("[bot]") not in allowed:
                raise HubError(405, "You're not authorized to push to this branch.")
        method = wanted.get("merge_method") or "merge"
        if method not in repo.get("merge_methods", MERGE_METHODS):
            name = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}.get(
                method
            )
            raise (
                HubError(405, f"{name} are not allowed on this repository.")
                if name
                else invalid("PullRequest", "merge_method")
            )
        sha = self._merge_commit(repo, issue, actor, wanted)
        ref = f"refs/heads/{pull['base_ref']}"
        if method == "merge":
            self.hub.refs.update(repo, ref, sha, actor, checked=False)
        else:  # The head itself never reaches the base, so its being merged has to be said.
            self._merged(repo, issue, sha, actor)
            self.hub.refs.update(repo, ref, sha, actor, checked=False)
        return sha

    def _merge_commit(self, repo: Fact, issue: Fact, actor: str, wanted: Fact) -> str:
        git, pull = self.hub.git(repo), issue["pull"]
        base, tree = self.base_tip(repo, issue), self.merged_tree(repo, issue)
        assert tree is not None
        who = self.hub.identity(actor)
        method = wanted.get("merge_method") or "merge"
        if method == "merge":
            title = wanted.get("commit_title") or (
                f"Merge pull request #{issue['number']} from {repo['owner']}/{pull['head_ref']}"
            )
            message = f"{title}\n\n{wanted.get('commit_message') or issue['title']}"
            return git.write_commit(tree, [base, pull["head_sha"]], message, who, who)
        if method == "squash":
            title = wanted.get("commit_title") or f"{issue['title']} (#{issue['number']})"
            message = f"{title}\n\n{wanted.get('commit_message') or ''}".rstrip()
            return git.write_commit(tree, [base], message, who, who)
        tip = base
        for sha in self.commits(repo, issue):
            commit = git.commit(sha)
            if len(commit.parents) != 1:
                raise HubError(405, "This branch can't be rebased")
            changes: list[tuple[str, int | None, str | None]] = []
            for change in git.changes(commit.parents[0].decode(), sha):
                entry = git.entry(sha, change.path)
                changes.append((change.path, entry.mode if entry else None, entry.sha if entry else None))
            tree = git.write_tree(tip, changes)
            tip = git.write_commit(tree, [tip], commit.message.decode("utf-8", "replace"), who, who)
        return tip
