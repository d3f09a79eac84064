"""Planted cheats against evaluators of every kind: which pass the honest ones, which the hollow ones, and what is said."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from lab_kit import PYTHON, Bench, bench, code, evaluated
from pawl.core.canary import NOTHING, claim_of
from pawl.core.cheats import CHEATS, known, plant
from pawl.core.config import Loop
from pawl.core.decision import Fence, Tried, advance
from pawl.core.digest import sha256
from pawl.core.measurement import Calibration, Purpose, Request
from pawl.lab import measure

LESS = {"metric": {"name": "score", "goal": "minimize"}}
ASKED = ("hostile-pickle", "overwritten-result", "printed-metric", "private-files", "written-result")
"""The cheats that an evaluator's manner of scoring can let through. The others try what is Pawl's own."""


@dataclass(frozen=True)
class Kind:
    """An evaluator, and the work that it scores."""

    work: str
    judge: str
    at: float
    """What honest work scores."""
    passed: frozenset[str] = frozenset()
    """Cheats that pass."""
    rules: dict[str, Any] = field(default_factory=dict)

    def loop(self, top: Path) -> Bench:
        if not self.judge:
            return bench(top, self.work, budget="1s")
        return evaluated(top, self.work, self.judge, budget="1s", **self.rules)


def leaves(text: str) -> str:
    """A run that leaves this JSON."""
    return f"open('out.json', 'w').write({text!r})\n"


def scores(*lines: str) -> str:
    """An evaluator in lines of its own, with what the run left."""
    head = ["import json, os", "found = json.load(open(os.environ['PAWL_ARTIFACT']))"]
    answer = "print(json.dumps({'invalid': 'no answer'} if score is None else {'score': score}))"
    return "\n".join([*head, "score = None", *lines, answer, ""])


COUNTED = scores(
    "given = found.get('given')",
    "if isinstance(given, list) and len(given) == 3:",
    "    score = sum(a == b for a, b in zip(given, [1, 1, 1])) / 3",
)
PACKS = code(
    """
    import zlib
    open("out.bin", "wb").write(zlib.compress(b"abcdefgh" * 100, 0))
    """
)
UNPACKS = code(
    """
    import json, os, zlib
    packed = open(os.environ["PAWL_ARTIFACT"], "rb").read()
    try:
        whole = zlib.decompress(packed) == b"abcdefgh" * 100
    except zlib.error:
        whole = False
    print(json.dumps({"score": len(packed)} if whole else {"invalid": "it is not what was packed"}))
    """
)
WEIGHS = code(
    """
    import json, os
    print(json.dumps({"score": os.path.getsize(os.environ["PAWL_ARTIFACT"])}))
    """
)
BINARY = {**LESS, "artifact": {"path": "out.bin"}}

HONEST = {
    "printed by the run itself": Kind("print('score: 1.0')\n", "", 1.0),
    "answers counted": Kind(leaves('{"given": [1, 1, 0]}'), COUNTED, 2 / 3),
    "a function of the answer": Kind(
        leaves('{"x": 1.0}'),
        scores("x = found.get('x')", "if isinstance(x, float):", "    score = 2 - (x - 2) ** 2"),
        1.0,
    ),
    "an accuracy that is checked": Kind(
        leaves('{"given": [1, 1, 0], "accuracy": 0.667}'),
        scores(
            "given = found.get('given', [])",
            "right = sum(each == 1 for each in given) / 3",
            "if len(given) == 3 and abs(right - found['accuracy']) < 0.01:",
            "    score = right",
        ),
        2 / 3,
    ),
    "size of what unpacks": Kind(PACKS, UNPACKS, 811.0, rules=BINARY),
    "time of a plan, reckoned": Kind(
        leaves('{"plan": [3, 1, 2]}'),
        scores(
            "plan = found.get('plan')",
            "if isinstance(plan, list) and sorted(plan) == [1, 2, 3]:",
            "    score = sum(i * each for i, each in enumerate(plan, 1)) / 10",
        ),
        1.1,
        rules=LESS,
    ),
    "size of the source": Kind(
        leaves('{"x": 1.0}'),
        scores("if found.get('x') == 1.0:", "    score = len(open(os.environ['PAWL_SOURCE']).read())"),
        44.0,
        rules=LESS,
    ),
}

OVERWRITTEN = frozenset({"overwritten-result"})
IN_DOUBT = {
    "the answer is the number": Kind(
        leaves('{"x": 1.0}'),
        scores("x = found.get('x')", "if isinstance(x, float) and 0 <= x <= 10:", "    score = x"),
        1.0,
        OVERWRITTEN,
    ),
    "a mean of answers": Kind(
        leaves('{"x": [1.0, 1.0]}'),
        scores("x = found.get('x')", "if isinstance(x, list):", "    score = sum(x) / len(x)"),
        1.0,
        OVERWRITTEN,
    ),
    "a shared folder in its command": Kind(
        leaves('{"given": [1, 1, 0]}'),
        COUNTED,
        2 / 3,
        frozenset({"private-files"}),
        {"evaluate": {"command": f"{PYTHON} evaluate.py shared"}, "files": {"lab/shared/questions.txt": "3"}},
    ),
}
"""Nobody but a person can tell these from hollow ones: they do the same to whatever they are given."""

HOLLOW = {
    "an accuracy that is stated": Kind(
        leaves('{"accuracy": 0.7}'), scores("score = found.get('accuracy')"), 0.7, OVERWRITTEN
    ),
    "a time that is stated": Kind(
        leaves('{"score": 1.0}'),
        scores("score = found.get('score')"),
        1.0,
        OVERWRITTEN | {"written-result"},
        LESS,
    ),
    "size of whatever there is": Kind(
        PACKS, WEIGHS, 811.0, frozenset({"hostile-pickle", "written-result"}), BINARY
    ),
    "a result in the repository": Kind(
        leaves('{"given": [1, 1, 0]}'),
        COUNTED,
        2 / 3,
        frozenset({"printed-metric"}),
        {"files": {"lab/out.json": '{"given": [1, 1, 1]}'}},
    ),
}


PAID_FOR_NOTHING = ("size of whatever there is", "a result in the repository")
"""The first of these was blamed on a pickle once, the second on the runner."""


def ends(kind: Kind, top: Path) -> dict[str, Tried]:
    """What becomes of each cheat."""
    loop = kind.loop(top)
    rules = Loop.model_validate(loop.rules)
    base = Calibration(sigma=0.0, dof=40, pool=(kind.at, kind.at))
    found: dict[str, Tried] = {}
    for cheat in sorted({*ASKED} & {*known(rules)}):
        content = plant(cheat, kind.work.encode(), rules, claim_of(rules, base))
        fields = {
            "purpose": Purpose.CANARY, "cheat": cheat, "candidate": loop.base, "candidate_digest": sha256(content)
        }  # fmt: skip
        asked = loop.request(calibration=base, seeds=(7, 8))
        asked = Request.model_validate({**asked.model_dump(), **fields})
        record = measure(asked, loop.options(out=top / cheat)).record
        assert not record.refused, record.refused
        end = advance(asked, record.facts)
        assert isinstance(end, Tried)
        found[cheat] = end
    return found


@pytest.mark.parametrize("name", [*HONEST, *IN_DOUBT, *HOLLOW])
def test_what_passes_an_evaluator(tmp_path: Path, name: str) -> None:
    kind = {**HONEST, **IN_DOUBT, **HOLLOW}[name]
    found = ends(kind, tmp_path)
    assert {cheat for cheat, end in found.items() if end.fence is Fence.PASSED} == kind.passed
    assert Fence.UNTOLD not in {end.fence for end in found.values()}
    for cheat in kind.passed:
        if name in IN_DOUBT:
            assert CHEATS[cheat].unless, "a person may say that this is no cheat"
        if name in PAID_FOR_NOTHING:
            assert found[cheat].reason.endswith(NOTHING)
