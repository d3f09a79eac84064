"""Whether a repository is offered Pawl: every ground there is."""

from __future__ import annotations

from itertools import product

from pawl.core.onboarding import Ground, Offer, offer

GROUNDS = [
    Ground(archived, fork, empty, chosen, recognised, used, branch, pull)
    for archived, fork, empty, chosen, recognised, used, branch in product((False, True), repeat=7)
    for pull in ("", "open", "closed", "merged")
]


def test_after_an_answer_nothing_is_opened() -> None:
    for ground in GROUNDS:
        if ground.pull:
            assert offer(ground) not in (Offer.BRANCH, Offer.OPEN)


def test_nothing_is_written_where_nothing_can_be() -> None:
    assert {offer(ground) for ground in GROUNDS if ground.archived} == {Offer.NOTHING}


def test_who_is_asked() -> None:
    asked = [ground for ground in GROUNDS if offer(ground) in (Offer.BRANCH, Offer.OPEN)]
    assert asked
    for ground in asked:
        assert (ground.fork, ground.empty, ground.used) == (False, False, False)
        assert ground.chosen or ground.recognised or ground.branch
        assert (offer(ground) is Offer.OPEN) == ground.branch


def test_a_no_is_answered_and_a_question_is_kept_true() -> None:
    for ground in GROUNDS:
        if not ground.archived:
            assert (offer(ground) is Offer.FAREWELL) == (ground.pull == "closed")
            assert (offer(ground) is Offer.REFRESH) == (ground.pull == "open")
