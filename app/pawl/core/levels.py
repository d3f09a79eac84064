"""What a loop must have shown before Pawl merges by itself: counted from the ledger alone.

`merge: shadow` and `merge: review` ask for nothing. `merge: auto` is earned: people have taken keep after keep, unchanged
code was measured often enough without anything going wrong, and known cheats that were planted have been stopped. It starts
again with an incident, unless a person dismisses that one, and with rules under which something else is measured; the keeps
alone start again with one that a person turned down, and the cheats alone with another file beside the editable one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pawl.core.cheats import known
from pawl.core.config import Loop
from pawl.core.finding import Fence, Verdict
from pawl.core.incidents import dismissed_cheats, dismissed_incidents
from pawl.core.ledger import (
    AnyLine,
    CalibrationLine,
    CanaryLine,
    IncidentLine,
    Measured,
    Outcome,
    OutcomeLine,
    VerdictLine,
)
from pawl.core.measurement import Arm, RunStatus

AGREED = 10
"""Keeps in a row that people must have taken."""
CLEAN = 30
"""Runs of unchanged code that must have ended well."""
HELD = 5
"""Planted cheats that must have been stopped."""
UNTRIED = 20
"""Keeps in a row that people must have taken where no cheat is known that could be planted."""
ACCEPTED = "unearned-auto"


@dataclass(frozen=True)
class Standing:
    """What a loop has shown so far."""

    agreed: int = 0
    """Keeps that people have merged, in a row."""
    clean: int = 0
    """Runs of unchanged code that ended well."""
    held: int = 0
    """Planted cheats that were stopped."""
    plantable: bool = True
    """Whether any cheat is known that could be planted."""

    @property
    def trusted(self) -> bool:
        """Whether people and measurement have shown enough, planted cheats aside."""
        return self.agreed >= self._keeps and self.clean >= CLEAN

    @property
    def earned(self) -> bool:
        """Whether that is enough for merging without a person."""
        return self.trusted and (self.held >= HELD or not self.plantable)

    @property
    def _keeps(self) -> int:
        return AGREED if self.plantable else UNTRIED

    def __str__(self) -> str:
        keeps = f"{min(self.agreed, self._keeps)} of {self._keeps} keeps in a row were taken by people"
        runs = f"{min(self.clean, CLEAN)} of {CLEAN} runs of unchanged code ended well"
        if self.plantable:
            return f"{keeps}, {runs}, and {min(self.held, HELD)} of {HELD} planted cheats were stopped"
        return f"{keeps}, and {runs}; no cheat is known that could be planted in such a file, so it takes more keeps"


def standing(rules: Loop, lines: Sequence[AnyLine], surroundings: str) -> Standing:
    """What a loop has shown, since the last thing that went wrong or was measured otherwise.

    Once it is earned, Pawl's own merges neither add to it nor take away.

    Args:
        rules: the loop's.
        lines: its ledger.
        surroundings: what the base is now, its editable file aside; cheats that were stopped in others say nothing.
    """
    agreed = clean = held = 0
    kept: dict[int, bool] = {}
    same: dict[int, bool] = {}
    """By identity, for lines share their rules and a digest takes long."""
    digest, dismissed = rules.rules_digest, dismissed_incidents(lines)
    for line in lines:
        if isinstance(line, IncidentLine) and line.key not in dismissed:
            agreed = clean = held = 0
        elif isinstance(line, OutcomeLine) and kept.get(line.experiment):
            if line.outcome is Outcome.MERGED and _person(line.by):
                agreed += 1
            elif line.outcome is Outcome.CLOSED and _person(line.by):
                agreed = 0
        elif isinstance(line, Measured):
            if id(line.rules) not in same:
                same[id(line.rules)] = line.rules.rules_digest == digest
            if not same[id(line.rules)]:
                agreed = clean = held = 0
                continue
            if isinstance(line, VerdictLine):
                kept[line.experiment] = line.verdict is Verdict.KEEP
            if isinstance(line, CanaryLine) and line.surroundings == surroundings:
                held += line.fence is Fence.HELD
            if isinstance(line, VerdictLine) or (isinstance(line, CalibrationLine) and line.ok):
                clean += sum(run.arm is Arm.BASELINE and run.status is RunStatus.OK for run in line.runs)
    return Standing(agreed, clean, held, bool(plantable(rules, lines, surroundings)))


def plantable(rules: Loop, lines: Sequence[AnyLine], surroundings: str) -> tuple[str, ...]:
    """Names of the cheats that can be planted in a loop, less those that a person has dismissed there."""
    dismissed = dismissed_cheats(surroundings, lines)
    return tuple(name for name in known(rules) if name not in dismissed)


def unearned(rules: Loop, lines: Sequence[AnyLine], surroundings: str) -> str:
    """What is missing before a keep may be merged without a person, in a sentence; empty if nothing is."""
    if rules.merge != "auto" or ACCEPTED in rules.accept:
        return ""
    shown = standing(rules, lines, surroundings)
    return "" if shown.earned else f"so far {shown}"


def _person(login: str) -> bool:
    """Apps sign as ``name[bot]``, which is no name that a person can have."""
    return bool(login) and not login.endswith("[bot]")
