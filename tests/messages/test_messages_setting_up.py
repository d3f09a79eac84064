"""What people read while Pawl is set up: the offer, the farewell, the check of the configuration. Files in golden/."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from messages_samples import HOSTILE
from test_messages_pages import page

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH
from pawl.core.digest import TreeEntry, git_blob_sha
from pawl.core.layout import Wishes, find, with_examples
from pawl.core.remarks import Remark
from pawl.core.setup_check import Setup, check_setup
from pawl.messages.onboarding import Invited, farewell, onboarding_body
from pawl.messages.scaffold import files, workflow
from pawl.messages.setting_up import (
    ANNOTATIONS,
    Annotated,
    config_output,
    config_removed,
    not_an_experiment,
    prefilled,
)
from pawl.messages.tracking import tracking_marker, with_trouble

HOME = "https://github.com/octo/demo"
SCRIPT = 'print(f"val_loss: {loss:.4f}")\n'


@dataclass
class Repo:
    """Files without a GitHub."""

    texts: dict[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> Collection[str]:
        return self.texts

    @property
    def by_path(self) -> Mapping[str, TreeEntry]:
        return {
            path: TreeEntry(path, "100644", git_blob_sha(text.encode())) for path, text in self.texts.items()
        }

    def text(self, path: str) -> str | None:
        return self.texts.get(path)

    def file(self, path: str) -> bytes | None:
        return self.texts[path].encode() if path in self.texts else None

    def unsaved(self, path: str) -> str:
        return ""

    def has_branch(self, name: str) -> bool:
        return name == "main"

    def workflows(self) -> dict[str, str | None]:
        return {path: text for path, text in self.texts.items() if path.startswith(".github/workflows/")}


def invited(repo: Repo, config: str | None = None, flow: bool = False, public: bool = False) -> Invited:
    layout = with_examples(find(repo, Wishes(), "main"))
    written = files(layout, ("self-hosted",), layout.program in repo.texts)
    if not flow:
        del written[WORKFLOW_PATH]
    there = Repo({**repo.texts, **written})
    if config is not None:
        there.texts[CONFIG_PATH] = config
    setup = check_setup(there.texts[CONFIG_PATH], there, there.workflows())
    return Invited(HOME, "pawl/onboarding", layout, setup, flow, public)


AUTORESEARCH = Repo(
    {"prepare.py": "", "train.py": 'dev = "cuda"\nprint(f"val_bpb: {x}")\n', "program.md": "# Go\n"}
)


def test_the_offer_to_autoresearch() -> None:
    page("onboarding_autoresearch.md", onboarding_body(invited(AUTORESEARCH)))


def test_the_offer_to_autoagent_names_what_is_missing() -> None:
    told = invited(Repo({"agent.py": "", "program.md": "", "Dockerfile.base": ""}))
    assert not told.setup.usable
    page("onboarding_autoagent.md", onboarding_body(told))


def test_the_offer_to_a_repository_with_one_script_and_the_workflow_in_place() -> None:
    told = invited(Repo({"train.py": SCRIPT}), flow=True)
    assert told.setup.usable
    page("onboarding_script.md", onboarding_body(told))


def test_the_offer_where_nothing_is_found_says_what_to_fill_in() -> None:
    told = invited(Repo({"README.md": "# Hello\n"}), public=True)
    error = told.setup.remarks[0]
    assert (error.level, error.line) == ("error", 6), "the line that says FILL IN"
    page("onboarding_nothing.md", onboarding_body(told))


def test_the_offer_after_somebody_broke_the_file() -> None:
    page(
        "onboarding_broken.md",
        onboarding_body(invited(AUTORESEARCH, config=f"loops:\n  a: {{x: '{HOSTILE!r}")),
    )


def test_an_offer_is_short_enough_whatever_is_in_the_file() -> None:
    loops = "".join(
        f"  loop-{n}:\n    edit: {'d/' * 90}{n}.py\n    metric: {{name: loss, goal: minimize}}\n"
        for n in range(60)
    )
    assert len(onboarding_body(invited(AUTORESEARCH, config=f"version: 1\nloops:\n{loops}"))) < 60_000


def test_a_no_is_understood() -> None:
    page("onboarding_closed.md", farewell())


def check(name: str, made: Annotated) -> None:
    lines = [
        f"{item['path']}:{item['start_line']} {item['annotation_level']}: {item['message']}"
        for item in made.annotations
    ]
    page(name, made.output.summary)
    assert "\n".join(lines) == "" or all(lines)


def test_a_configuration_that_can_be_used() -> None:
    repo = Repo({"train.py": SCRIPT, "program.md": "", WORKFLOW_PATH: workflow()})
    text = "version: 1\nloops:\n  train:\n    edit: train.py\n    metric: {name: val_loss, goal: minimize}\n"
    made = config_output(check_setup(text, repo, repo.workflows()), {})
    assert made.output.title == "Usable: 1 loop"
    check("config_usable.md", made)


def test_each_problem_is_an_annotation_at_its_line_and_column() -> None:
    text = "version: 1\nloops:\n  train:\n    edit: ../x\n    metric: {name: val_loss, goal: down}\n    colour: red\n"
    made = config_output(check_setup(text, Repo(), {}), {})
    placed = [
        (item["start_line"], item["start_column"], item["annotation_level"]) for item in made.annotations
    ]
    assert placed == [(4, 5, "failure"), (5, 30, "failure"), (6, 5, "failure")]
    assert all(item["path"] == CONFIG_PATH for item in made.annotations)
    check("config_broken.md", made)


def test_what_only_a_look_can_tell_is_told_with_a_way_to_add_the_workflow() -> None:
    repo = Repo({"train.py": SCRIPT, "program.md": ""})
    text = "version: 1\nloops:\n  train:\n    edit: train.py\n    metric: {name: val_loss, goal: minimize}\n"
    link = prefilled(HOME, "main", "Add the measuring workflow")
    made = config_output(check_setup(text, repo, {}), {"train": f"no workflow {HOSTILE}"}, link)
    assert made.output.title == "1 thing to mend"
    check("config_trouble.md", made)


def test_no_more_annotations_than_github_takes() -> None:
    many = Setup(None, tuple(Remark("error", HOSTILE, file=CONFIG_PATH, line=n + 1) for n in range(200)))
    made = config_output(many, {})
    assert len(made.annotations) == ANNOTATIONS
    assert len(made.output.summary) < 60_000


def test_what_is_said_to_people_whose_work_is_no_experiment() -> None:
    page("config_removed.md", config_removed().output.summary)
    page("not_an_experiment.md", not_an_experiment("nanogpt").summary)


def test_the_link_fills_in_the_whole_workflow() -> None:
    link = prefilled(HOME, "pawl/onboarding", "Add it")
    assert link is not None
    address = urlsplit(link.partition("](")[2].removesuffix(")"))
    assert address.path == "/octo/demo/new/pawl/onboarding"
    assert parse_qs(address.query) == {"filename": [WORKFLOW_PATH], "value": [workflow()]}
    assert prefilled("javascript:alert(1)", "main", "Add it") is None


def test_trouble_stands_on_top_of_a_tracking_issue_and_replaces_older_trouble() -> None:
    body = f"{tracking_marker('train')}\nThe loop goes on.\n"
    once = with_trouble(body, f"the file is gone {HOSTILE}")
    page("tracking_trouble.md", once)
    assert with_trouble(once, f"the file is gone {HOSTILE}") == once
    again = with_trouble(once.replace("\n", "\r\n"), "another reason")
    assert again.count("[!WARNING]") == 1
    assert again.startswith(tracking_marker("train"))
    assert again.endswith("The loop goes on.\n")
