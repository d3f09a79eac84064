"""Answers that GitHub need not give again: a request that brings back their ETag costs nothing while nothing changes."""

from __future__ import annotations

import json
import threading
import zlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST = 100
"""Answers that are kept for one repository; the one that was not asked for longest is forgotten first."""
LARGEST = 256 * 1024
"""Bytes of an answer that is kept, compressed: a hundred pull requests are a third of that."""


@dataclass(frozen=True)
class Answer:
    """An answer with its ETag."""

    etag: str
    headers: dict[str, Any]
    packed: bytes

    @property
    def data(self) -> Any:
        """Its JSON, as it came."""
        return json.loads(zlib.decompress(self.packed))


class Remembered:
    """What was answered to reads of one connection. Packed, for the values themselves take thirty times the room."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def find(self, path: str, parameters: Mapping[str, Any]) -> Answer | None:
        """The last answer to a read, if it is kept."""
        name = _name(path, parameters)
        with self._guard:
            if name in self._answers:
                self._answers.move_to_end(name)
            return self._answers.get(name)

    def keep(self, path: str, parameters: Mapping[str, Any], headers: dict[str, Any], data: Any) -> None:
        """Remember an answer, if GitHub will know it again and anybody asks twice."""
        etag = headers.get("etag", "")
        if not etag or data is None or _asked_once(path):
            return
        packed = zlib.compress(json.dumps(data).encode(), 1)
        with self._guard:
            name = _name(path, parameters)
            self._answers.pop(name, None)
            if len(packed) <= LARGEST:
                self._answers[name] = Answer(etag, headers, packed)
            while len(self._answers) > MOST:
                self._answers.popitem(last=False)


def _asked_once(path: str) -> bool:
    """Git objects never change, and are kept elsewhere."""
    return "/git/" in path and "/git/matching-refs/" not in path


def _name(path: str, parameters: Mapping[str, Any]) -> str:
    return json.dumps([path, sorted(parameters.items())])
