"""Why no runner takes a job: each way to be unlucky has a sentence of its own."""

from __future__ import annotations

import pytest

from pawl.core.waiting import Runner, Untaken, settings_page, why_untaken
from pawl.core.workflow_check import labels_asked_for
from pawl.messages.scaffold import loop_workflow, workflow

WANTED = ("self-hosted", "gpu", "H100")


def runner(name: str, *labels: str, online: bool = True, busy: bool = False) -> Runner:
    return Runner(1, name, online, busy, labels)


ALL = ("Self-Hosted", "GPU", "h100")


@pytest.mark.parametrize(
    ("runners", "said"),
    [
        (None, "those with the labels self-hosted, gpu, H100 are busy, offline, or do not exist"),
        (
            (),
            "this repository has no runner of its own; one of its organisation would need the labels self-hosted",
        ),
        (
            (
                runner("ada", "self-hosted", "gpu"),
                runner("bob", "self-hosted"),
                runner("eve", *ALL[:2], "a100"),
            ),
            "no runner of this repository has all of: self-hosted, gpu, H100; ada lacks H100; eve lacks H100; "
            "bob lacks gpu and H100",
        ),
        (
            (runner("ada", *ALL, online=False), runner("bob", "self-hosted", online=False)),
            "no runner of this repository is online; ada has all of: self-hosted, gpu, H100",
        ),
        (
            (
                runner("ada", *ALL, online=False),
                runner("eve", *ALL, online=False),
                runner("bob", "self-hosted"),
            ),
            "ada and eve have all of: self-hosted, gpu, H100, and are offline",
        ),
        (
            (runner("ada", *ALL, busy=True), runner("eve", *ALL, online=False)),
            "the runners with the labels self-hosted, gpu, H100 have not taken it: ada is busy with another job",
        ),
        ((runner("ada", *ALL),), "ada is online and idle"),
    ],
)
def test_the_reason_is_named(runners: tuple[Runner, ...] | None, said: str) -> None:
    assert said in why_untaken(Untaken(WANTED, runners))


def test_a_runner_that_lacks_a_label_and_is_offline_is_named_with_both() -> None:
    said = why_untaken(Untaken(WANTED, (runner("ada", "gpu", "self-hosted", online=False),)))
    assert (
        said
        == "no runner of this repository has all of: self-hosted, gpu, H100; ada lacks H100; and none is online"
    )


def test_without_labels_it_says_where_they_stand() -> None:
    assert "those that the workflow names under runs-on" in why_untaken(Untaken((), (runner("ada"),)))


def test_githubs_own_runners_are_in_no_list() -> None:
    assert "GitHub's own runners with the labels ubuntu-latest" in why_untaken(
        Untaken(("ubuntu-latest",), ())
    )


@pytest.mark.parametrize(
    ("asked", "labels"),
    [
        ("runs-on: [self-hosted, gpu]", ("self-hosted", "gpu")),
        ("runs-on: gpu", ("gpu",)),
        ("runs-on: {group: big, labels: [gpu]}", ("gpu",)),
        ("runs-on: ${{ fromJSON(vars.LABELS) }}", ()),
        ("uses: octo/demo/.github/workflows/measure.yml@main", ()),
    ],
)
def test_labels_are_read_out_of_the_workflow(asked: str, labels: tuple[str, ...]) -> None:
    text = f"on: workflow_dispatch\njobs:\n  m:\n    env: {{R: '${{{{ inputs.request }}}}'}}\n    {asked}\n"
    assert labels_asked_for(text) == labels


def test_pawls_own_workflows_name_their_labels() -> None:
    names = ("self-hosted", "gpu")
    assert labels_asked_for(workflow(names)) == names
    assert labels_asked_for(loop_workflow("octo/pawl@" + "0" * 40, names)) == names
    assert labels_asked_for(None) == ()


def test_the_settings_page_is_found_by_a_jobs() -> None:
    page = "https://github.example/octo/demo/settings/actions/runners"
    assert settings_page("https://github.example/octo/demo/actions/runs/7") == page
    assert settings_page("") == ""
