"""Jobs that no runner takes: since when, and why not, as far as that can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOSTED = ("ubuntu-", "windows-", "macos-")
"""How the labels of GitHub's own runners begin; nobody lists those."""
SHOWN = 3
"""Runners that a sentence names."""


@dataclass(frozen=True)
class Runner:
    """A self-hosted runner of the repository, as GitHub lists it."""

    id: int
    name: str
    online: bool
    busy: bool
    labels: tuple[str, ...] = ()

    def lacks(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Which of these labels it has not; GitHub knows no upper case in them."""
        mine = {label.lower() for label in self.labels}
        return tuple(label for label in wanted if label.lower() not in mine)


@dataclass(frozen=True)
class Untaken:
    """A job that has waited for too long, with what could be read about it."""

    labels: tuple[str, ...] = ()
    """What its runner must have; empty where neither the rules nor GitHub say."""
    runners: tuple[Runner, ...] | None = None
    """Those of the repository; none where they may not be listed."""


def hosted(labels: Sequence[str]) -> bool:
    """Whether these labels are those of GitHub's own runners."""
    return any(label.lower().startswith(HOSTED) for label in labels)


def served(untaken: Untaken) -> bool:
    """Whether one of the runners is online and has all the labels."""
    return any(runner.online and not runner.lacks(untaken.labels) for runner in untaken.runners or ())


def runners_page(repository: str) -> str:
    """Where people see a repository's runners, from the address of its own page."""
    return f"{repository}/settings/actions/runners"


def settings_page(job_url: str) -> str:
    """The same, from the address of one of its jobs; empty where that is not known."""
    repository, found, _ = job_url.partition("/actions/runs/")
    return runners_page(repository) if found else ""


def why_untaken(untaken: Untaken) -> str:
    """Why no runner takes a job, in a sentence without its end. Names and labels are other people's words."""
    labels, runners = untaken.labels, untaken.runners
    named = ", ".join(labels)
    if hosted(labels):
        return f"GitHub's own runners with the labels {named} have not: its status page or the account's minutes say why"
    if runners is None or not labels:
        which = f"those with the labels {named}" if labels else "those that the workflow names under runs-on"
        return f"{which} are busy, offline, or do not exist"
    if not runners:
        return (
            f"this repository has no runner of its own; one of its organisation would need the labels {named}"
        )
    fit = [runner for runner in runners if not runner.lacks(labels)]
    if not fit:
        near = sorted(runners, key=lambda runner: len(runner.lacks(labels)))[:SHOWN]
        lacking = "; ".join(f"{runner.name} lacks {_and(runner.lacks(labels))}" for runner in near)
        offline = "" if any(runner.online for runner in runners) else "; and none is online"
        return f"no runner of this repository has all of: {named}; {lacking}{offline}"
    if online := [runner for runner in fit if runner.online]:
        states = ", ".join(
            f"{runner.name} is {'busy with another job' if runner.busy else 'online and idle'}"
            for runner in online[:SHOWN]
        )
        return f"the runners with the labels {named} have not taken it: {states}"
    has = f"{_and([runner.name for runner in fit[:SHOWN]])} {'has' if len(fit) == 1 else 'have'} all of: {named}"
    if not any(runner.online for runner in runners):
        return f"no runner of this repository is online; {has}"
    return f"{has}, and {'is' if len(fit) == 1 else 'are'} offline"


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
