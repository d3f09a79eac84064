"""`pawl init`: writes what `pawl check` then accepts, at the place where it is read, or nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pawl.commands.scaffold import init
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.config_file import parse_config
from pawl.core.layout import LayoutError, Wishes
from pawl.core.workflow_check import workflow_remarks
from pawl.messages.scaffold import loop_workflow, workflow


def repository(folder: Path, branch: str = "main", code: str = "LR = 0.1\n") -> Path:
    """A repository without a commit, which has one file in a folder with a space in its name."""
    subprocess.run(["git", "init", "--quiet", f"--initial-branch={branch}", str(folder)], check=True)
    (folder / "my model").mkdir()
    (folder / "my model" / "train.py").write_text(code)
    return folder


def wishes(**changed: str) -> Wishes:
    return Wishes(**{"edit": "my model/train.py", "metric": "loss", "goal": "minimize", **changed})


def test_what_is_written_is_a_configuration(tmp_path: Path) -> None:
    written = init(repository(tmp_path), wishes())
    assert tmp_path / "my model" / "program.md" in written
    loop = parse_config((tmp_path / CONFIG_PATH).read_text()).loops["train"]
    assert (loop.edit, loop.branch, loop.run.gpus) == ("my model/train.py", "main", 0)


def test_a_name_that_yaml_would_read_otherwise_is_quoted(tmp_path: Path) -> None:
    odd = "a #1: b.py"
    (repository(tmp_path) / odd).write_text("")
    init(tmp_path, wishes(edit=odd, loop="null-1"))
    assert parse_config((tmp_path / CONFIG_PATH).read_text()).loops["null-1"].edit == odd


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"metric": "val mse"}, "cannot be a metric's name.*`metric.pattern` finds it"),
        (
            {"goal": "sideways"},
            "--goal is minimize where a smaller loss is better, or maximize, not 'sideways'",
        ),
        ({"loop": "Main"}, "--loop 'Main' is not allowed here; write lower-case letters"),
        ({"loop": "ledger"}, "Pawl's own branches"),
        ({"edit": "/etc/passwd"}, "no path inside the repository"),
        ({"edit": ".git/config"}, ".git"),
    ],
)
def test_wishes_that_make_no_configuration_write_nothing(
    tmp_path: Path, changed: dict[str, str], said: str
) -> None:
    """It wrote an invalid configuration, said that all was well, and put a program.md beside /etc/passwd."""
    repository(tmp_path)
    with pytest.raises(LayoutError, match=said):
        init(tmp_path, wishes(**changed))
    assert not (tmp_path / ".github").exists()


def test_below_the_top_it_says_where_to_go(tmp_path: Path) -> None:
    """The configuration was written where nobody looks for it, and `pawl check` then sent people back to `pawl init`."""
    below = repository(tmp_path) / "my model"
    with pytest.raises(LayoutError, match=r"belongs at its top.*--edit 'my model/train.py'"):
        init(below, wishes(edit="train.py"))
    assert not (below / ".github").exists()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """It was a traceback, or made the folder."""
    with pytest.raises(LayoutError, match="nowhere is no folder"):
        init(tmp_path / "nowhere", wishes())
    assert not (tmp_path / "nowhere").exists()


def test_without_main_keeps_go_to_the_branch_that_is_checked_out(tmp_path: Path) -> None:
    init(repository(tmp_path, "master"), wishes())
    assert parse_config((tmp_path / CONFIG_PATH).read_text()).loops["train"].branch == "master"


def test_code_that_speaks_of_cuda_gets_a_gpu(tmp_path: Path) -> None:
    """Without `gpus` a run sees none, so autoresearch's own train.py would end at its first line of torch."""
    init(repository(tmp_path, code='device = torch.device("cuda")\n'), wishes())
    assert parse_config((tmp_path / CONFIG_PATH).read_text()).loops["train"].run.gpus == 1


@pytest.mark.parametrize(("code", "gpus"), [("int main;", 0), ("#include <cuda.h>", 1)])
def test_a_file_that_python_cannot_run_gets_a_command_to_fill_in(
    tmp_path: Path, code: str, gpus: int
) -> None:
    """A C program was started as `python heat.c`, and the first that its owner heard of it was a SyntaxError."""
    (repository(tmp_path) / "my model" / "heat.c").write_text(code)
    init(tmp_path, wishes(edit="my model/heat.c"))
    text = (tmp_path / CONFIG_PATH).read_text()
    loop = parse_config(text).loops["heat"]
    assert (loop.command, loop.run.gpus) == ("sh run.sh", gpus)
    assert "# Lines that end in FILL IN" in text
    assert "# builds and runs it and prints `loss: 0.42` last; FILL IN" in text


def test_packages_that_a_repository_asks_for_are_offered_as_setup(tmp_path: Path) -> None:
    """A run had none of them on a runner, and nothing in the file said where they would come from."""
    (repository(tmp_path) / "requirements.txt").write_text("numpy\n")
    init(tmp_path, wishes())
    text = (tmp_path / CONFIG_PATH).read_text()
    assert parse_config(text).loops["train"].setup is None
    loop = parse_config(text.replace("# setup:", "setup:").replace("# inputs:", "inputs:")).loops["train"]
    assert (loop.setup, loop.inputs) == (
        "pip install -r ../requirements.txt",
        ("my model/**", "requirements.txt"),
    )


def test_a_lone_script_that_prints_its_metric_needs_no_words(tmp_path: Path) -> None:
    """Everything that has to be said can be read off the code."""
    (repository(tmp_path) / "my model" / "train.py").write_text('print(f"val_acc: {accuracy:.4f}")\n')
    init(tmp_path, Wishes())
    loop = parse_config((tmp_path / CONFIG_PATH).read_text()).loops["train"]
    assert (loop.edit, loop.metric.name, loop.metric.goal) == ("my model/train.py", "val_acc", "maximize")


def test_a_metric_that_is_nowhere_printed_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="say what is measured"):
        init(repository(tmp_path), Wishes())


def test_a_loop_without_a_server_is_pinned_by_a_commit(tmp_path: Path) -> None:
    uses = f"someone/pawl@{'0a' * 20}"
    init(repository(tmp_path), wishes(), uses=uses)
    text = (tmp_path / ".github" / "workflows" / "pawl.yml").read_text()
    assert text.count(f"uses: {uses}") == 3


def test_going_over_to_the_action_keeps_the_rules(tmp_path: Path) -> None:
    """docs/action.md says that it takes `--force` and the other mode; that wrote an empty skeleton over people's rules."""
    init(repository(tmp_path), wishes())
    rules = (tmp_path / CONFIG_PATH).read_text().replace("budget: 5m", "budget: 7m")
    (tmp_path / CONFIG_PATH).write_text(rules)
    uses = f"someone/pawl@{'0a' * 20}"
    assert init(tmp_path, Wishes(), force=True, uses=uses) == [tmp_path / WORKFLOW_PATH]
    assert uses in (tmp_path / WORKFLOW_PATH).read_text()
    assert (tmp_path / CONFIG_PATH).read_text() == rules
    init(tmp_path, wishes(), force=True)
    assert "budget: 5m" in (tmp_path / CONFIG_PATH).read_text()


@pytest.mark.parametrize("uses", ["someone/pawl@v1", "someone/pawl", "./", "a/b@" + "0" * 40 + "\n  evil: 1"])
def test_a_tag_that_could_be_moved_is_no_pin(tmp_path: Path, uses: str) -> None:
    with pytest.raises(LayoutError, match="names no Action by its commit"):
        init(repository(tmp_path), wishes(), uses=uses)
    assert not (tmp_path / ".github").exists()


def test_check_finds_nothing_wrong_with_either_workflow(tmp_path: Path) -> None:
    """Jobs that propose and conclude hold keys and may write; none of them runs a candidate."""
    config = parse_config("version: 1\nloops: {demo: {edit: a.py, metric: {name: x, goal: minimize}}}\n")
    for text in (workflow(), loop_workflow(f"someone/pawl@{'0a' * 20}")):
        assert list(workflow_remarks({WORKFLOW_PATH: text}, config, lambda _: "")) == []


def test_check_finds_a_measuring_job_that_could_write() -> None:
    config = parse_config("version: 1\nloops: {demo: {edit: a.py, metric: {name: x, goal: minimize}}}\n")
    text = loop_workflow(f"someone/pawl@{'0a' * 20}")
    measure = text.index("  measure:")
    broken = text[:measure] + text[measure:].replace("contents: read", "contents: write", 1)
    found = list(workflow_remarks({WORKFLOW_PATH: broken}, config, lambda _: ""))
    assert [remark.message.split(" on a machine")[0] for remark in found] == ["it asks for write permissions"]
