"""What a machine's runners say of themselves. Files in golden/."""

from __future__ import annotations

from test_messages_pages import page

from pawl.control.library import is_direction
from pawl.messages.runner import MARKER, Health, Place, runner_health, runner_marker

LABELS = ("self-hosted", "pawl", "gpu", "pawl-h100")


def test_how_runners_are() -> None:
    places = [
        Place("pawl-box-0", LABELS, 12),
        Place("pawl-box-1", LABELS, 0, "GitHub answered 403 (`| <b>@octo</b>\n/pawl resume)"),
    ]
    text = runner_health(Health("box", "2026-07-01 09:30 UTC", "takes jobs", places))
    page("runner.md", text)
    assert text.startswith(runner_marker("box"))
    assert runner_marker("box").startswith(MARKER)


def test_a_report_is_no_direction_for_proposers() -> None:
    """The token may be a person's who can write, and that person's comments are read by proposers."""
    assert not is_direction(runner_health(Health("box", "now", "takes jobs", [])))
    assert not is_direction("/pawl status")
    assert is_direction("Try smaller steps")
