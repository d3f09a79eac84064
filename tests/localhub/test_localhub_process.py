"""Git itself as the client, the hub as a process, and the pages that people read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from pawl.localhub import Hub, HubServer


def git(*command: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(cwd), "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org", "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.org", "NO_PROXY": "*",
    }  # fmt: skip
    return subprocess.run(
        ["git", *command], cwd=cwd, env=environment, check=check, capture_output=True, text=True
    )


@pytest.fixture
def remote(hub: Hub, hub_server: HubServer) -> str:
    token = hub.create_user("ada")
    hub.create_repository("ada/loop")
    hub.installations.install("ada/loop")
    return f"http://x-access-token:{token}@{hub_server.url.removeprefix('http://')}/ada/loop.git"


def test_git_pushes_clones_and_fetches(hub: Hub, remote: str, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    git("init", "-b", "main", cwd=work)
    (work / "big.bin").write_bytes(os.urandom(3_000_000))  # More than git sends in one piece.
    (work / "train.py").write_text("x = 1\n")
    git("add", ".", cwd=work)
    git("commit", "-m", "First", cwd=work)
    git("push", remote, "main", cwd=work)
    repo = hub.repository("ada/loop")
    first = hub.store.ref(repo["id"], "refs/heads/main")
    assert first == git("rev-parse", "HEAD", cwd=work).stdout.strip()
    git("clone", "-q", remote, "copy", cwd=tmp_path)
    assert (tmp_path / "copy" / "train.py").read_text() == "x = 1\n"
    second = hub.push_files("ada/loop", {"train.py": "x = 2\n"}, "Second")
    git("pull", "-q", cwd=tmp_path / "copy")
    assert git("rev-parse", "HEAD", cwd=tmp_path / "copy").stdout.strip() == second
    (work / "train.py").write_text("x = 3\n")
    git("commit", "-qam", "Other", cwd=work)
    refused = git("push", remote, "main", cwd=work, check=False)
    assert refused.returncode != 0
    git("push", "-f", remote, "main", "main:refs/pawl/traces/1", cwd=work)
    git("push", remote, ":refs/pawl/traces/1", cwd=work)
    git("clone", "-q", "--depth", "1", remote, "shallow", cwd=tmp_path)


def test_a_push_moves_a_pull_request_and_merging_it_by_push_is_seen(
    hub: Hub, remote: str, tmp_path: Path
) -> None:
    hub.push_files("ada/loop", {"train.py": "x = 1\n"}, "First")
    git("clone", "-q", remote, "work", cwd=tmp_path)
    work = tmp_path / "work"
    git("checkout", "-qb", "idea", cwd=work)
    (work / "train.py").write_text("x = 2\n")
    git("commit", "-qam", "Idea", cwd=work)
    git("push", "-q", "origin", "idea", cwd=work)
    repo = hub.repository("ada/loop")
    hub.pulls.create(repo, "ada", {"title": "Idea", "head": "idea", "base": "main"})
    (work / "train.py").write_text("x = 3\n")
    git("commit", "-qam", "Better", cwd=work)
    git("push", "-q", "origin", "idea", cwd=work)
    head = git("rev-parse", "HEAD", cwd=work).stdout.strip()
    assert hub.pulls.find(repo, 1)["pull"]["head_sha"] == head
    hub.protect("ada/loop", "main", checks=["ci"], enforce_admins=True)
    declined = git("push", "-q", "origin", "idea:main", cwd=work, check=False)
    assert "Required status check" in declined.stderr
    hub.unprotect("ada/loop", "main")
    git("push", "-q", "origin", "idea:main", cwd=work)
    assert hub.pulls.find(repo, 1)["pull"]["merged_at"]


def test_git_needs_a_token(hub: Hub, hub_server: HubServer, remote: str, tmp_path: Path) -> None:
    bare = f"{hub_server.url}/ada/loop.git"
    assert git("ls-remote", bare, cwd=tmp_path, check=False).returncode != 0
    assert git("ls-remote", bare.replace("//", "//x:wrong@", 1), cwd=tmp_path, check=False).returncode != 0
    eve = hub.create_user("eve")
    assert git("ls-remote", bare.replace("//", f"//x:{eve}@", 1), cwd=tmp_path, check=False).returncode != 0


def start(home: Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    code = "import sys, pathlib; from pawl.localhub import serve; serve(pathlib.Path(sys.argv[1]), 0)"
    process = subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_a_killed_hub_goes_on_where_it_was(tmp_path: Path) -> None:
    home = tmp_path / "hub"
    hub = Hub.open(home)
    token = hub.create_user("ada")
    hub.create_repository("ada/loop")
    hub.push_files("ada/loop", {"a": "1"}, "First")
    hub.close()
    process, said = start(home)
    assert said["user_tokens"]["ada"] == token
    assert Path(said["key_path"]).stat().st_mode & 0o777 == 0o600
    headers = {"Authorization": f"token {token}"}
    url = "{}/repos/ada/loop/issues"
    first = requests.post(url.format(said["api_url"]), json={"title": "One"}, headers=headers, timeout=5)
    process.kill()
    process.communicate()
    process, again = start(home)
    assert {name: again[name] for name in ("app_id", "app_slug", "webhook_secret", "user_tokens")} == {
        name: said[name] for name in ("app_id", "app_slug", "webhook_secret", "user_tokens")
    }
    second = requests.post(url.format(again["api_url"]), json={"title": "Two"}, headers=headers, timeout=5)
    assert (first.json()["number"], second.json()["number"]) == (1, 2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)
    assert process.returncode == 0


def test_pages_show_text_as_text(hub: Hub, hub_server: HubServer, remote: str) -> None:
    evil = "<script>alert(1)</script>"
    hub.push_files("ada/loop", {"README.md": f"# Hi\n{evil}", "x.py": evil}, f"First {evil}")
    hub.push_files("ada/loop", {"x.py": "2\n"}, "Second", branch="pawl/x/1")
    repo = hub.repository("ada/loop")
    hub.pulls.create(repo, "ada", {"title": evil, "body": f"[a](javascript:alert(1)) {evil}\n\n| a |\n|---|\n| 1 |",
                                   "head": "pawl/x/1", "base": "main"})  # fmt: skip
    sha = str(hub.store.ref(repo["id"], "refs/heads/pawl/x/1"))
    check = hub.checks.create(
        repo, hub.bot, {"name": evil, "head_sha": sha, "output": {"title": evil, "summary": evil}}
    )
    hub.pulls.open(repo, "ada", evil, evil, ["label"])
    for path in ("", "/ada/loop", "/ada/loop/pulls", "/ada/loop/pull/1", "/ada/loop/issues", "/ada/loop/issues/2",
                 "/ada/loop/commits/pawl/x/1", f"/ada/loop/commit/{sha}", "/ada/loop/blob/pawl/x/1/x.py",
                 "/ada/loop/tree/main", f"/ada/loop/runs/{check['id']}"):  # fmt: skip
        answer = requests.get(hub_server.url + path, timeout=5)
        assert answer.status_code == 200, path
        assert "<script" not in answer.text
        assert 'href="javascript:' not in answer.text
    assert requests.get(hub_server.url + "/no/where", timeout=5).status_code == 404


def test_a_runner_in_another_process(hub: Hub, hub_server: HubServer, remote: str) -> None:
    flow = "on: workflow_dispatch\njobs:\n  m:\n    runs-on: [self-hosted, gpu]\n    steps: []\n"
    sha = hub.push_files("ada/loop", {".github/workflows/m.yml": flow}, "First")
    repo = hub.repository("ada/loop")
    run = hub.actions.dispatch(repo, hub.actions.workflow(repo, "m.yml"), "ada", "main", {})
    at = hub_server.url + "/_hub"
    for name, labels in (("cpu", []), ("gpu", ["gpu"])):
        requests.post(f"{at}/runners", json={"name": name, "labels": labels}, timeout=5).raise_for_status()
    assert requests.post(f"{at}/runners/cpu/acquire", timeout=5).status_code == 204
    job = requests.post(f"{at}/runners/gpu/acquire?timeout=5", timeout=10).json()
    assert (job["run_id"], job["head_sha"]) == (run["id"], sha)
    job_at = f"{at}/jobs/{job['job_id']}"
    for path, body in (("start", b""), ("log", b"working\n"), ("artifacts/pawl-record", b"PK")):
        requests.post(f"{job_at}/{path}", data=body, timeout=5).raise_for_status()
    assert requests.get(f"{job_at}/cancelled", timeout=5).json() == {"cancelled": False}
    assert [lost["job_id"] for lost in requests.get(f"{at}/runners/gpu/lost", timeout=5).json()] == [
        job["job_id"]
    ]
    requests.post(f"{job_at}/complete", json={"conclusion": "success"}, timeout=5).raise_for_status()
    assert hub.actions.run(repo, run["id"])["conclusion"] == "success"
    headers = {"Authorization": f"Bearer {job['token']}"}
    contents = f"{hub_server.api_url}/repos/ada/loop/contents/.github/workflows/m.yml"
    assert requests.get(contents, headers=headers, timeout=5).status_code == 200
    issues = f"{hub_server.api_url}/repos/ada/loop/issues"
    assert requests.post(issues, json={"title": "no"}, headers=headers, timeout=5).status_code == 403
    assert requests.get(f"{hub_server.url}/ada/loop/actions/runs/{run['id']}", timeout=5).status_code == 200
