"""What is wrong with one loop's set-up: its files, its evaluator, its image, and who may merge."""

from __future__ import annotations

import ast
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from pawl.core.cheats import known
from pawl.core.config import Loop
from pawl.core.digest import matches
from pawl.core.edit import MAX_BYTES, REGULAR_MODES
from pawl.core.layout import PYTHON
from pawl.core.levels import ACCEPTED, AGREED, CLEAN, HELD, UNTRIED
from pawl.core.remarks import Files, Level, Places, Remark

SCRIPTS = (".py", ".sh", ".bash")
"""Endings by which a word of a command is taken for a file of the repository."""
LISTS = ("-r", "--requirement")
"""pip's options behind which such a file stands, whatever its ending."""
SHELL = frozenset({"cd", "&&", "||", "|", ";"})
"""Words behind which nobody knows in which folder a command goes on."""


@dataclass(frozen=True)
class LoopCheck:
    """One loop of one commit."""

    checkout: Files
    places: Places
    loop: str
    rules: Loop

    def remarks(self) -> Iterator[Remark]:
        """Everything that a person should know before the loop starts."""
        yield from self._editable()
        yield from self._program()
        yield from self._commands()
        yield from self._evaluator()
        yield from self._artifact()
        yield from self._image()
        yield from self._merging()

    def _remark(self, level: Level, message: str, *keys: str) -> Remark:
        return self.places.remark(level, message, self.loop, *keys)

    def _editable(self) -> Iterator[Remark]:
        path, checkout = self.rules.edit, self.checkout
        entry = checkout.by_path.get(path)
        if entry is None:
            unsaved = checkout.unsaved(path)
            mend = (
                f"`git add {shlex.quote(path)}` and commit it"
                if unsaved
                else "correct the path, or add the file"
            )
            where = unsaved or "is not in the repository"
            yield self._remark("error", f"the editable file {path} {where}: {mend}", "edit")
            return
        if entry.mode not in REGULAR_MODES:
            what = {"120000": "a symbolic link", "160000": "a submodule"}.get(
                entry.mode, f"of mode {entry.mode}"
            )
            yield self._remark(
                "error", f"the editable file {path} is {what}; only a regular file can be replaced", "edit"
            )
            return
        content = checkout.file(path) or b""
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            yield self._remark(
                "error",
                f"{path} is not UTF-8 (byte {error.start}): nobody could review an edit of it",
                "edit",
            )
        if len(content) > MAX_BYTES:
            yield self._remark(
                "error", f"{path} has {len(content):,} bytes; an editable file may have {MAX_BYTES:,}", "edit"
            )
        if unsaved := checkout.unsaved(path):
            yield self._remark("advice", f"{path} {unsaved}; what is measured is the commit", "edit")
        if not checkout.has_branch(self.rules.branch):
            yield self._remark(
                "warning",
                f"there is no branch {self.rules.branch} here; keeps would be merged into it. Set `branch`, or "
                "push it",
                "branch",
            )

    def _program(self) -> Iterator[Remark]:
        path = self.rules.program_path
        if path not in self.checkout.by_path:
            unsaved = self.checkout.unsaved(path) or "is not in the repository"
            yield self._remark(
                "error",
                f"the program {path} {unsaved}: write what the meta-agent should try, and what it must not, and commit it",
                "program",
            )

    def _commands(self) -> Iterator[Remark]:
        rules = self.rules
        suffix = PurePosixPath(rules.edit).suffix
        if not rules.run.command and suffix not in PYTHON:
            yield self._remark(
                "warning",
                f"without run.command a run is `{rules.command}`, and {suffix} is no ending of Python's. Say how it is "
                "built and started, as in `run: {command: sh run.sh}`",
                "edit",
            )
        commands = {("run", "command"): rules.command, ("setup",): rules.setup}
        if rules.predict:
            commands["predict", "command"] = rules.predict.command
        if rules.evaluate:
            commands["evaluate", "command"] = rules.evaluate.command
            commands["evaluate", "setup"] = rules.evaluate.setup
        if rules.tasks and rules.tasks.model:
            commands["tasks", "model", "command"] = rules.tasks.model.command
        for keys, command in commands.items():
            for path in self._files(command or ""):
                if path not in self.checkout.by_path:
                    unsaved = self.checkout.unsaved(path) or "is not in the repository"
                    yield self._remark(
                        "error",
                        f"{'.'.join(keys)} names {path}, which {unsaved}; commands start in "
                        f"{self.rules.cwd or 'the top of the repository'}, with committed files only",
                        *keys,
                    )
                elif not matches(path, rules.input_globs):
                    globs = rules.input_globs if rules.inputs is None else rules.inputs
                    effect = "void what was measured before"
                    if keys[-1] == "setup":
                        effect += ", nor run the setup again"
                    yield self._remark(
                        "warning",
                        f"{path} is not among the loop's inputs: a change to it would not {effect}. Add it: "
                        f"`inputs: {json.dumps([*globs, path], ensure_ascii=False)}`",
                        *keys,
                    )

    def _files(self, command: str) -> Iterator[str]:
        """Words of a command that name files of the repository, as paths from its top."""
        words = shlex.split(command)
        if SHELL & set(words) or any(word.endswith(";") for word in words):
            return
        for before, word in pairwise(["", *words]):
            if word.startswith(("-", "/", "~", "$")) or not (word.endswith(SCRIPTS) or before in LISTS):
                continue
            parts: list[str] = []
            for part in PurePosixPath(self.rules.cwd, word).parts:
                if part == ".." and parts:
                    parts.pop()
                else:
                    parts.append(part)
            yield "/".join(parts)

    def _evaluator(self) -> Iterator[Remark]:
        rules, evaluate = self.rules, self.rules.evaluate
        if evaluate is None:
            yield self._remark(
                "advice",
                f"there is no evaluator: {rules.metric.name} is what the edited file prints of itself, and nothing checks "
                "it. Add `evaluate` before you trust a keep",
            )
            return
        paths = frozenset(self.checkout.by_path)
        for path in evaluate.private:
            if not any(matches(name, (f"{path.rstrip('/')}/**", path.rstrip("/"))) for name in paths):
                yield self._remark(
                    "warning",
                    f"private names {path}, which matches no committed file: with a typo here, what should be hidden is in "
                    "plain sight of every candidate",
                    "evaluate",
                    "private",
                )
        if matches(rules.edit, rules.private_globs(paths)):
            yield self._remark(
                "error",
                f"{rules.edit} is editable and private at once, so no candidate could run; change `private`",
                "evaluate",
                "private",
            )
        for path in self._files(evaluate.command):
            if path not in paths:
                continue
            if path.endswith(".py") and _imports(self.checkout.file(path) or b"", rules.edit):
                yield Remark(
                    "warning",
                    f"{path} imports the editable file: the evaluator runs in the base's tree, so it would score the "
                    "base's code for every candidate. Read the artifact (PAWL_ARTIFACT) instead",
                    self.loop,
                    path,
                )
        for host in sorted(rules.data.keys() & evaluate.data.keys()):
            yield self._remark(
                "warning", f"{host} is in `data` and in `evaluate.data`: every candidate can read it", "data"
            )

    def _artifact(self) -> Iterator[Remark]:
        rules = self.rules
        if rules.artifact is None:
            return
        for what, name in (("artifact", rules.artifact.path), *(
            ("predict.carry", path) for path in (rules.predict.carry if rules.predict else ())
        )):  # fmt: skip
            path = str(PurePosixPath(rules.cwd, name))
            if path in self.checkout.by_path:
                yield self._remark(
                    "warning",
                    f"{what} names {path}, which is committed: a run that writes nothing would hand in the committed "
                    "file. Remove it from the repository",
                    what.split(".")[0],
                )
        if rules.predict is not None and not rules.predict.carry:
            yield self._remark(
                "warning",
                "predict.carry is empty: the predicting process gets nothing of what the run made, not even weights",
                "predict",
            )

    def _image(self) -> Iterator[Remark]:
        image = self.rules.run.image
        if image is None or image in self.checkout.by_path:
            return
        if "dockerfile" in image.rsplit("/", 1)[-1].lower():
            unsaved = self.checkout.unsaved(image) or "is not in the repository"
            yield self._remark(
                "error", f"run.image names the Dockerfile {image}, which {unsaved}", "run", "image"
            )

    def _merging(self) -> Iterator[Remark]:
        rules = self.rules
        if rules.merge != "auto":
            return
        if ACCEPTED not in rules.accept:
            shown = (
                f"{AGREED} keeps in a row, {CLEAN} runs of unchanged code have ended well, and {HELD} planted cheats "
                "were stopped"
                if known(rules)
                else f"{UNTRIED} keeps in a row and {CLEAN} runs of unchanged code have ended well (no cheat is known that "
                "could be planted in such a file)"
            )
            yield self._remark(
                "advice",
                f"merge is auto, which a loop earns: Pawl merges by itself once people have taken {shown}. Until then "
                "keeps wait for `/pawl merge`",
                "merge",
            )
        if rules.sandbox == "process" and "process-sandbox" not in rules.accept:
            yield self._remark(
                "warning",
                "merge is auto, but candidates run without a container, so every keep waits for a review. Set run.image, "
                "or say `accept: [process-sandbox]`",
                "merge",
            )
        if rules.self_reported and "self-reported-metric" not in rules.accept:
            yield self._remark(
                "warning",
                "merge is auto, but the metric is the candidate's own word, so every keep waits for a review. Add "
                "`evaluate`, or say `accept: [self-reported-metric]`",
                "merge",
            )


def _imports(source: bytes, edit: str) -> bool:
    """Whether Python code imports the module that a file of the repository is."""
    dotted = PurePosixPath(edit).with_suffix("").as_posix().replace("/", ".")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return False
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names |= {module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)}
    return any(name and (dotted == name or dotted.endswith(f".{name}")) for name in names)
