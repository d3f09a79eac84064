"""What can go wrong before anything is measured."""

from __future__ import annotations


class MeasureError(Exception):
    """The job cannot be done as it was asked for, and there is no record to write it into.

    Args:
        what: what happened.
        why: what it comes from.
        remedy: what the person who reads it can do.
    """

    def __init__(self, what: str, why: str, remedy: str) -> None:
        self.what, self.why, self.remedy = what, why, remedy
        super().__init__(f"{what}\nWhy: {why}\nWhat to do: {remedy}")


class Refused(Exception):
    """Nothing can be measured, for a reason that belongs in the record (one sentence or two, for a person)."""


class Stopped(Exception):
    """The job was told to stop while it was still preparing."""
