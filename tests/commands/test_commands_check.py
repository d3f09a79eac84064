from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pawl.commands.check import _cost_sentences, run_check
from pawl.commands.check_agent import thinking_of
from pawl.commands.cost import RUNS_PER_KEEP, Cost, cost_from_ledger
from pawl.commands.history import History, table
from pawl.core.chain import GENESIS
from pawl.core.config import SELECT
from pawl.core.config_file import parse_config
from pawl.core.ledger import CalibrationLine, Outcome, OutcomeLine, SpendLine
from pawl.core.measurement import Arm, Calibration, Purpose, RunFact, RunStatus, Stage
from pawl.core.noise import upper_sigma
from pawl.localhub import Hub
from pawl.messages.scaffold import workflow

LOOP = """\
version: 1
loops:
  demo:
    edit: loop/train.py
    metric: {name: loss, goal: minimize}
    budget: 5s
"""
EVALUATED = """\
    artifact: {path: answer.json, format: json}
    evaluate:
      command: python evaluate.py
"""
EVALUATOR = "import json, os\nprint(json.dumps({'loss': json.load(open(os.environ['PAWL_ARTIFACT']))}))\n"
FILES = {
    ".github/pawl.yml": LOOP,
    ".github/workflows/pawl.yml": workflow(),
    "loop/train.py": "import os\nprint('loss:', 1 + int(os.environ['PAWL_SEED']) % 7)\n",
    "loop/program.md": "# Make it better\n",
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def git(folder: Path, *words: str) -> None:
    who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


def clone(folder: Path, files: dict[str, str | bytes | None]) -> Path:
    """A repository with the usable files, changed by these; None leaves one out."""
    folder.mkdir()
    git(folder, "init", "--initial-branch=main")
    for name, content in {**FILES, **files}.items():
        if content is not None:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "--all")
    git(folder, "commit", "--message", "Begin")
    return folder


def checked(
    path: Path, capsys: pytest.CaptureFixture[str], runs: int = 0, loop: str | None = None
) -> tuple[int, list[dict[str, Any]], list[dict[str, Any]]]:
    code = run_check(path, loop, runs, as_json=True)
    found = json.loads(capsys.readouterr().out)
    return code, found["findings"], found["cost"]


def test_what_python_cannot_run_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = LOOP.replace("train.py", "heat.c")
    path = clone(
        tmp_path / "r", {".github/pawl.yml": rules, "loop/heat.c": "int main;", "loop/train.py": None}
    )
    said = [item["message"] for item in checked(path, capsys)[1] if item["level"] == "warning"]
    assert ["without run.command a run is `python heat.c`" in words for words in said] == [True]


def test_runners_that_could_take_no_job_are_told(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The workflow names the labels; who may list the runners hears which is missing, and who may not where to look."""
    hub.create_repository("octo/demo", private=True)
    hub.push_files("octo/demo", {"README.md": "Hello\n"}, "Begin")
    path = clone(tmp_path / "r", {".github/workflows/pawl.yml": workflow(("self-hosted", "gpu"))})
    monkeypatch.setenv("PAWL_API", hub.api_url)

    def said() -> str:
        assert run_check(path, None, 0, True, "octo/demo") == 0
        return " ".join(item["message"] for item in json.loads(capsys.readouterr().out)["findings"])

    monkeypatch.setenv("GITHUB_TOKEN", hub.create_user("octo"))
    assert "a job would wait: this repository has no runner of its own" in said()
    hub.service.register_runner("ada", [])
    assert (
        "a job would wait: no runner of this repository has all of: self-hosted, gpu; ada lacks gpu" in said()
    )
    hub.service.register_runner("ada", ["gpu"])
    assert "runner" not in said()
    hub.installations.install("octo/demo")
    installation = hub.installations.of(hub.repository("octo/demo"))
    monkeypatch.setenv(
        "GITHUB_TOKEN", hub.installations.token(installation, {"contents": "read"}, None)["key"]
    )
    assert "may not be listed with this token: grant administration (read), or look at http" in said()
    monkeypatch.setenv("GITHUB_TOKEN", "")
    assert "the runners of octo/demo could not be looked at: sign in" in said()


def levels(findings: list[dict[str, Any]], level: str) -> list[str]:
    return [item["message"] for item in findings if item["level"] == level]


def test_a_usable_loop_has_nothing_to_mend(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, findings, cost = checked(clone(tmp_path / "r", {}), capsys)
    assert code == 0
    assert levels(findings, "error") == levels(findings, "warning") == []
    assert any("there is no evaluator" in message for message in levels(findings, "advice"))
    assert cost[0]["loop"] == "demo"
    assert cost[0]["sigma"] is None


def test_errors_of_the_configuration_come_with_their_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = LOOP.replace("goal: minimize", "goal: smaller")
    code, findings, _ = checked(clone(tmp_path / "r", {".github/pawl.yml": broken}), capsys)
    assert code == 1
    (item,) = findings
    assert (item["level"], item["file"], item["line"]) == ("error", ".github/pawl.yml", 5)
    assert "'minimize' or 'maximize'" in item["message"]


def test_a_folder_without_a_commit_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for prepare, said in (
        (lambda: None, "no git repository"),
        (lambda: git(tmp_path, "init"), "no commit yet"),
    ):
        prepare()
        code, findings, _ = checked(tmp_path, capsys)
        assert code == 1
        assert said in findings[0]["message"]


@pytest.mark.parametrize(
    ("files", "level", "said"),
    [
        ({"loop/train.py": None}, "error", "loop/train.py is not in the repository"),
        ({"loop/train.py": b"x = '\xff'\n"}, "error", "not UTF-8"),
        ({"loop/program.md": None}, "error", "the program loop/program.md is not in the repository"),
        ({".github/pawl.yml": None}, "error", "`pawl init`"),
        ({".github/pawl.yml": LOOP + "    branch: elsewhere\n"}, "warning", "no branch elsewhere"),
        ({".github/pawl.yml": LOOP + "    setup: pip install -r requirements.txt\n"}, "error", "requirements.txt"),
        ({".github/pawl.yml": LOOP + "    run: {image: Dockerfile}\n"}, "error", "names the Dockerfile Dockerfile"),
        ({".github/pawl.yml": LOOP + "    data: {/nowhere/corpus: /nowhere/corpus}\n"}, "warning", "not on this machine"),
        ({".github/pawl.yml": LOOP + "    data: {/tmp: /data}\n"}, "error", "without a container"),
        ({".github/pawl.yml": LOOP + "    merge: auto\n"}, "warning", "without a container, so every keep waits"),
        ({".github/pawl.yml": LOOP + "    merge: auto\n"}, "warning", "the candidate's own word"),
        ({".github/pawl.yml": LOOP + EVALUATED}, "error", "names loop/evaluate.py, which is not in the repository"),
        (
            {".github/pawl.yml": LOOP + EVALUATED + "      private: [loop/holdot/]\n", "loop/evaluate.py": EVALUATOR},
            "warning",
            "loop/holdot/, which matches no committed file",
        ),
        (
            {".github/pawl.yml": LOOP + EVALUATED + "      private: [loop/]\n", "loop/evaluate.py": EVALUATOR},
            "error",
            "editable and private at once",
        ),
        (
            {".github/pawl.yml": LOOP + EVALUATED, "loop/evaluate.py": "from train import model\n"},
            "warning",
            "imports the editable file",
        ),
        (
            {".github/pawl.yml": LOOP + EVALUATED, "loop/evaluate.py": EVALUATOR, "loop/answer.json": "1"},
            "warning",
            "loop/answer.json, which is committed",
        ),
        (
            {
                ".github/pawl.yml": LOOP + "    predict: {command: python train.py --predict}\n" + EVALUATED,
                "loop/evaluate.py": EVALUATOR,
            },
            "warning",
            "predict.carry is empty",
        ),
        (
            {
                ".github/pawl.yml": LOOP + EVALUATED.replace("evaluate.py", "../score/evaluate.py"),
                "score/evaluate.py": EVALUATOR,
            },
            "warning",
            "score/evaluate.py is not among the loop's inputs",
        ),
        (
            {
                ".github/pawl.yml": LOOP + "    setup: pip install -r ../requirements.txt\n",
                "requirements.txt": "numpy\n",
            },
            "warning",
            'nor run the setup again. Add it: `inputs: ["loop/**", "requirements.txt"]`',
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_loop_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str | bytes | None],
    level: str,
    said: str,
) -> None:
    code, findings, _ = checked(clone(tmp_path / "r", files), capsys)
    assert any(said in message for message in levels(findings, level)), findings
    assert code == (level == "error")


@pytest.mark.parametrize(
    "command",
    ["cd .. && python other.py", "python train.py --log out.txt", "python /opt/x.py", "python -m pkg.train"],
)
def test_words_of_a_command_that_may_be_something_else_are_let_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    rules = LOOP + f"    run: {{command: '{command}'}}\n"
    assert checked(clone(tmp_path / "r", {".github/pawl.yml": rules}), capsys)[0] == 0


def test_a_remark_stands_at_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clone(tmp_path / "r", {".github/pawl.yml": LOOP + "    merge: auto\n"})
    _, findings, _ = checked(path, capsys)
    assert {item["line"] for item in findings if item["message"].startswith("merge is auto")} == {7}


def test_a_link_is_no_editable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clone(tmp_path / "r", {"loop/train.py": None, "elsewhere.py": "print(1)\n"})
    (path / "loop" / "train.py").symlink_to("../elsewhere.py")
    code, findings, _ = checked(path, capsys)
    assert code == 1
    assert "`git add loop/train.py`" in levels(findings, "error")[0]
    git(path, "add", "--all")
    git(path, "commit", "--message", "Link")
    assert "a symbolic link" in levels(checked(path, capsys)[1], "error")[0]


@pytest.mark.parametrize(
    ("text", "level", "said"),
    [
        (None, "warning", "no measuring workflow"),
        ("on: push\njobs: {}\n", "error", "title and request missing"),
        (workflow().replace("run-name: ${{ inputs.title }}", "run-name: measure"), "error", "run-name"),
        (workflow().replace("contents: read", "contents: write"), "warning", "write permissions"),
        (workflow().replace("github.token", "secrets.KEY"), "warning", "reads secrets"),
        (workflow().replace("permissions: {}\n", "").split("    permissions:")[0], "warning", "sets no permissions"),
        ("on: [\n", "error", "no workflow that can be read"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_measuring_workflow_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, level: str, said: str
) -> None:
    path = clone(tmp_path / "r", {".github/workflows/pawl.yml": text})
    _, findings, _ = checked(path, capsys)
    assert any(said in message for message in levels(findings, level)), findings


@pytest.mark.parametrize(
    ("on", "level"),
    [
        ("on: push\n", "advice"),
        ("on: {push: {branches: ['pawl/**']}}\n", "advice"),
        ("on: {push: {branches: [main]}}\n", None),
        ("on: {push: {branches: ['**', '!pawl/**']}}\n", None),
        ("on: {push: {branches-ignore: ['pawl/**']}}\n", None),
        ("on: {push: {tags: ['v*']}}\n", None),
        ("on: {pull_request: {branches: [main]}}\n", "advice"),
        ("on: {pull_request: {branches: [release]}}\n", None),
        ("on: pull_request_target\n", "warning"),
        ("on: {schedule: [{cron: '0 0 * * *'}]}\n", None),
    ],
)
def test_other_workflows_that_an_experiment_would_start_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], on: str, level: str | None
) -> None:
    path = clone(tmp_path / "r", {".github/workflows/ci.yml": on + "jobs: {}\n"})
    _, findings, _ = checked(path, capsys)
    assert [item["level"] for item in findings if item["file"] == ".github/workflows/ci.yml"] == (
        [level] if level else []
    )


def test_the_cost_is_measured_on_the_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clone(tmp_path / "r", {})
    (path / "loop" / "train.py").write_text("raise SystemExit('not what is committed')\n")
    code, findings, (cost,) = checked(path, capsys, runs=3)
    assert code == 0, findings
    assert (cost["source"], cost["runs"], cost["dof"]) == ("measured", 3, 2)
    assert cost["sigma_upper"] == pytest.approx(upper_sigma(cost["sigma"], 2))
    assert cost["smallest_effect"] == pytest.approx(2.75 * cost["sigma_upper"])
    assert cost["seconds_run"] > 0
    each = cost["seconds_run"] + cost["seconds_outside"] + cost["seconds_evaluate"]
    assert cost["calibration_seconds"] == pytest.approx(8 * each)
    assert cost["first_keep_hours"] == pytest.approx(RUNS_PER_KEEP * each / 3600)
    assert any("has changes that are not committed" in message for message in levels(findings, "advice"))


def test_a_base_that_crashes_is_an_error_with_the_end_of_its_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = "print('one \\x1b[31mlast[/red] [bold]word')\nraise SystemExit('out of luck')\n"
    path = clone(tmp_path / "r", {"loop/train.py": train})
    assert run_check(path, None, 1, as_json=False) == 1
    said = capsys.readouterr().out
    assert "2 of 2 baseline runs failed" in said
    assert "one last[/red] [bold]word" in said
    assert "\x1b" not in said


def test_a_base_without_a_metric_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = clone(tmp_path / "r", {"loop/train.py": "print('hello')\n"})
    code, findings, _ = checked(path, capsys, runs=1)
    assert code == 1
    assert "printed no line with loss and a number" in levels(findings, "error")[0]
    assert "Print `loss: 0.123`, or say how it is printed" in levels(findings, "error")[0]


def test_a_seed_that_the_file_fixes_itself_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`torch.manual_seed(0)` looked like a metric without noise, so that one lucky run and its repeat were a keep."""
    path = clone(tmp_path / "r", {"loop/train.py": "print('loss: 0.5')\n"})
    code, findings, _ = checked(path, capsys, runs=2)
    assert code == 0
    assert any("let PAWL_SEED choose it" in said for said in levels(findings, "warning")), findings


def test_a_metric_within_a_line_comes_with_the_pattern_that_finds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`epoch 9 loss 0.5 val_loss 0.4` is how most training scripts print, and whoever wrote one had to guess the pattern."""
    path = clone(tmp_path / "r", {"loop/train.py": "print('epoch 9 loss = 0.25 val_loss = 0.5')\n"})
    said = levels(checked(path, capsys, runs=1)[1], "error")[0]
    pattern = re.search(r"write `pattern: '(.*)'` into `metric`", said)
    assert pattern, said
    rules = LOOP.replace("goal: minimize", f"goal: minimize, pattern: '{pattern[1]}'")
    (path / ".github" / "pawl.yml").write_text(rules)
    git(path, "commit", "--all", "--message", "Say how it is printed")
    code, _, costs = checked(path, capsys, runs=1)
    assert (code, costs[0]["metric"]) == (0, 0.25)


@pytest.mark.parametrize(
    ("rules", "remedy"),
    [
        (
            "    run: {command: pyhton train.py}\n",
            "correct `run.command`, or put your environment first on PATH",
        ),
        ("    grace: 0.5s\n    run: {command: sleep 60}\n", "reads PAWL_BUDGET, in seconds"),
        (EVALUATED, "`artifact.path` starts in `run.cwd`, which is loop"),
    ],
)
def test_the_first_mistakes_of_everybody_come_with_their_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rules: str, remedy: str
) -> None:
    """They were told as what happened alone: killed after so long, exit code 127, no file."""
    files: dict[str, str | bytes | None] = {
        ".github/pawl.yml": LOOP + rules,
        "loop/train.py": "print('loss: 1')\n",
        "loop/evaluate.py": EVALUATOR,
    }
    _, findings, _ = checked(clone(tmp_path / "r", files), capsys, runs=1)
    assert remedy in levels(findings, "error")[0]


def test_a_base_without_a_package_is_told_where_packages_come_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`pawl` in front of PATH brings its own `python` along, which has nothing that a training script imports."""
    path = clone(tmp_path / "r", {"loop/train.py": "import no_such_package\n"})
    code, findings, _ = checked(path, capsys, runs=1)
    assert code == 1
    assert shutil.which("python") in levels(findings, "error")[0]
    assert "write `setup: pip install -r requirements.txt`" in levels(findings, "error")[0]


def test_the_text_says_what_was_found_and_what_it_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(clone(tmp_path / "r", {}), None, 2, as_json=False) == 0
    said = capsys.readouterr()
    assert "loop demo" in said.out
    assert "is kept in 80 of 100 cases" in said.out or "none seen" in said.out
    assert "estimate, which assumes that 3 in 100 proposals are real gains" in said.out
    assert "usable" in said.out
    assert "Run 1" in said.err


def test_only_the_named_loop_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    second = LOOP.removeprefix("version: 1\nloops:\n").replace("demo:", "other:").replace("train", "gone")
    path = clone(tmp_path / "r", {".github/pawl.yml": LOOP + second})
    assert checked(path, capsys, loop="demo")[0] == 0
    assert checked(path, capsys, loop="other")[0] == 1
    code, findings, _ = checked(path, capsys, loop="third")
    assert code == 1
    assert "it has demo, other" in findings[0]["message"]


def test_a_loop_that_this_machine_cannot_measure_is_no_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules = LOOP + "    data: {/nowhere/corpus: /nowhere/corpus}\n"
    code, findings, (cost,) = checked(clone(tmp_path / "r", {".github/pawl.yml": rules}), capsys, runs=2)
    assert code == 0
    assert any("not measured here" in message for message in levels(findings, "warning"))
    assert cost["sigma"] is None


def test_the_ledger_tells_the_cost_of_the_present_rules_alone() -> None:
    rules = parse_config(LOOP).loops["demo"]
    runs = tuple(
        RunFact(arm=Arm.BASELINE, stage=Stage.CALIBRATE, place=place, seed=place, status=RunStatus.OK,
                metric={SELECT: 1.0 + place}, seconds=5.0)
        for place in range(4)
    )  # fmt: skip
    line = CalibrationLine(
        seq=1, prev=GENESIS, policy=GENESIS, loop="demo", key="calibration:1",
        at="2026-01-01T00:00:00+00:00", attempt=1, rules=rules,
        base="0" * 40, inputs="0" * 64, device="cpu", runs=runs, seeds=(0, 1, 2, 3),
        calibration=Calibration(sigma=0, dof=0, pool=()), number=1, purpose=Purpose.POOL, ok=True, reason="4 runs",
    )  # fmt: skip
    history = History("demo", (line,), Path(), "")
    cost = cost_from_ledger(history, rules)
    assert cost is not None
    assert cost.dof == 3
    assert cost.sigma == pytest.approx(1.29099, rel=1e-4)
    other = rules.model_copy(update={"budget": 6.0})
    assert cost_from_ledger(history, other) is None


LLM = "    agent:\n      proposer: llm\n      model: anthropic:claude-sonnet-4-5\n"
CODER = "    agent:\n      proposer: command\n      command: no-such-coder -p {prompt}\n"
HARNESS = (
    LOOP.replace("goal: minimize", "goal: maximize")
    + EVALUATED
    + "    tasks: {trajectories: out, model: {command: x}}\n"
)
EVERY_TASKS = "tasks: {trajectories: out, model: {command: x}}"


@pytest.fixture(autouse=True)
def _no_means(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "PAWL_MODEL_ADDRESSES",
        "PAWL_MODEL_KEYS",
        "PAWL_ALLOW_COMMANDS",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("rules", "level", "said"),
    [
        (LOOP + LLM, "warning", "there is no key for anthropic:claude-sonnet-4-5"),
        (LOOP + LLM, "warning", "no cap is set"),
        (LOOP + LLM + "      base_url: http://127.0.0.1:9/v1\n", "warning", "PAWL_MODEL_ADDRESSES"),
        (LOOP + LLM + "      base_url: http://127.0.0.1:9/v1\n", "warning", "no price is known for"),
        (LOOP + LLM.replace("claude-sonnet-4-5", "unheard-of"), "warning", "no price is known for anthropic:unheard-of"),
        (
            LOOP + LLM.replace("claude-sonnet-4-5", "unheard-of") + "      money: {per_day: 1}\n",
            "warning",
            "and the caps in agent.money cannot hold",
        ),
        (LOOP + LLM + "      money: {per_day: 0.1}\n", "warning", "nothing might ever be proposed"),
        (LOOP + LLM + "      money: {per_proposal: 0.5}\n", "warning", "many would be cut off before their edit"),
        (LOOP + CODER, "warning", "PAWL_ALLOW_COMMANDS=1"),
        (LOOP + CODER, "warning", "no-such-coder, which is not on this machine's PATH"),
        (LOOP + CODER + "      money: {per_day: 1}\n", "advice", "reports nothing is not stopped"),
        (LOOP + "    agent: {money: {per_day: 1}}\n", "advice", "money and prices are not read"),
        (LOOP + "    agent: {pin: x-1}\n", "warning", "agent.pin holds nothing here"),
        (LOOP + LLM + "      pin: x-1\n", "advice", "holds the meta-agent alone"),
        (HARNESS.replace(EVERY_TASKS, "tasks: {}") + LLM + "      pin: x\n", "warning", "agent.pin cannot hold the task"),
        (HARNESS.replace(EVERY_TASKS, "tasks: {}"), "warning", "so the task agent reaches none"),
        (HARNESS.replace(EVERY_TASKS, "tasks: {}"), "advice", "sees which practice tasks fail, and not why"),
        (HARNESS, "advice", "a loop needs llm or command"),
        (HARNESS.replace("command: x", "command: python model.py"), "error", "tasks.model.command names loop/model.py"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_meta_agent_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rules: str, level: str, said: str
) -> None:
    files: dict[str, str | bytes | None] = {".github/pawl.yml": rules, "loop/evaluate.py": EVALUATOR}
    code, findings, _ = checked(clone(tmp_path / "r", files), capsys)
    assert any(said in message for message in levels(findings, level)), findings
    assert code == (level == "error")


def test_a_meta_agent_that_may_be_asked_and_is_capped_is_no_reason_to_worry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-not-shown")
    path = clone(
        tmp_path / "r", {".github/pawl.yml": LOOP + LLM + "      money: {per_proposal: 2, per_day: 20}\n"}
    )
    code, findings, _ = checked(path, capsys)
    assert (code, levels(findings, "warning")) == (0, [])
    assert run_check(path, None, 0, as_json=False) == 0
    said = capsys.readouterr().out
    assert "at most $2" in said
    assert "as many as the caps allow" in said
    assert "sk-not-shown" not in said


def test_variables_that_cannot_be_used_are_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAWL_ALLOW_COMMANDS", "yes")
    code, findings, _ = checked(clone(tmp_path / "r", {}), capsys)
    assert code == 1
    assert "PAWL_ALLOW_COMMANDS is 1 or nothing" in findings[0]["message"]


def test_the_cost_of_proposals_follows_the_pace_of_the_loop_up_to_the_caps() -> None:
    prices = "      prices: {input: 10, output: 100}\n"
    prices += "      context_tokens: 10000\n      turns: 2\n      answer_tokens: 1000\n"
    rules = parse_config(LOOP + LLM + prices).loops["demo"]
    ran = Cost("demo", "measured", 3, seconds_run=90.0, seconds_outside=10.0)
    found = thinking_of("demo", rules, ran)
    assert found is not None
    assert (found.requests, found.tokens_in, found.tokens_out) == (2, 10_000 + 10_000 + 2500, 2000)
    assert found.money == pytest.approx(0.225 + 0.2)
    assert found.proposals_day == pytest.approx(864 * 700 / 1082)
    assert found.money_day == pytest.approx(found.proposals_day * 0.425)
    assert (found.paced, thinking_of("demo", rules, None).paced) == (True, False)  # type: ignore[union-attr]
    capped = parse_config(LOOP + LLM + prices + "      money: {per_day: 50, per_month: 280}\n").loops["demo"]
    limited = thinking_of("demo", capped, ran)
    assert limited is not None
    assert limited.money_day == pytest.approx(10)
    assert limited.proposals_day == pytest.approx(10 / 0.425)
    assert "as many as the caps allow; the machine could measure 559" in dict(limited.sentences())["day"]
    assert thinking_of("demo", parse_config(LOOP).loops["demo"], ran) is None


def test_the_ledger_s_table_tells_what_was_spent() -> None:
    def spend(seq: int, **changes: Any) -> SpendLine:
        values = {
            "seq": seq,
            "prev": GENESIS,
            "policy": GENESIS,
            "loop": "demo",
            "key": f"spend:{seq}",
            "at": f"2026-01-0{seq}T00:00:00+00:00",
        }
        told = {
            "experiment": 1,
            "proposer": "llm",
            "tokens_in": 1000,
            "tokens_out": 50,
            "money": 0.5,
            "seconds": 20.0,
        }
        return SpendLine(**{**values, **told, **changes})

    merged = OutcomeLine(
        seq=3,
        prev=GENESIS,
        policy=GENESIS,
        loop="demo",
        key="o",
        at="2026-01-03T00:00:00+00:00",
        experiment=1,
        outcome=Outcome.MERGED,
    )
    lines = (spend(1, proposed=False, reason="no edit"), spend(2), merged)
    told = table(History("demo", lines, Path(), ""))
    assert "2 proposals (1 without an edit): 2,000 tokens in, 100 out, for $1.00, in 40s" in told
    assert "$1.00 for each experiment" in told
    assert "$1.00 for each kept improvement" in told
    assert "spent" not in table(History("demo", (merged,), Path(), ""))


def test_a_loop_over_a_harness_is_told_nothing_of_sigma() -> None:
    rules = parse_config(HARNESS).loops["demo"]
    for sigma in (0.0, 0.1):
        cost = Cost("demo", "measured", 3, 0.4, sigma, 2, seconds_run=4.0)
        told = dict(_cost_sentences(cost, rules))
        assert set(told) == {"metric", "run", "start"}
        assert told["metric"].startswith(
            "loss = 0.4 from 3 baseline runs here; tasks fixed and broken decide"
        )
