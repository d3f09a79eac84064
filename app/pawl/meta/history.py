"""What was tried so far, as a meta-agent reads it: the most telling in full, the rest in lines, the oldest in sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pawl.meta.proposer import Context, Detail, Failure, Tried
from pawl.meta.quoted import line, quote
from pawl.meta.tokens import estimate_tokens

RECENT = 60
"""Experiments, the newest, that are told one by one if there is room."""
BEST = 15
"""Older ones that are told, the best."""


def details_text(context: Context, room: int) -> str:
    """The newest experiments with diff and failure: keeps and failures first, as long as there is room."""
    verdicts = {tried.number: tried for tried in context.tried}
    known = [detail for detail in context.details if detail.number in verdicts]
    ranked = sorted(
        known, key=lambda each: (_informative(each, verdicts[each.number]), each.number), reverse=True
    )
    chosen: list[tuple[int, str]] = []
    for detail in ranked:
        text = _detail(detail, verdicts[detail.number])
        size = estimate_tokens(text) + 1
        if size <= room:
            chosen.append((detail.number, text))
            room -= size
    if not chosen:
        return ""
    return "## Some experiments in full\n\n" + "\n\n".join(text for _, text in sorted(chosen, reverse=True))


def _informative(detail: Detail, tried: Tried) -> int:
    if tried.verdict == "keep":
        return 3
    if detail.failure is not None:
        return 2
    return 1 if detail.tasks or tried.verdict == "inconclusive" else 0


def _detail(detail: Detail, tried: Tried) -> str:
    parts = [f"### Experiment {_one(tried)}"]
    if detail.failure is not None:
        parts.append(failure_text(detail.failure))
    if detail.tasks:
        parts.append(_tasks(detail))
    if detail.diff:
        parts.append(quote(f"diff of experiment {detail.number}", detail.diff, 2400))
    if detail.log and (detail.failure is not None):
        parts.append(quote("end of its log", detail.log[-1600:], 1600))
    return "\n".join(parts)


def failure_text(failure: Failure) -> str:
    """A typed failure in one line."""
    kinds = {"oom": "It ran out of memory", "timeout": "It was killed when its time was over"}
    what = kinds.get(failure.kind, f"It failed ({line(failure.kind, 20)})")
    where = f" in {line(failure.where, 80)}" if failure.where else ""
    named = f": {line(failure.exception, 80)}" if failure.exception else ""
    said = f", saying {line(failure.said)}" if failure.said else ""
    peak = f" Peak memory: {failure.peak_memory_mb:.0f} MB." if failure.peak_memory_mb else ""
    return f"{what}{named}{where}{said}.{peak}"


def _tasks(detail: Detail) -> str:
    """Practice tasks: what the edit fixed and broke, and what neither version can do."""
    fixed = [name for name, (before, after) in detail.tasks.items() if after > before]
    broken = [name for name, (before, after) in detail.tasks.items() if after < before]
    failing = [name for name, (_, after) in detail.tasks.items() if after < 1]
    told = [
        f"Practice tasks: {len(fixed)} fixed, {len(broken)} broken, {len(failing)} of {len(detail.tasks)} still fail."
    ]
    for name, tasks in (("Broken", broken), ("Still failing", failing)):
        if tasks:
            told.append(
                f"{name} (read_trace shows what the agent did): {', '.join(line(task, 40) for task in tasks[:12])}"
            )
    return "\n".join(told)


def history_text(context: Context, room: int) -> str:
    """What was tried: the newest one by one, the best of the older ones, and sums of all the rest."""
    if not context.tried:
        return "## What was tried\n\nNothing yet."
    many = "" if len(context.tried) == 1 else "s"
    header = f"## What was tried: {len(context.tried)} experiment{many}, the newest first"
    summary = _summary(context.tried)
    room -= estimate_tokens(header) + estimate_tokens(summary) + 40
    lines: list[str] = []
    newest = context.tried[-RECENT:]
    older = context.tried[: len(context.tried) - len(newest)]
    best = sorted(older, key=lambda each: (each.gain or 0.0, each.number), reverse=True)[:BEST]
    worth = [each for each in best if each.verdict in ("keep", "inconclusive") or (each.gain or 0.0) > 0]
    for title, chosen in (("", tuple(reversed(newest))), ("The best of the older ones:", tuple(worth))):
        for position, tried in enumerate(chosen):
            text = (f"\n{title}\n" if title and position == 0 else "") + f"- {_one(tried)}"
            room -= estimate_tokens(text) + 1
            if room < 0:
                break
            lines.append(text)
    shown = sum(text.lstrip("\n").startswith(("- ", "The best")) for text in lines)
    left = len(context.tried) - shown
    note = f"\n{left:,} more are not listed; search_ledger finds them." if left > 0 else ""
    return "\n".join([header, "", summary, "", *lines]) + note


def _one(tried: Tried) -> str:
    gain = f", {tried.gain:+g} sigma" if tried.gain is not None else ""
    why = f"; {line(tried.reason, 160)}" if tried.reason and tried.verdict != "keep" else ""
    return f"{tried.number}: {tried.verdict}{gain}: {line(tried.hypothesis)}{why}"


def _summary(tried: Sequence[Tried]) -> str:
    counts = Counter(each.verdict for each in tried)
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    kept = sum(each.gain or 0.0 for each in tried if each.verdict == "keep")
    total = f" The keeps gained {kept:g} sigma together." if counts.get("keep") else ""
    dials = Counter(name for each in tried for name in _turned(each))
    turned = ""
    if dials:
        turned = (
            " Numbers that were turned most: "
            + ", ".join(f"{line(name, 40)} ({count} times)" for name, count in dials.most_common(8))
            + "."
        )
    return f"In all: {told}.{total}{turned}"


def _turned(tried: Tried) -> Iterable[str]:
    """Names that a hypothesis of `search` says were turned: ``NAME 1 -> 2``."""
    for part in tried.hypothesis.split(":")[0].split(","):
        words = part.split()
        if len(words) == 4 and words[2] == "->" and words[0] in tried.parameters:
            yield words[0]
