"""Check runs for people: what is wrong with a configuration, and that a required check has nothing against their work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pawl.core.config import CONFIG_PATH, WORKFLOW_PATH, Loop
from pawl.core.digest import canonical_json, sha256
from pawl.core.setup_check import Setup, check_setup
from pawl.github.committed import Committed
from pawl.github.facts import CheckRun, ConfigFile, Pull
from pawl.github.names import CONFIG_CHECK, check_name, experiment_of
from pawl.github.view import RepositoryView
from pawl.messages.setting_up import (
    Annotated,
    config_output,
    config_removed,
    not_an_experiment,
    prefilled,
)

MOST_GUESTS = 50
"""Pull requests, the newest, that are looked at. What is older and was not looked at yet changes no configuration today."""
NO_EXPERIMENT = "not-an-experiment"
"""External id of a required check on somebody else's work; no attempt is named so."""


class ConfigChecks:
    """The check run `pawl/config` of one repository, on its default branch and on pull requests that touch the file."""

    def __init__(self, view: RepositoryView) -> None:
        self._view = view
        self._good: tuple[object, ...] = ()
        """What the last check on the default branch had nothing against."""
        self._bad: tuple[object, ...] = ()
        """What it had something against, and on which tip."""
        self._guests: dict[int, str] = {}
        """Heads of pull requests that have been looked at."""

    def default_branch(self, file: ConfigFile, troubles: Mapping[str, str]) -> bool:
        """Say on the default branch's tip what is wrong with its configuration; whether that was news.

        A tip that changed neither the file nor what it leads to says nothing new, and needs no check of its own, unless
        something is to be mended.

        Args:
            file: the configuration.
            troubles: why loops cannot be looked at, by loop.
        """
        told = (file.sha, tuple(sorted(troubles.items())))
        if self._good == told:
            return False
        tip = self._view.refs.branch(self._view.default_branch()).sha
        if self._bad == (*told, tip):
            return False
        setup, output = self._checked(file, tip, troubles)
        good = setup.usable and not troubles
        changed = self._post(tip, output, "success" if good else "failure")
        self._good, self._bad = (told, ()) if good else ((), (*told, tip))
        return changed

    def guests(self) -> bool:
        """Check every open pull request that changes the configuration, once for each head; whether anything was written."""
        changed = False
        view, base = self._view, self._view.default_branch()
        looked = [pull for pull in view.pulls.guests() if pull.base == base][-MOST_GUESTS:]
        for pull in looked:
            if self._guests.get(pull.number) != pull.head:
                changed |= self._guest(pull)
                self._guests[pull.number] = pull.head
        return changed

    def _guest(self, pull: Pull) -> bool:
        file = self._view.config_at(pull.head)
        there = self._view.config_file()
        if (file and file.sha) == (there and there.sha) or not self._touches(pull):
            return False
        if file is None:
            return self._post(pull.head, config_removed(), "success")
        setup, output = self._checked(file, pull.head, {})
        return self._post(pull.head, output, "success" if setup.usable else "failure")

    def _touches(self, pull: Pull) -> bool:
        """Whether it changes the file: one that is only behind the default branch does not."""
        listed = self._view.client.pages(f"pulls/{pull.number}/files")
        return any(CONFIG_PATH in (item["filename"], item.get("previous_filename")) for item in listed)

    def _checked(self, file: ConfigFile, commit: str, troubles: Mapping[str, str]) -> tuple[Setup, Annotated]:
        committed = Committed(self._view, commit)
        workflows = committed.workflows()
        setup = check_setup(file.text, committed, workflows)
        link = None
        if WORKFLOW_PATH not in workflows:
            home = self._view.home()
            link = prefilled(home.page, home.default_branch, "Add the measuring workflow")
        return setup, config_output(setup, troubles, link)

    def _post(self, commit: str, output: Annotated, conclusion: str) -> bool:
        return _complete(self._view, commit, CONFIG_CHECK, output.as_json(), conclusion)


class RequiredChecks:
    """Where a branch requires a loop's check, everybody else's pull requests get it too: they are no experiments."""

    def __init__(self, view: RepositoryView) -> None:
        self._view = view
        self._done: set[tuple[str, str]] = set()

    def look(self, loops: Mapping[str, Loop]) -> bool:
        """Let required checks pass on pull requests that are no experiments of their loop; whether any was missing."""
        changed = False
        for loop, rules in loops.items():
            waiting = [head for head in self._heads(loop, rules.branch) if (loop, head) not in self._done]
            if waiting and check_name(loop) in self._view.refs.required_checks(rules.branch):
                for head in waiting:
                    changed |= self._pass(loop, head)
        return changed

    def _heads(self, loop: str, branch: str) -> list[str]:
        """Heads of open pull requests to the loop's branch, less those of its experiments."""
        pulls = {
            pull.number: pull for pull in (*self._view.pulls.known().values(), *self._view.pulls.guests())
        }
        # The head of an experiment stays unanswered, whoever opens a second pull request from it.
        ours = {
            pull.head for pull in pulls.values() if pull.own and experiment_of(pull.branch, loop) is not None
        }
        found = [pull for _, pull in sorted(pulls.items()) if pull.open and pull.base == branch]
        return [pull.head for pull in found if pull.head not in ours]

    def _pass(self, loop: str, head: str) -> bool:
        output = not_an_experiment(loop)
        body = {"title": output.title, "summary": output.summary}
        changed = _complete(self._view, head, check_name(loop), body, "neutral", NO_EXPERIMENT)
        self._done.add((loop, head))
        return changed


def _complete(
    view: RepositoryView, commit: str, name: str, output: dict[str, Any], conclusion: str, key: str = ""
) -> bool:
    """Put a concluded check run on a commit, unless Pawl's last one of that name says the same; whether it did not."""
    key = key or sha256(canonical_json([conclusion, output]))
    last: CheckRun | None = None
    for check in view.checks.on(commit):
        if check.own and check.name == name:
            last = check
    if last is not None and last.external_id == key:
        return False
    body = {
        "name": name,
        "head_sha": commit,
        "status": "completed",
        "conclusion": conclusion,
        "external_id": key,
        "output": output,
    }
    view.checks.put(CheckRun.read(view.client.post("check-runs", body), view.client.identity.owns))
    return True
