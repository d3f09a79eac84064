"""Traces of experiments, in refs that no clone fetches: ``refs/pawl/traces/<loop>/<n>``."""

from __future__ import annotations

from collections.abc import Mapping

from pawl.github.errors import Moved, Unprocessable
from pawl.github.objects import Commit
from pawl.github.view import RepositoryView

FILE_LIMIT = 4 * 2**20
"""Characters of one trace; a longer one is left out."""
ALL_LIMIT = 32 * 2**20
"""Characters of one experiment's traces that are added at a time."""


def trace_ref(loop: str, number: int) -> str:
    """Where an experiment's traces are kept."""
    return f"refs/pawl/traces/{loop}/{number}"


def store(view: RepositoryView, loop: str, number: int, files: Mapping[str, str]) -> bool:
    """Add traces to those of an experiment; whether any of them was not there already.

    Args:
        view: the repository.
        loop: the loop's name.
        number: the experiment's number.
        files: texts by path.

    Raises:
        Moved: somebody else has added some at the same moment.
        GitHubError: a request did not succeed.
    """
    client, objects, ref = view.client, view.objects, trace_ref(loop, number)
    chosen = _bounded(files)
    tip = view.refs.trace(ref)
    kept = {entry.path: entry.sha for entry in objects.entries(objects.commit(tip).tree)} if tip else {}
    fresh = {name: text for name, text in chosen.items() if kept.get(name) != objects.put_blob(text.encode())}
    if not fresh:
        return False
    listed = [
        {"path": name, "mode": "100644", "type": "blob", "content": text} for name, text in fresh.items()
    ]
    body = {"tree": listed, **({"base_tree": objects.commit(tip).tree} if tip else {})}
    tree = client.post("git/trees", body)["sha"]
    message, parents = f"Traces of experiment {number} of {loop}", (tip,) if tip else ()
    commit = client.post("git/commits", {"message": message, "tree": tree, "parents": list(parents)})["sha"]
    try:
        if tip:
            client.patch(f"git/{ref}", {"sha": commit, "force": False})
        else:
            client.post("git/refs", {"ref": ref, "sha": commit})
    except Unprocessable as error:
        if error.not_fast_forward or error.already_exists:
            raise Moved(f"{ref} has moved: {error.message}") from error
        raise
    objects.put_commit(Commit(commit, tree, parents, message))
    view.refs.put_trace(ref, commit)
    return True


def _bounded(files: Mapping[str, str]) -> dict[str, str]:
    chosen: dict[str, str] = {}
    room = ALL_LIMIT
    for name, text in files.items():
        if len(text) <= min(FILE_LIMIT, room):
            chosen[name] = text
            room -= len(text)
    return chosen
