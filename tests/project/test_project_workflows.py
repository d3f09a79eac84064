"""The workflows and the Action are read by two linters: whether they work, and whether they can be abused."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from pawl.messages.scaffold import loop_workflow, workflow

ROOT = Path(__file__).parents[2]
WORKFLOW = re.compile(r"^(jobs|runs):", re.MULTILINE)


def _lintable() -> list[Path]:
    """Workflows wherever they lie, ours and those that users copy, and the Action itself."""
    found = [
        path for folder in (".github", "app", "docs", "examples") for path in (ROOT / folder).rglob("*.y*ml")
    ]
    found += [path for path in (ROOT / "action.yml",) if path.exists()]
    return sorted(path for path in found if WORKFLOW.search(path.read_text(encoding="utf-8")))


def _tool(name: str) -> str:
    path = shutil.which(name, path=sysconfig.get_path("scripts")) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: pip install -e '.[test]' brings it")
    return path


def _run(*command: str | Path) -> tuple[int, str]:
    done = subprocess.run([*command], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_workflows_are_correct() -> None:
    status, said = _run(_tool("jactionlint"), *_lintable())
    assert status == 0, said


def test_workflows_cannot_be_abused() -> None:
    status, said = _run(_tool("zizmor"), "--offline", "--quiet", "--format=plain", *_lintable())
    assert status == 0, said


def test_what_init_writes_is_correct_and_cannot_be_abused(tmp_path: Path) -> None:
    """For a loop with an App, and for one without a server."""
    texts = {"app": workflow(("self-hosted", "gpu")), "action": loop_workflow(f"someone/pawl@{'0a' * 20}")}
    for name, text in texts.items():
        path = tmp_path / name / ".github" / "workflows" / "pawl.yml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
        # The labels of runners come from an input, where the linter cannot see them.
        status, said = _run(_tool("jactionlint"), path)
        assert status == 0, said
        status, said = _run(_tool("zizmor"), "--offline", "--quiet", "--format=plain", path)
        assert status == 0, said


def test_only_the_job_that_measures_is_handed_a_request_and_only_it_runs_on_the_users_machines() -> None:
    """The three jobs of a loop without a server, by what each of them holds."""
    jobs = YAML(typ="safe").load(loop_workflow(f"someone/pawl@{'0a' * 20}"))["jobs"]
    assert list(jobs) == ["propose", "measure", "conclude"]
    text = {name: str(job) for name, job in jobs.items()}
    assert [name for name in jobs if "secrets." in text[name]] == ["propose", "conclude"]
    assert [name for name in jobs if "'write'" in text[name]] == ["conclude"]
    assert [name for name in jobs if "inputs.request }}" in text[name]] == ["measure"]
    assert [name for name in jobs if jobs[name]["runs-on"] == "ubuntu-latest"] == ["propose", "conclude"]
    assert "API_KEY" not in text["conclude"]
    assert "SEED" not in text["propose"]


def test_the_actions_inputs_reach_no_shell() -> None:
    """Everything goes by the environment: not one expression stands in a script."""
    action = YAML(typ="safe").load((ROOT / "action.yml").read_text())
    scripts = [step["run"] for step in action["runs"]["steps"] if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)
    given = {f"inputs.{name}" for name in action["inputs"]}
    read = set(re.findall(r"inputs\.[a-z-]+", str(action["runs"])))
    assert given == read


def test_our_own_workflows_pass_the_strict_rules_too() -> None:
    status, said = _run(
        _tool("zizmor"),
        "--offline",
        "--quiet",
        "--pedantic",
        "--format=plain",
        ROOT / ".github" / "workflows",
    )
    assert status == 0, said


def test_the_linters_notice_a_broken_workflow(tmp_path: Path) -> None:
    """A linter that finds nothing because it read nothing looks like a clean repository."""
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "on: pull_request_target\n"
        "jobs:\n"
        "  a:\n"
        "    runs-on: ubuntu-latest\n"
        "    needs: [nobody]\n"
        "    steps:\n"
        "      - run: echo ${{ github.event.pull_request.title }}\n"
    )
    status, said = _run(_tool("jactionlint"), broken)
    assert status != 0
    assert "nobody" in said
    status, said = _run(_tool("zizmor"), "--offline", "--quiet", "--format=plain", broken)
    assert status != 0
    assert "template-injection" in said
