"""What is recognised in a repository by the names and texts of its files alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import pytest

from pawl.core.layout import (
    Layout,
    LayoutError,
    Wishes,
    find,
    goal_of,
    printed_metric,
    recognise,
    train_script,
    with_examples,
)

PRINTS = 'print(f"val_loss: {loss:.4f}")\n'


@dataclass
class Files:
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> Collection[str]:
        return self.texts

    def text(self, path: str) -> str | None:
        return self.texts.get(path)


def found(**texts: str) -> Layout:
    return find(Files({name.replace("__", "."): text for name, text in texts.items()}), Wishes(), "main")


def test_autoresearch_is_known_by_its_three_files() -> None:
    layout = found(prepare__py="", train__py='device = "cuda"\nprint(f"val_bpb: {x}")', program__md="")
    assert (layout.kind, layout.edit, layout.metric, layout.goal) == (
        "autoresearch", "train.py", "val_bpb", "minimize",
    )  # fmt: skip
    assert layout.gpus == 1
    assert layout.data
    assert not with_examples(layout).unknown


def test_autoagent_needs_a_command_that_scores() -> None:
    """Harbor is started by hand there, so nothing in the repository prints a score."""
    layout = with_examples(
        find(Files({"agent.py": "", "program.md": "", "Dockerfile.base": ""}), Wishes(), "main")
    )
    assert (layout.kind, layout.edit, layout.goal) == ("autoagent", "agent.py", "maximize")
    assert layout.unknown == ("run",)


def test_a_script_with_its_printed_metric() -> None:
    layout = find(Files({"src/train.py": PRINTS, "README.md": "hello"}), Wishes(), "trunk")
    assert layout == Layout("train", "src/train.py", "val_loss", "minimize", kind="script", branch="trunk")
    assert layout.program == "src/program.md"


@pytest.mark.parametrize(
    ("edit", "requirements", "setup", "inputs"),
    [
        ("train.py", "requirements.txt", "pip install -r requirements.txt", ()),
        ("a /c/train.py", "a /c/requirements.txt", "pip install -r requirements.txt", ()),
        ("a /c/train.py", "a /requirements.txt", "pip install -r ../requirements.txt", ("a /c/**", "a /requirements.txt")),
        ("src/train.py", "requirements.txt", "pip install -r ../requirements.txt", ("src/**", "requirements.txt")),
        ("src/train.py", "docs/requirements.txt", "", ()),
    ],
)  # fmt: skip
def test_the_nearest_requirements_above_the_editable_file_are_found(
    edit: str, requirements: str, setup: str, inputs: tuple[str, ...]
) -> None:
    layout = find(Files({edit: PRINTS, requirements: "numpy"}), Wishes(), "main")
    assert (layout.setup, layout.inputs) == (setup, inputs)


@pytest.mark.parametrize(
    ("edit", "loop"),
    [
        ("a/fast_parse/__init__.py", "fast-parse"),
        ("solver/main.c", "solver"),
        ("main.py", "loop"),
        ("src/main/ledger.py", "loop"),
        ("My.Heat-Sim.c", "my-heat-sim"),
        ("x/" + "long_" * 12 + ".py", "long-" * 7 + "long"),
    ],
)
def test_a_loop_is_named_after_what_can_name_it(edit: str, loop: str) -> None:
    """`main.c` was refused as a reserved name that nobody had chosen, and `__init__.py` made a loop `init`."""
    assert find(Files({edit: ""}), Wishes(edit=edit), "main").loop == loop


def test_where_nothing_is_found_examples_stand_in_their_place() -> None:
    layout = with_examples(find(Files({"README.md": ""}), Wishes(), "main"))
    assert (layout.edit, layout.metric, layout.goal) == ("train.py", "val_loss", "minimize")
    assert layout.unknown == ("edit", "metric", "goal")


@pytest.mark.parametrize(
    ("paths", "script"),
    [
        (["train.py"], "train.py"),
        (["a/train.py", "train.py"], "train.py"),
        (["a/train.py", "b/train.py"], ""),
        (["train.py", "train_gpt.py"], "train.py"),
        (["train_gpt2.py", "utils.py"], "train_gpt2.py"),
        (["tests/train.py", "x/y/training.py"], "x/y/training.py"),
        (["trainer.py", "retrain.py"], ""),
        ([], ""),
    ],
)
def test_the_one_training_script(paths: list[str], script: str) -> None:
    assert train_script(paths) == script


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        (PRINTS, "val_loss"),
        ('print("accuracy = %.3f" % x)', "accuracy"),
        ('print(f"step: {step} loss: {loss}")', "loss"),
        ('print(f"val_loss: {a}")\nprint(f"train_loss: {b}")', "val_loss"),
        ('print(f"loss: {a}")\nprint(f"score: {b}")', "score"),
        ('print(f"name: {name}")', ""),
        ('print(f"step {n} val_loss {loss:.4f}")', "val_loss"),
        ('print(f"train loss {a}, val loss {b}")', ""),
        ('print(f"loss: {a}, val_loss {b}")', "val_loss"),
        ("", ""),
    ],
)
def test_the_metric_that_is_printed(text: str, metric: str) -> None:
    assert printed_metric(text) == metric


@pytest.mark.parametrize(
    ("metric", "goal"),
    [("val_bpb", "minimize"), ("top1_acc", "maximize"), ("rmse", "minimize"), ("height", "")],
)
def test_names_tell_which_way_is_better(metric: str, goal: str) -> None:
    assert goal_of(metric) == goal


def test_wishes_win_over_what_is_found() -> None:
    wishes = Wishes(loop="mine", metric="speed", goal="maximize")
    layout = recognise(Files({"train.py": PRINTS}), wishes, "main")
    assert (layout.loop, layout.metric, layout.goal) == ("mine", "speed", "maximize")


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(LayoutError, match=r"--edit other\.py: there is no such file here"):
        recognise(Files({"train.py": PRINTS}), Wishes(edit="other.py"), "main")
