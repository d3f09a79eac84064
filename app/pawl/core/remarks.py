"""What `pawl check` has to say of a set-up, and the files that it looks at for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pawl.core.config import CONFIG_PATH
from pawl.core.digest import TreeEntry

Level = Literal["error", "warning", "advice"]


@dataclass(frozen=True)
class Remark:
    """One thing to mend, to know or to think about. `line` and `column` count from 1; 0 where there is none."""

    level: Level
    message: str
    loop: str = ""
    file: str = ""
    line: int = 0
    column: int = 0

    @property
    def place(self) -> str:
        """``file:line:column``, as far as it is known."""
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part)

    def as_json(self) -> dict[str, Any]:
        """The remark as plain values; parts that are not known are null."""
        return {
            "level": self.level,
            "loop": self.loop or None,
            "message": self.message,
            "file": self.file or None,
            "line": self.line or None,
        }


class Files(Protocol):
    """The files of one commit, wherever they lie."""

    @property
    def by_path(self) -> Mapping[str, TreeEntry]:
        """The committed files by path."""
        ...

    def file(self, path: str) -> bytes | None:
        """The committed bytes of a file; none if it is not committed."""
        ...

    def unsaved(self, path: str) -> str:
        """How a working tree differs from the commit in a file; empty where it does not, or where there is none."""
        ...

    def has_branch(self, name: str) -> bool:
        """Whether there is such a branch."""
        ...


class Places:
    """Where the keys of a configuration that could be read stand in it."""

    def __init__(self, text: str) -> None:
        try:
            self._document: Any = YAML().load(text)
        except (YAMLError, ValueError):
            self._document = None

    def remark(self, level: Level, message: str, loop: str, *keys: str) -> Remark:
        """A remark at the deepest of these keys of a loop that is written out."""
        line, column = 1, 1
        node = self._document
        for key in ("loops", loop, *keys):
            if not isinstance(node, Mapping) or key not in node:
                break
            line, column = (place + 1 for place in node.lc.key(key))  # type: ignore[attr-defined]
            node = node[key]
        return Remark(level, message, loop, CONFIG_PATH, line, column)
