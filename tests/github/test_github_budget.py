"""What is asked again costs nothing where nothing has changed, and who has little left is known."""

from __future__ import annotations

import pytest
from github_kit import NAME, World

from pawl.github.budget import RESERVE, Budget
from pawl.github.client import Repository
from pawl.github.errors import RateLimited
from pawl.github.remembered import MOST, Remembered


@pytest.fixture
def repository(world: World) -> Repository:
    return world.app.repository(NAME)


def used(world: World) -> int:
    """Requests that counted."""
    return sum(
        not entry.not_modified and entry.installation is not None for entry in world.server.hub.request_log
    )


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("", {}),
        ("branches/main", {}),
        ("contents/.github/pawl.yml", {"ref": "main"}),
        ("pulls", {"state": "all", "per_page": 100}),
        ("git/matching-refs/heads/pawl/", {}),
    ],
)
def test_an_answer_that_has_not_changed_costs_nothing(
    world: World, repository: Repository, path: str, parameters: dict[str, object]
) -> None:
    first = repository.get(path, **parameters)
    before = used(world)
    assert repository.get(path, **parameters) == first
    assert used(world) == before
    assert world.server.hub.request_log[-1].not_modified


def test_an_answer_that_has_changed_is_read(world: World, repository: Repository) -> None:
    tip = repository.get("branches/main")["commit"]["sha"]
    moved = world.server.hub.push_files(NAME, {"a": "b"}, "Change")
    assert repository.get("branches/main")["commit"]["sha"] == moved != tip
    assert repository.get("branches/main")["commit"]["sha"] == moved


def test_what_a_caller_does_to_an_answer_is_not_remembered(repository: Repository) -> None:
    repository.get()["name"] = "another"
    repository.get()["name"] = "another"
    assert repository.get()["name"] == NAME.split("/")[1]


def test_pages_are_asked_for_one_by_one(world: World, repository: Repository) -> None:
    for number in range(7):
        repository.post("labels", {"name": f"label {number}", "color": "ffffff"})
    first = [item["name"] for item in repository.pages("labels", per_page=3)]
    before = used(world)
    assert [item["name"] for item in repository.pages("labels", per_page=3)] == first
    assert used(world) == before
    assert len(first) == 7


def test_git_objects_are_not_kept_twice(world: World, repository: Repository) -> None:
    commit = world.tip("main")
    repository.get(f"git/commits/{commit}")
    repository.get(f"git/commits/{commit}")
    assert not world.server.hub.request_log[-1].not_modified


def test_a_look_at_a_loop_where_nothing_happens_costs_nothing(world: World) -> None:
    world.settle()
    world.observe(fresh=True)
    before = used(world)
    world.observe(fresh=True)
    assert used(world) == before


def test_what_was_not_asked_for_longest_is_forgotten() -> None:
    remembered = Remembered()
    for number in range(MOST + 1):
        remembered.keep(f"/{number}", {}, {"etag": "e"}, number)
        remembered.find("/0", {})
    assert remembered.find("/1", {}) is None
    kept = remembered.find("/0", {})
    assert kept is not None
    assert kept.data == 0


def test_all_repositories_of_an_installation_share_its_requests(world: World) -> None:
    hub = world.server.hub
    hub.create_repository("octo/other")
    hub.installations.install("octo/other")
    installation = next(world.app.installations()).id
    one, other = (world.app.repository(name, installation) for name in (NAME, "octo/other"))
    one.get()
    assert other.scarce_until == 0
    hub.rate_spent = int(hub.rate_limit * (1 - RESERVE))
    one.get("labels")
    assert other.scarce_until > hub.clock()
    hub.rate_spent = hub.rate_limit
    with pytest.raises(RateLimited):
        other.get("labels")
    assert one.scarce_until > hub.clock()


def test_what_is_scarce_is_so_until_the_hour_is_over() -> None:
    now = 1000.0
    budget = Budget(lambda: now)
    assert budget.scarce_until == 0

    def told(remaining: int, resource: str = "core") -> float:
        budget.note(
            {
                "x-ratelimit-limit": "5000",
                "x-ratelimit-remaining": str(remaining),
                "x-ratelimit-reset": "4600",
                "x-ratelimit-resource": resource,
            }
        )
        return budget.scarce_until

    assert told(int(5000 * RESERVE)) == 0
    assert told(int(5000 * RESERVE) - 1) == 4600
    assert told(5000, "search") == 4600
    budget.note({})
    now = 4600.0
    assert budget.scarce_until == 0
