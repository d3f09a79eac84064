"""Pages for people who watch: server-rendered, without script, everything escaped."""

from __future__ import annotations

from typing import Any

import flask
import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

from pawl.localhub.errors import HubError, not_found
from pawl.localhub.gitstore import moment, person
from pawl.localhub.hub import Hub
from pawl.localhub.store import Fact

_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_SHOWN = 100


def markdown(text: str | None) -> Markup:
    """Markdown as clean HTML; whatever could run or load is taken out."""
    html = nh3.clean(_MARKDOWN.render(text or ""), tags=nh3.ALLOWED_TAGS - {"img"}, strip_comments=True)
    return Markup(html)  # noqa: S704 (cleaned above)


def pages(hub: Hub) -> flask.Blueprint:
    """The readable side of the hub. It is as open as the loopback interface it lives on."""
    site = flask.Blueprint("pages", __name__, template_folder="templates")
    site.add_app_template_filter(markdown, "markdown")
    store = hub.store

    def show(template: str, repo: Fact | None = None, **values: Any) -> str:
        return flask.render_template(f"localhub/{template}.html", repo=repo, hub=hub, **values)

    def repository(owner: str, name: str) -> Fact:
        return hub.repository(f"{owner}/{name}")

    def issues(repo: Fact, pull: bool) -> list[Fact]:
        found = [issue for issue in store.all("issue", repo["id"]) if bool(issue["pull"]) == pull]
        return sorted(found, key=lambda issue: (issue["state"] != "open", -issue["number"]))

    def labels(repo: Fact) -> dict[str, Fact]:
        return {label["name"]: label for label in store.all("label", repo["id"])}

    def commit_lines(repo: Fact, shas: list[str]) -> list[dict[str, Any]]:
        lines = []
        for sha in shas:
            commit = hub.git(repo).commit(sha)
            lines.append({
                "sha": sha, "title": commit.message.decode("utf-8", "replace").split("\n")[0],
                "author": person(commit.author, commit.author_time).name, "when": moment(commit.commit_time),
            })  # fmt: skip
        return lines

    def tip_of(repo: Fact, ref: str) -> str:
        sha = store.ref(repo["id"], f"refs/heads/{ref}")
        if sha is None and len(ref) == 40 and hub.git(repo).has(ref):
            return ref
        if sha is None:
            raise not_found()
        return sha

    @site.app_errorhandler(HubError)
    def refused(error: HubError) -> Any:
        return show("error", message=error.message), error.status

    @site.get("/")
    def home() -> str:
        return show("home", repos=[(repo, issues(repo, pull=True)) for repo in hub.repositories()])

    @site.get("/<owner>/<name>")
    def overview(owner: str, name: str) -> str:
        repo = repository(owner, name)
        tip = store.ref(repo["id"], f"refs/heads/{repo['default_branch']}")
        git = hub.git(repo)
        entries = sorted(git.entries(tip), key=lambda e: (e.type != "tree", e.path)) if tip else []
        readme = git.entry(tip, "README.md") if tip else None
        return show(
            "repository", repo, entries=entries, branches=store.refs(repo["id"], "refs/heads/"),
            pulls=issues(repo, pull=True)[:_SHOWN], issues=issues(repo, pull=False)[:_SHOWN], labels=labels(repo),
            runs=store.all("run", repo["id"])[::-1][:20], commits=commit_lines(repo, git.log(tip, limit=5)) if tip else [],
            readme=git.blob(readme.sha).decode("utf-8", "replace") if readme else None,
        )  # fmt: skip

    @site.get("/<owner>/<name>/pulls")
    def pull_list(owner: str, name: str) -> str:
        repo = repository(owner, name)
        return show(
            "issues", repo, title="Pull requests", issues=issues(repo, pull=True), labels=labels(repo)
        )

    @site.get("/<owner>/<name>/issues")
    def issue_list(owner: str, name: str) -> str:
        repo = repository(owner, name)
        return show("issues", repo, title="Issues", issues=issues(repo, pull=False), labels=labels(repo))

    @site.get("/<owner>/<name>/issues/<int:number>")
    @site.get("/<owner>/<name>/pull/<int:number>")
    def issue(owner: str, name: str, number: int) -> str:
        repo = repository(owner, name)
        found = hub.pulls.find(repo, number)
        pull: dict[str, Any] = {}
        if found["pull"]:
            head = found["pull"]["head_sha"]
            pull = {
                "checks": hub.checks.latest(repo, head), "changes": hub.pulls.changes(repo, found),
                "commits": commit_lines(repo, hub.pulls.commits(repo, found)[-_SHOWN:]),
                "reviews": store.all("review", repo["id"], number), "state": hub.pulls.mergeable(repo, found)[1],
            }  # fmt: skip
        comments = store.all("comment", repo["id"], number)
        return show("issue", repo, issue=found, pull=pull, comments=comments, labels=labels(repo))

    @site.get("/<owner>/<name>/actions/runs/<int:run_id>")
    @site.get("/<owner>/<name>/actions/runs/<int:run_id>/job/<int:job_id>")
    def run(owner: str, name: str, run_id: int, job_id: int = 0) -> str:
        repo = repository(owner, name)
        found = hub.actions.run(repo, run_id)
        jobs = hub.actions.jobs(found, latest=False)
        return show("run", repo, run=found, jobs=jobs, artifacts=store.all("artifact", repo["id"], run_id))

    @site.get("/<owner>/<name>/runs/<int:check_run_id>")
    def check(owner: str, name: str, check_run_id: int) -> str:
        repo = repository(owner, name)
        found = store.get("check_run", check_run_id)
        if not found or found["repo"] != repo["id"]:
            raise not_found()
        return show("check", repo, check=found)

    @site.get("/<owner>/<name>/commits/<path:ref>")
    def history(owner: str, name: str, ref: str) -> str:
        repo = repository(owner, name)
        found = hub.git(repo).log(tip_of(repo, ref), limit=_SHOWN)
        return show("commits", repo, ref=ref, commits=commit_lines(repo, found))

    @site.get("/<owner>/<name>/commit/<sha>")
    def commit(owner: str, name: str, sha: str) -> str:
        repo = repository(owner, name)
        git = hub.git(repo)
        found = git.commit(sha)
        changes = git.changes(found.parents[0].decode() if found.parents else None, sha)
        message = found.message.decode("utf-8", "replace")
        line = commit_lines(repo, [sha])[0]
        return show(
            "commit", repo, line=line, message=message, changes=changes, checks=hub.checks.latest(repo, sha)
        )

    @site.get("/<owner>/<name>/blob/<path:where>")
    @site.get("/<owner>/<name>/tree/<path:where>")
    def browse(owner: str, name: str, where: str) -> str:
        repo = repository(owner, name)
        git, parts = hub.git(repo), where.split("/")
        for cut in range(1, len(parts) + 1):  # A branch's name may hold slashes.
            ref, path = "/".join(parts[:cut]), "/".join(parts[cut:])
            try:
                entry = git.entry(tip_of(repo, ref), path)
            except HubError:
                continue
            if entry is None:
                break
            if entry.type == "tree":
                entries = git.entries(entry.sha, prefix=path + "/" if path else "")
                return show("tree", repo, ref=ref, path=path, entries=entries)
            return show("blob", repo, ref=ref, path=path, text=git.blob(entry.sha).decode("utf-8", "replace"))
        raise not_found()

    @site.get("/favicon.ico")
    @site.get("/_avatar/<login>")
    def avatar(login: str = "") -> flask.Response:
        hue = sum(map(ord, login)) * 37 % 360
        svg = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="16" '
            f'fill="hsl({hue} 45% 50%)"/></svg>'
        )
        return flask.Response(svg, mimetype="image/svg+xml")

    return site
