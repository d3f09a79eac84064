"""PyGithub as the client, for real: the whole way of one experiment, and the corners that a bot meets."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import requests
from github import Auth, Github, GithubException, GithubIntegration
from github.Repository import Repository

from pawl.localhub import Hub, HubServer
from pawl.localhub.errors import HubError

WORKFLOW = """\
name: measure
run-name: measure ${{ inputs.request }}
on:
  workflow_dispatch:
    inputs:
      request: {required: true, type: string}
      labels: {default: '["self-hosted", "gpu"]'}
permissions: {contents: read, checks: read}
jobs:
  measure:
    runs-on: ${{ fromJSON(inputs.labels) }}
    steps: []
  after:
    needs: measure
    if: always()
    runs-on: [self-hosted, gpu]
    steps: []
"""


@pytest.fixture
def installed(hub: Hub) -> int:
    hub.create_user("ada")
    hub.create_repository("ada/loop")
    hub.push_files("ada/loop", {
        "README.md": "# Loop\n", "train.py": "x = 1\n", "lib/a.py": "a\n", ".github/workflows/measure.yml": WORKFLOW,
    }, "First")  # fmt: skip
    return hub.installations.install("ada/loop")


def client(server: HubServer, installation: int) -> Github:
    app = Auth.AppAuth(server.hub.app.id, server.hub.app.private_key_pem)
    return Github(auth=app.get_installation_auth(installation), base_url=server.api_url, seconds_between_writes=0,
                  seconds_between_requests=0, retry=None)  # fmt: skip


def person(server: HubServer, login: str) -> Github:
    return Github(auth=Auth.Token(server.hub.create_user(login)), base_url=server.api_url, seconds_between_writes=0,
                  seconds_between_requests=0, retry=None)  # fmt: skip


@pytest.fixture
def repo(hub_server: HubServer, installed: int) -> Repository:
    return client(hub_server, installed).get_repo("ada/loop")


def propose(repo: Repository, number: int = 1, text: str = "x = 2\n") -> Any:
    base = repo.get_branch("main").commit.sha
    name = f"pawl/loop/{number}"
    repo.create_git_ref(f"refs/heads/{name}", base)
    old = repo.get_contents("train.py", ref=name)
    repo.update_file("train.py", "Try [skip ci]", text, old.sha, branch=name)  # type: ignore[union-attr]
    return repo.create_pull(base="main", head=name, title=f"Try {number}", body="Why\n")


class Receiver:
    """Takes webhooks and keeps them."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["Content-Length"]))
                got.append((self.headers["X-GitHub-Event"], json.loads(data), dict(self.headers)))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def names(self) -> list[str]:
        return [f"{event}.{body['action']}" if "action" in body else event for event, body, _ in self.got]

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver(hub: Hub) -> Any:
    receiver = Receiver()
    hub.set_webhook_url(receiver.url)
    yield receiver
    receiver.close()


def test_an_app_finds_its_installations(hub_server: HubServer, installed: int) -> None:
    app = Auth.AppAuth(hub_server.hub.app.id, hub_server.hub.app.private_key_pem)
    integration = GithubIntegration(auth=app, base_url=hub_server.api_url)
    assert integration.get_app().slug == hub_server.hub.app.slug
    assert [i.id for i in integration.get_installations()] == [installed]
    assert integration.get_repo_installation("ada", "loop").id == installed
    repos = client(hub_server, installed).requester.requestJsonAndCheck("GET", "/installation/repositories")[
        1
    ]
    assert repos["total_count"] == 1


def test_an_experiment_from_branch_to_merge(
    hub_server: HubServer, repo: Repository, receiver: Receiver
) -> None:
    hub = hub_server.hub
    pull = propose(repo)
    assert (pull.mergeable, pull.mergeable_state, pull.additions, pull.deletions) == (True, "clean", 1, 1)
    pull.add_to_labels("pawl: running")
    comment = pull.create_issue_comment("Hello")
    comment.edit("Hello again")
    comment.create_reaction("eyes")
    check = repo.create_check_run("pawl/loop", pull.head.sha, status="queued", external_id="1/1",
                                  output={"title": "Waiting", "summary": "…"})  # fmt: skip
    run = repo.get_workflow("measure.yml").create_dispatch(
        "main", {"request": "{}"}, throw=True, return_run_details=True
    )
    hub.service.register_runner("gpu-1", ["gpu"])
    job = hub.service.acquire_job("gpu-1", 5)
    assert job is not None
    assert (job["inputs"]["request"], job["labels"], job["repository"]) == (
        "{}",
        ["self-hosted", "gpu"],
        "ada/loop",
    )
    hub.service.start_job(job["job_id"])
    hub.artifacts.upload(job["job_id"], "pawl-record", {"record.json": b'{"runs": []}'})
    hub.service.complete_job(job["job_id"], "success")
    after = hub.service.acquire_job("gpu-1", 5)
    assert after is not None
    assert after["job_name"] == "after"
    hub.service.complete_job(after["job_id"], "success")
    run = repo.get_workflow_run(run.id)
    assert (run.status, run.conclusion, run.display_title) == ("completed", "success", "measure {}")
    artifact = next(iter(run.get_artifacts()))
    status, headers, _ = repo.requester.requestJson("GET", artifact.archive_download_url)
    assert status == 302
    with zipfile.ZipFile(io.BytesIO(requests.get(headers["location"], timeout=5).content)) as archive:
        assert archive.read("record.json") == b'{"runs": []}'
    check.edit(status="completed", conclusion="success", output={"title": "Kept", "summary": "-3 %", "annotations": [
        {"path": "train.py", "start_line": 1, "end_line": 1, "annotation_level": "notice", "message": "This line"}]},
        actions=[{"label": "Stop", "identifier": "stop", "description": "Stop the loop"}])  # fmt: skip
    assert [c.conclusion for c in repo.get_commit(pull.head.sha).get_check_runs(check_name="pawl/loop")] == [
        "success"
    ]
    hub.checks.press("ada/loop", check.id, "stop", "ada")
    repo.get_git_ref("heads/main").edit(pull.head.sha)
    pull.update()
    assert (pull.merged, pull.state, pull.merge_commit_sha) == (True, "closed", pull.head.sha)
    repo.get_git_ref("heads/pawl/loop/1").delete()
    assert hub.wait_idle(10)
    assert receiver.names()[0] == "ping"
    for name in ("create", "push", "pull_request.opened", "pull_request.labeled", "label.created", "check_run.created",
                 "issue_comment.created", "issue_comment.edited", "workflow_run.requested", "workflow_job.queued",
                 "workflow_job.in_progress", "workflow_job.completed", "workflow_run.completed", "check_run.completed",
                 "check_run.requested_action", "pull_request.closed", "delete"):  # fmt: skip
        assert name in receiver.names(), name
    closed = next(b for e, b, _ in receiver.got if e == "pull_request" and b["action"] == "closed")
    assert closed["pull_request"]["merged"]
    assert closed["sender"] == {**closed["sender"], "login": "pawl-local[bot]", "type": "Bot"}


def test_a_push_moves_the_head_and_deleting_it_closes(hub: Hub, repo: Repository, receiver: Receiver) -> None:
    pull = propose(repo)
    before = pull.head.sha
    after = hub.push_files("ada/loop", {"train.py": "x = 3\n"}, "More", branch="pawl/loop/1")
    pull.update()
    assert pull.head.sha == after
    repo.get_git_ref("heads/pawl/loop/1").delete()
    pull.update()
    assert (pull.state, pull.merged) == ("closed", False)
    assert hub.wait_idle(10)
    moved = next(b for e, b, _ in receiver.got if e == "pull_request" and b["action"] == "synchronize")
    assert (moved["before"], moved["after"]) == (before, after)


def test_refs_refuse_as_github_does(repo: Repository) -> None:
    pull = propose(repo)
    base = repo.get_branch("main").commit.sha
    for action, message in (
        (lambda: repo.create_git_ref("refs/heads/pawl/loop/1", base), "Reference already exists"),
        (lambda: repo.create_git_ref("refs/heads/new", "0" * 40), "Object does not exist"),
        (lambda: repo.get_git_ref("heads/pawl/loop/1").edit(base), "Update is not a fast forward"),
        (lambda: repo.create_pull(base="main", head="pawl/loop/1", title="again"), "already exists"),
        (lambda: repo.create_pull(base="main", head="main", title="none"), "No commits between"),
    ):
        with pytest.raises(GithubException, match=message) as caught:
            action()
        assert caught.value.status == 422
    assert [r.ref for r in repo.get_git_matching_refs("heads/pawl/")] == ["refs/heads/pawl/loop/1"]
    repo.get_git_ref("heads/pawl/loop/1").edit(base, force=True)
    pull.update()
    assert pull.state == "closed"
    repo.create_git_ref("refs/pawl/stop", base).delete()


def test_contents_and_git_data(repo: Repository) -> None:
    base = repo.get_branch("main").commit
    from github import InputGitTreeElement

    tree = repo.create_git_tree([
        InputGitTreeElement("lib/b.py", "100644", "blob", content="b\n"),
        InputGitTreeElement("lib/a.py", "100644", "blob", sha=None),
        InputGitTreeElement("new/deep/c.bin", "100644", "blob", sha=repo.create_git_blob("AAEC", "base64").sha),
    ], base.commit.tree)  # fmt: skip
    parent = repo.get_git_commit(base.sha)
    commit = repo.create_git_commit("Keep\n\nPawl-Metric: 1", tree, [parent])
    repo.get_git_ref("heads/main").edit(commit.sha)
    paths = [e.path for e in repo.get_git_tree(commit.sha, recursive=True).tree if e.type == "blob"]
    assert "lib/b.py" in paths
    assert "lib/a.py" not in paths
    assert repo.get_contents("new/deep/c.bin").decoded_content == b"\0\1\2"  # type: ignore[union-attr]
    assert [c.name for c in repo.get_contents("lib")] == ["b.py"]  # type: ignore[union-attr]
    compare = repo.compare(base.sha, commit.sha)
    assert (compare.status, compare.ahead_by, compare.behind_by) == ("ahead", 1, 0)
    assert {f.filename: f.status for f in compare.files} == {
        "lib/a.py": "removed", "lib/b.py": "added", "new/deep/c.bin": "added"}  # fmt: skip
    with pytest.raises(GithubException) as caught:
        repo.update_file("train.py", "m", "y", "0" * 40)
    assert caught.value.status == 409
    assert [c.sha for c in repo.get_commits()] == [commit.sha, base.sha]


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_merging(repo: Repository, method: str) -> None:
    pull = propose(repo)
    with pytest.raises(GithubException) as caught:
        pull.merge(sha="0" * 40, merge_method=method)
    assert caught.value.status == 409
    done = pull.merge(sha=pull.head.sha, merge_method=method)
    pull.update()
    assert (pull.merged, pull.merge_commit_sha) == (True, done.sha)
    assert repo.get_branch("main").commit.sha == done.sha
    with pytest.raises(GithubException) as caught:
        pull.merge()
    assert caught.value.status == 405


def test_protected_branches(hub: Hub, hub_server: HubServer, repo: Repository) -> None:
    hub.protect("ada/loop", "main", checks=["ci"], strict=True, reviews=1)
    pull = propose(repo)
    branch = repo.get_branch("main")
    assert branch.protected
    assert branch.raw_data["protection"]["required_status_checks"]["contexts"] == ["ci"]
    assert pull.mergeable_state == "blocked"
    with pytest.raises(GithubException, match="pull request"):
        repo.get_git_ref("heads/main").edit(pull.head.sha)
    hub.add_collaborator("ada/loop", "grace", "write")
    person(hub_server, "grace").get_repo("ada/loop").get_pull(pull.number).create_review(event="APPROVE")
    with pytest.raises(GithubException, match="ci"):
        repo.get_git_ref("heads/main").edit(pull.head.sha)
    repo.get_commit(pull.head.sha).create_status("success", context="ci")
    repo.get_git_ref("heads/main").edit(pull.head.sha)
    pull.update()
    assert pull.merged


def test_conflicts_are_seen(hub: Hub, repo: Repository) -> None:
    pull = propose(repo)
    hub.push_files("ada/loop", {"train.py": "x = 9\n"}, "Meanwhile")
    pull.update()
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")


def test_tokens_reach_what_they_were_given(hub: Hub, hub_server: HubServer, installed: int) -> None:
    app = Auth.AppAuth(hub.app.id, hub.app.private_key_pem)
    narrow = app.get_installation_auth(installed, {"contents": "read", "metadata": "read"})
    repo = Github(auth=narrow, base_url=hub_server.api_url, retry=None).get_repo("ada/loop")
    assert repo.get_contents("train.py")
    with pytest.raises(GithubException, match="Resource not accessible by integration") as caught:
        repo.create_issue("no")
    assert caught.value.status == 403
    hub.create_repository("ada/other")
    for stranger in (person(hub_server, "eve"), client(hub_server, installed)):
        with pytest.raises(GithubException) as caught:
            stranger.get_repo("ada/other")
        assert caught.value.status == 404
    hub.installations.suspend("ada/loop")
    with pytest.raises(GithubException) as caught:
        client(hub_server, installed).get_repo("ada/loop")
    assert caught.value.status == 403


def test_unchanged_answers_are_free(hub: Hub, hub_server: HubServer, installed: int) -> None:
    headers = {"Authorization": f"Bearer {hub.create_user('ada')}"}
    url = f"{hub_server.api_url}/repos/ada/loop/pulls?per_page=10"
    first = requests.get(url, headers=headers, timeout=5)
    second = requests.get(url, headers={**headers, "If-None-Match": first.headers["ETag"]}, timeout=5)
    assert (first.status_code, second.status_code) == (200, 304)
    assert first.headers["X-RateLimit-Used"] == second.headers["X-RateLimit-Used"]
    assert [e.not_modified for e in hub.request_log] == [False, True]
    assert hub.api_requests("ada/loop") == 2


def test_lists_are_paged(repo: Repository) -> None:
    for number in range(7):
        repo.create_issue(f"Issue {number}", labels=["a"] if number % 2 else [])
    repo.requester.per_page = 3  # type: ignore[misc]
    assert [i.number for i in repo.get_issues()] == [7, 6, 5, 4, 3, 2, 1]
    assert [i.number for i in repo.get_issues(labels=["a"], direction="asc")] == [2, 4, 6]


def test_webhooks_get_lost_and_are_asked_for_again(hub: Hub, hub_server: HubServer, repo: Repository,
                                                   receiver: Receiver) -> None:  # fmt: skip
    assert hub.wait_idle(10)
    receiver.got.clear()
    hub.faults.drop_webhook("issues")
    repo.create_issue("Lost")
    assert hub.wait_idle(10)
    assert receiver.names() == []
    app = Auth.AppAuth(hub.app.id, hub.app.private_key_pem)
    requester = GithubIntegration(auth=app, base_url=hub_server.api_url).requester
    failed = requester.requestJsonAndCheck("GET", "/app/hook/deliveries?status=failure")[1]
    requester.requestJsonAndCheck("POST", f"/app/hook/deliveries/{failed[0]['id']}/attempts")
    assert hub.wait_idle(10)
    assert receiver.names() == ["issues.opened"]
    assert receiver.got[0][2]["X-GitHub-Delivery"] == failed[0]["guid"]
    assert requester.requestJsonAndCheck("GET", f"/app/hook/deliveries/{failed[0]['id']}")[1]["request"][
        "payload"
    ]
    hub.faults.double_webhook("issues")
    repo.create_issue("Twice")
    assert hub.wait_idle(10)
    assert receiver.names()[1:] == ["issues.opened"] * 2
    hub.faults.reorder_webhooks(2)
    repo.create_issue("Third")
    repo.create_issue("Fourth")
    assert hub.wait_idle(10)
    assert [b["issue"]["title"] for _, b, _ in receiver.got[3:]] == ["Fourth", "Third"]


def test_a_failure_after_the_effect(hub: Hub, repo: Repository) -> None:
    issue = repo.create_issue("Here")
    hub.faults.fail_after("POST", r"/comments$", status=500)
    with pytest.raises(GithubException):
        issue.create_comment("Once")
    assert [c.body for c in issue.get_comments()] == ["Once"]
    hub.faults.fail_before("POST", r"/comments$", status=502)
    with pytest.raises(GithubException):
        issue.create_comment("Never")
    assert issue.get_comments().totalCount == 1


def test_cancelling_and_running_again(hub: Hub, repo: Repository) -> None:
    workflow = repo.get_workflow("measure.yml")
    with pytest.raises(GithubException, match="Unexpected inputs"):
        workflow.create_dispatch("main", {"request": "1", "no": "1"}, throw=True)
    with pytest.raises(GithubException, match="not provided"):
        workflow.create_dispatch("main", {}, throw=True)
    assert workflow.create_dispatch("main", {"request": "1"}, throw=True)
    run = next(iter(workflow.get_runs(event="workflow_dispatch")))
    hub.service.register_runner("gpu-1", ["gpu"])
    job = hub.service.acquire_job("gpu-1", 5)
    assert job is not None
    hub.service.start_job(job["job_id"])
    assert run.cancel()
    assert hub.service.cancel_requested(job["job_id"])
    assert [j["job_id"] for j in hub.service.lost_jobs("gpu-1")] == [job["job_id"]]
    hub.artifacts.upload(job["job_id"], "pawl-record", {"record.json": b"{}"})
    hub.service.complete_job(job["job_id"], "cancelled")
    after = hub.service.acquire_job(
        "gpu-1", 5
    )  # its condition is always(), which holds for a cancelled run, too
    assert after is not None
    hub.service.complete_job(after["job_id"], "success")
    run.update()
    assert run.conclusion == "cancelled"
    assert run.rerun()
    again = hub.service.acquire_job("gpu-1", 5)
    assert again is not None
    assert again["run_attempt"] == repo.get_workflow_run(run.id).run_attempt == 2
    hub.artifacts.upload(again["job_id"], "pawl-record", {"record.json": b"{}"})
    assert [item.name for item in run.get_artifacts()] == ["pawl-record"] * 2
    with pytest.raises(HubError, match="already exists"):
        hub.artifacts.upload(again["job_id"], "pawl-record", {"record.json": b"{}"})


def test_a_concurrency_group_lets_one_run_and_the_newest_or_all_wait(hub: Hub, repo: Repository) -> None:
    text = """\
on: {workflow_dispatch: {inputs: {group: {type: string}}}}
jobs:
  m:
    runs-on: gpu
    concurrency: {group: "g-${{ inputs.group }}"%s}
    steps: []
"""
    files = {
        f".github/workflows/{name}.yml": text % more for name, more in (("one", ""), ("all", ", queue: max"))
    }
    hub.push_files("ada/loop", files, "Two workflows")
    hub.service.register_runner("gpu-1", ["gpu"])
    for name, left in (("one", [0, 2]), ("all", [0, 1, 2])):
        flow = repo.get_workflow(f"{name}.yml")
        runs = [
            flow.create_dispatch("main", {"group": name}, throw=True, return_run_details=True)
            for _ in range(3)
        ]
        done = []
        while job := hub.service.acquire_job("gpu-1"):
            assert hub.service.acquire_job("gpu-1") is None, "one at a time"
            hub.service.start_job(job["job_id"])
            hub.service.complete_job(job["job_id"], "success")
            done.append([run.id for run in runs].index(job["run_id"]))
        assert done == left
        ended = [repo.get_workflow_run(run.id).conclusion for run in runs]
        assert ended == ["success" if place in left else "cancelled" for place in range(3)]
