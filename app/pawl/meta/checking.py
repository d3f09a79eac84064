"""Checks an edit before anything is spent on it, in words that whoever proposed it can act on."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pawl.core.digest import sha256
from pawl.core.edit import objections
from pawl.core.meaning import meaning_of, seed_only
from pawl.core.syntax import parse
from pawl.meta.proposer import Context


@dataclass(frozen=True)
class Block:
    """A passage of the editable file, and what is to stand in its place."""

    search: str
    replace: str


class DoesNotApply(Exception):
    """Blocks that do not fit the file; the text says which and why."""


def apply_blocks(source: str, blocks: Sequence[Block]) -> str:
    """The source with every block's passage replaced, one after the other.

    Raises:
        DoesNotApply: a passage is empty, is not there, or is there more than once.
    """
    if not blocks:
        raise DoesNotApply("there is no block")
    for number, told in enumerate(blocks, start=1):
        search = told.search if told.search in source else laid_out(source, told.search)
        block = Block(search, laid_out(source, told.replace))
        if not block.search.strip():
            raise DoesNotApply(f"block {number} searches for nothing; name the passage that it replaces")
        found = _count(source, block.search)
        if found > 1:
            raise DoesNotApply(
                f"block {number} searches for a passage that is there more than once; add lines around it until it is unique"
            )
        if found == 0:
            raise DoesNotApply(
                f"block {number} searches for a passage that is not there{_nearest(source, block)}"
            )
        source = source.replace(block.search, block.replace)
    return source


def laid_out(source: str, text: str) -> str:
    """A text with the line ends of the source: whoever writes one is not shown which they are."""
    text = text.replace("\r\n", "\n")
    return text.replace("\n", "\r\n") if "\r\n" in source else text


def _count(source: str, passage: str) -> int:
    """Places where a passage begins, those that overlap included; it stops at two, which are too many."""
    first = source.find(passage)
    return 0 if first < 0 else 1 if source.find(passage, first + 1) < 0 else 2


def _nearest(source: str, block: Block) -> str:
    """The line most like the passage's first one: a difference of white space is the usual reason."""
    wanted = next(line for line in block.search.splitlines() if line.strip())
    lines = source.splitlines()[:5000]
    near = difflib.get_close_matches(wanted[:300], [line[:300] for line in lines], n=1, cutoff=0.6)
    if not near:
        return ""
    number = next(index for index, line in enumerate(lines, start=1) if line[:300] == near[0])
    return f"; the line most like it is {number}: {near[0]!r}"


def check_edit(context: Context, content: str) -> tuple[str, ...]:
    """Why an edit may not be proposed, as sentences; empty if it may.

    Args:
        context: what the proposer was shown.
        content: the whole editable file as it would be.
    """
    rules = context.rules
    before = context.source.encode()
    try:
        after = content.encode()
    except UnicodeEncodeError as error:
        return (f"the file would hold a character that UTF-8 cannot (at {error.start})",)
    if not content.strip():
        return ("the file would be empty",)
    found = objections(rules.edit, before, after, rules.limits.changed_lines)
    if found:
        return found
    if broken := _broken(rules.edit, content):
        return (broken,)
    meaning = meaning_of(rules.edit, after)
    if meaning == meaning_of(rules.edit, before):
        return ("the edit changes only comments or layout, so every run would be as before",)
    if seed_only(rules.edit, before, after):
        return ("the edit changes only seeds: runs get their seeds from PAWL_SEED, and luck is no gain",)
    return tuple(_repeated(context, sha256(content), meaning))


def _broken(path: str, content: str) -> str:
    """Why Python could not read the file; a person may push such a file all the same, and see it crash."""
    if not path.endswith(".py"):
        return ""
    try:
        parse(content)
    except SyntaxError as error:
        return f"{path}:{error.lineno or 0}: it is no Python: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{path}: it is no Python that can be read ({type(error).__name__})"
    return ""


def _repeated(context: Context, digest: str, meaning: str) -> list[str]:
    for tried in reversed(context.tried):
        if tried.meaning == meaning:
            return [
                f"experiment {tried.number} has tried this very program before; its verdict was {tried.verdict}"
            ]
    for flying in context.in_flight:
        if flying.meaning == meaning:
            return [f"experiment {flying.number} is trying this very program now"]
    return ["this very content was tried before"] if digest in context.sources else []
