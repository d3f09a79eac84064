"""What Pawl has just written must come back as its own: what it does not know again it would write for ever."""

from __future__ import annotations

from pawl.github.errors import Unobservable
from pawl.github.view import RepositoryView

BOT = "[bot]"


def require_own(view: RepositoryView) -> None:
    """Before something is written that is looked for by its author.

    Raises:
        Unobservable: what was written before, under the name that Pawl still goes by, came back as somebody else's.
    """
    if view.estranged is not None and view.estranged[0] == view.client.identity:
        raise Unobservable(view.estranged[1])


def estranged(view: RepositoryView, what: str, owner: str) -> Unobservable:
    """Note that something came back as somebody else's, and give the error that says so.

    Args:
        view: where.
        what: what was written, as the middle of a sentence.
        owner: whose it is by GitHub's answer, a login or ``slug[bot]``; empty where that names nobody.
    """
    known = view.client.identity
    if not owner:
        what_to_do = "This server does not say which App wrote what, and Pawl cannot work with one like that"
    elif not owner.endswith(BOT):
        what_to_do = "The token is a person's: give Pawl an App's or a job's"
    elif known.app_id:
        what_to_do = "Where the App was renamed, Pawl learns its new name by itself in the timer's next round"
    else:
        what_to_do = f"The token is that App's: set PAWL_APP_SLUG (`app-slug` of the Action) to {owner.removesuffix(BOT)}"
    why = (
        f"{what}, which Pawl has just made, belongs to {owner or 'no App'} by GitHub's word, and Pawl is known to itself as "
        f"{known.login}. It would not find its own work again, so it starts nothing. {what_to_do}"
    )
    view.estranged = known, why
    return Unobservable(why)
