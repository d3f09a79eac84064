"""`pawl check --repo`: whether a runner of the repository could take the loops' jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pawl.commands.step import Round, StepError, signed_in_for
from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH, Config
from pawl.core.remarks import Remark
from pawl.core.waiting import Runner, Untaken, hosted, runners_page, served, why_untaken
from pawl.core.workflow_check import labels_asked_for
from pawl.github.errors import GitHubError
from pawl.github.view import RepositoryView


def runner_remarks(
    environment: Mapping[str, str], repository: str, config: Config, workflow: str | None
) -> Iterator[Remark]:
    """What keeps the loops' jobs from being taken, one remark for each set of labels.

    Args:
        environment: the credentials of the App, or a token.
        repository: ``owner/name``.
        config: the loops.
        workflow: the text of the measuring workflow, which names the labels where a loop has no fleets.
    """
    try:
        client = signed_in_for(environment, Round(repository), seeded=False).client
        page = runners_page(client.get()["html_url"])
        runners = RepositoryView(client).jobs.runners()
    except (StepError, GitHubError) as error:
        yield Remark("warning", f"the runners of {repository} could not be looked at: {error}")
        return
    if runners is None:
        yield Remark(
            "advice",
            f"the runners of {repository} may not be listed with this token: grant administration (read), or look at {page}",
        )
        return
    asked: dict[tuple[str, ...], str] = {}
    for rules in config.loops.values():
        for fleet in rules.lanes_by_fleet:
            named = rules.runner_labels(fleet)
            asked.setdefault(named or labels_asked_for(workflow), CONFIG_PATH if named else WORKFLOW_PATH)
    for labels, file in asked.items():
        yield from _of(labels, runners, file, page)


def _of(labels: tuple[str, ...], runners: tuple[Runner, ...], file: str, page: str) -> Iterator[Remark]:
    untaken = Untaken(labels, runners)
    if labels and not hosted(labels) and not served(untaken):
        yield Remark(
            "warning", f"a job would wait: {why_untaken(untaken)}. Runners are listed under {page}", file=file
        )
