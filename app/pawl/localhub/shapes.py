"""Facts as GitHub's JSON: accounts, repositories, git objects. What is never used is answered with GitHub's empty value."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dulwich.objects import Commit

from pawl.localhub.gitstore import Entry, FileChange, moment, person
from pawl.localhub.store import Fact

if TYPE_CHECKING:
    from pawl.localhub.hub import Hub

Json = dict[str, Any]

ACTIONS_BOT = "github-actions[bot]"
MERGE_METHODS = ("merge", "squash", "rebase")
"""Whom a job's own token acts as."""
ACTIONS_APP: Json = {
    "app_id": 15368, "slug": "github-actions", "name": "GitHub Actions", "owner": "github",
    "created_at": "2018-07-30T09:30:17Z", "permissions": {}, "events": [],
}  # fmt: skip

_REPOSITORY_URLS = {
    "archive_url": "/{archive_format}{/ref}", "assignees_url": "/assignees{/user}", "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}", "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}", "commits_url": "/commits{/sha}", "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}", "contributors_url": "/contributors", "deployments_url": "/deployments",
    "downloads_url": "/downloads", "events_url": "/events", "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}", "git_refs_url": "/git/refs{/sha}", "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks", "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}", "issues_url": "/issues{/number}", "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}", "languages_url": "/languages", "merges_url": "/merges",
    "milestones_url": "/milestones{/number}", "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}", "releases_url": "/releases{/id}", "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}", "subscribers_url": "/subscribers", "subscription_url": "/subscription",
    "tags_url": "/tags", "teams_url": "/teams", "trees_url": "/git/trees{/sha}",
}  # fmt: skip


def node(kind: str, number: Any) -> str:
    """An opaque global id."""
    return base64.b64encode(f"{kind}:{number}".encode()).decode().rstrip("=")


class Shapes:
    """Renders facts with the addresses under which the hub is reached at this moment."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub

    def api(self, repo: Fact, path: str = "") -> str:
        """The API address of something in a repository."""
        return f"{self.hub.api_url}/repos/{repo['full_name']}{path}"

    def html(self, repo: Fact, path: str = "") -> str:
        """The address of a page in a repository."""
        return f"{self.hub.url}/{repo['full_name']}{path}"

    def user(self, user: Fact) -> Json:
        """A `simple-user`."""
        login = user["login"]
        at = f"{self.hub.api_url}/users/{quote(login)}"
        paths = {
            "events_url": "/events{/privacy}", "followers_url": "/followers", "following_url": "/following{/other_user}",
            "gists_url": "/gists{/gist_id}", "organizations_url": "/orgs", "received_events_url": "/received_events",
            "repos_url": "/repos", "starred_url": "/starred{/owner}{/repo}", "subscriptions_url": "/subscriptions",
        }  # fmt: skip
        return {
            "login": login, "id": user["id"], "node_id": node("User", user["id"]), "type": user["type"],
            "avatar_url": f"{self.hub.url}/_avatar/{quote(login)}", "gravatar_id": "", "site_admin": False,
            "url": at, "html_url": f"{self.hub.url}/{quote(login)}",
            **{name: at + path for name, path in paths.items()},
        }  # fmt: skip

    def login(self, login: str | None) -> Json | None:
        """The user of that login."""
        user = self.hub.store.find("user", login) if login else None
        return self.user(user) if user else None

    def app(self, actor: str = "") -> Json:
        """The App behind a bot's login, as `integration`: GitHub Actions for a job's token, else the hub's own."""
        app = ACTIONS_APP if actor == ACTIONS_BOT else self.hub.app_fact
        return {
            "id": app["app_id"], "slug": app["slug"], "node_id": node("App", app["app_id"]), "name": app["name"],
            "owner": self.login(app["owner"]), "description": "", "external_url": self.hub.url + "/",
            "html_url": f"{self.hub.url}/apps/{app['slug']}", "created_at": app["created_at"],
            "updated_at": app["created_at"], "permissions": app["permissions"], "events": app["events"],
            "client_id": f"Iv23li{app['app_id']}",
        }  # fmt: skip

    def installation(self, installation: Fact) -> Json:
        """An `installation`."""
        account = self.login(installation["account"])
        assert account is not None
        at = f"{self.hub.api_url}/app/installations/{installation['id']}"
        return {
            "id": installation["id"], "account": account, "app_id": self.hub.app_fact["app_id"],
            "app_slug": self.hub.app_fact["slug"], "access_tokens_url": at + "/access_tokens",
            "repositories_url": f"{self.hub.api_url}/installation/repositories",
            "html_url": f"{self.hub.url}/settings/installations/{installation['id']}", "target_id": account["id"],
            "target_type": account["type"], "permissions": installation["permissions"],
            "events": self.hub.app_fact["events"], "repository_selection": installation.get("selection", "selected"),
            "single_file_name": None, "created_at": installation["created_at"], "updated_at": installation["updated_at"],
            "suspended_at": installation["suspended_at"],
            "suspended_by": self.login(installation["account"]) if installation["suspended_at"] else None,
        }  # fmt: skip

    def repository(self, repo: Fact) -> Json:
        """A repository in the fullest of GitHub's forms."""
        open_count = sum(issue["state"] == "open" for issue in self.hub.store.all("issue", repo["id"]))
        return {
            "id": repo["id"], "node_id": node("Repository", repo["id"]), "name": repo["name"],
            "full_name": repo["full_name"], "private": repo["private"], "owner": self.login(repo["owner"]),
            "html_url": self.html(repo), "description": repo.get("description"), "fork": repo.get("fork", False),
            "url": self.api(repo),
            **{name: self.api(repo, path) for name, path in _REPOSITORY_URLS.items()},
            "clone_url": self.html(repo) + ".git", "git_url": self.html(repo) + ".git",
            "ssh_url": self.html(repo) + ".git", "svn_url": self.html(repo), "mirror_url": None, "homepage": None,
            "language": None, "license": None, "size": 0, "topics": [],
            "visibility": "private" if repo["private"] else "public", "default_branch": repo["default_branch"],
            "open_issues": open_count, "open_issues_count": open_count, "forks": 0, "forks_count": 0, "watchers": 0,
            "watchers_count": 0, "stargazers_count": 0, "subscribers_count": 0, "network_count": 0,
            "archived": repo.get("archived", False), "disabled": False,
            "has_issues": True, "has_projects": False, "has_wiki": False,
            "has_pages": False, "has_downloads": False, "has_discussions": False, "is_template": False,
            "web_commit_signoff_required": False, "allow_forking": False, "created_at": repo["created_at"],
            "updated_at": repo["updated_at"], "pushed_at": repo["pushed_at"],
            "allow_merge_commit": "merge" in repo.get("merge_methods", MERGE_METHODS),
            "allow_squash_merge": "squash" in repo.get("merge_methods", MERGE_METHODS),
            "allow_rebase_merge": "rebase" in repo.get("merge_methods", MERGE_METHODS),
            "allow_auto_merge": False, "delete_branch_on_merge": False,
        }  # fmt: skip

    # -- git ---------------------------------------------------------------------------------------------------

    def ref(self, repo: Fact, name: str, sha: str) -> Json:
        """A `git-ref`."""
        return {
            "ref": name,
            "node_id": node("Ref", f"{repo['id']}:{name}"),
            "url": self.api(repo, "/git/" + quote(name)),
            "object": {"type": "commit", "sha": sha, "url": self.api(repo, "/git/commits/" + sha)},
        }

    def _people(self, commit: Commit) -> tuple[Json, Json]:
        people = []
        for text, when in ((commit.author, commit.author_time), (commit.committer, commit.commit_time)):
            who = person(text, when)
            people.append({"name": who.name, "email": who.email, "date": moment(who.when)})
        return people[0], people[1]

    def git_commit(self, repo: Fact, sha: str) -> Json:
        """A `git-commit`: the object alone."""
        commit = self.hub.git(repo).commit(sha)
        author, committer = self._people(commit)
        tree = commit.tree.decode()
        return {
            "sha": sha, "node_id": node("Commit", sha), "url": self.api(repo, "/git/commits/" + sha),
            "html_url": self.html(repo, "/commit/" + sha), "author": author, "committer": committer,
            "message": commit.message.decode("utf-8", "replace"),
            "tree": {"sha": tree, "url": self.api(repo, "/git/trees/" + tree)},
            "parents": [
                {"sha": p.decode(), "url": self.api(repo, "/git/commits/" + p.decode()),
                 "html_url": self.html(repo, "/commit/" + p.decode())}
                for p in commit.parents
            ],
            "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None,
                             "verified_at": None},
        }  # fmt: skip

    def commit(self, repo: Fact, sha: str, files: bool = False) -> Json:
        """A `commit` as repositories list it, with its files on request."""
        bare = self.git_commit(repo, sha)
        shape = {
            "sha": sha, "node_id": bare["node_id"], "url": self.api(repo, "/commits/" + sha),
            "html_url": bare["html_url"], "comments_url": self.api(repo, f"/commits/{sha}/comments"),
            "commit": {
                "author": bare["author"], "committer": bare["committer"], "message": bare["message"],
                "tree": bare["tree"], "url": bare["url"], "comment_count": 0, "verification": bare["verification"],
            },
            "author": self._account(bare["author"]), "committer": self._account(bare["committer"]),
            "parents": bare["parents"],
        }  # fmt: skip
        if files:
            parent = bare["parents"][0]["sha"] if bare["parents"] else None
            changes = self.hub.git(repo).changes(parent, sha)
            shape["files"] = [self.file(repo, sha, change) for change in changes]
            added, removed = sum(c.additions for c in changes), sum(c.deletions for c in changes)
            shape["stats"] = {"additions": added, "deletions": removed, "total": added + removed}
        return shape

    def _account(self, who: Json) -> Json | None:
        local, _, host = who["email"].partition("@")
        return (
            self.login(local.split("+")[-1])
            if host == "users.noreply.github.com"
            else self.login(who["name"])
        )

    def simple_commit(self, repo: Fact, sha: str) -> Json:
        """A commit as events carry it."""
        bare = self.git_commit(repo, sha)
        return {
            "id": sha, "tree_id": bare["tree"]["sha"], "message": bare["message"],
            "timestamp": bare["committer"]["date"],
            "author": {"name": bare["author"]["name"], "email": bare["author"]["email"]},
            "committer": {"name": bare["committer"]["name"], "email": bare["committer"]["email"]},
        }  # fmt: skip

    def file(self, repo: Fact, sha: str, change: FileChange) -> Json:
        """A `diff-entry`."""
        path = quote(change.path)
        shape = {
            "sha": change.sha, "filename": change.path, "status": change.status, "additions": change.additions,
            "deletions": change.deletions, "changes": change.additions + change.deletions,
            "blob_url": self.html(repo, f"/blob/{sha}/{path}"), "raw_url": self.html(repo, f"/raw/{sha}/{path}"),
            "contents_url": self.api(repo, f"/contents/{path}?ref={sha}"),
        }  # fmt: skip
        if change.patch is not None:
            shape["patch"] = change.patch
        return shape

    def tree_entry(self, repo: Fact, entry: Entry) -> Json:
        """One entry of a `git-tree`."""
        kind = {"tree": "trees", "blob": "blobs", "commit": "commits"}[entry.type]
        shape: Json = {
            "path": entry.path, "mode": f"{entry.mode:06o}", "type": entry.type, "sha": entry.sha,
            "url": self.api(repo, f"/git/{kind}/{entry.sha}"),
        }  # fmt: skip
        if entry.type == "blob":
            shape["size"] = len(self.hub.git(repo).blob(entry.sha))
        return shape

    def content(self, repo: Fact, entry: Entry, ref: str, full: bool) -> Json:
        """A `content-file`, or one entry of a directory listing where not `full`."""
        path = quote(entry.path)
        at = self.api(repo, f"/contents/{path}?ref={quote(ref, safe='')}")
        is_file = entry.type == "blob"
        git_url = self.api(repo, f"/git/{'blobs' if is_file else 'trees'}/{entry.sha}")
        page = self.html(repo, f"/{'blob' if is_file else 'tree'}/{quote(ref)}/{path}")
        data = self.hub.git(repo).blob(entry.sha) if is_file else b""
        shape: Json = {
            "type": {"blob": "file", "tree": "dir", "commit": "submodule"}[entry.type], "size": len(data),
            "name": entry.path.rsplit("/", 1)[-1], "path": entry.path, "sha": entry.sha, "url": at,
            "git_url": git_url, "html_url": page,
            "download_url": self.html(repo, f"/raw/{quote(ref)}/{path}") if is_file else None,
            "_links": {"self": at, "git": git_url, "html": page},
        }  # fmt: skip
        if full and len(data) <= 1_000_000:
            shape |= {"encoding": "base64", "content": _base64(data)}
        elif full:  # GitHub gives files above one megabyte only as raw media type or as a blob.
            shape |= {"encoding": "none", "content": ""}
        return shape

    def blob(self, repo: Fact, sha: str) -> Json:
        """A `blob`."""
        data = self.hub.git(repo).blob(sha)
        return {
            "sha": sha, "node_id": node("Blob", sha), "size": len(data), "encoding": "base64",
            "url": self.api(repo, "/git/blobs/" + sha), "content": _base64(data),
        }  # fmt: skip


def _base64(data: bytes) -> str:
    return base64.encodebytes(data).decode()
