"""What people read where an installation does not grant what Pawl needs. Files in golden/."""

from __future__ import annotations

from test_messages_pages import page

from pawl.github.grants import DISPENSABLE, PERMISSIONS
from pawl.messages.permissions import UNREAD, granted_page, waiting_page, waiting_words
from pawl.messages.tracking import tracking_marker, with_trouble

LACKING = {"checks": "write", "contents": "write"}
PAGE = "https://github.com/organizations/octo/settings/installations/7"


def test_where_there_is_no_tracking_issue() -> None:
    page("permissions.md", waiting_page(LACKING, PAGE))
    page("permissions_granted.md", granted_page())


def test_in_a_tracking_issue() -> None:
    body = f"{tracking_marker('train')}\nThe loop goes on.\n"
    page("permissions_trouble.md", with_trouble(body, waiting_words(LACKING, PAGE)))


def test_everything_that_is_needed_has_a_purpose() -> None:
    needed = {name: level for name, level in PERMISSIONS.items() if name not in DISPENSABLE}
    assert "to work" not in waiting_words(needed, "")
    assert "on the installation's page" in waiting_words(needed, "")
    assert "statuses" in UNREAD
