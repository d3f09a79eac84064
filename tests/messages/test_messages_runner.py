"""What a machine's runners say of themselves. Files in golden/."""

from __future__ import annotations

from test_messages_pages import page

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
