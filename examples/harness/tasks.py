"""The tasks, and who has them right. Private: neither the agent nor whoever edits it ever sees this file.

Every task is made from its name alone, so it is the same for ever; no two splits have one in common.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

SPLITS = ("practice", "select", "seal")
TOWNS = (
    "Lyon", "Graz", "Turku", "Porto", "Gdansk", "Ghent", "Split", "Cork", "Brno", "Varna", "Tartu", "Malaga",
)  # fmt: skip
THINGS = (
    "paper", "lamps", "chairs", "cables", "paint", "rope", "tiles", "soap", "glue", "nails", "bulbs", "tape",
)  # fmt: skip
WORDS = (
    "amber", "basalt", "cedar", "delta", "ember", "fjord", "garnet", "heron", "indigo", "juniper", "kelp", "lotus",
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A question about some files, and its only right answer."""

    question: str
    files: dict[str, str]
    answer: str

    def passed(self, answer: str) -> bool:
        """Whether an answer is that one. Capitals, spaces around it and a full stop after it do not matter."""
        return answer.strip().rstrip(".").casefold() == self.answer.casefold()


def _orders(draw: random.Random, sections: int) -> tuple[str, dict[str, str]]:
    """Orders by section, and the depots of those in the last one."""
    numbers = draw.sample(range(1000, 9999), 6 * sections)
    depots = {str(number): draw.choice(TOWNS) for number in numbers}
    lines = [f"{number},{depot}" for number, depot in depots.items()]
    parts = ["\n".join(lines[start : start + 6]) for start in range(0, len(lines), 6)]
    last = dict(list(depots.items())[-6:])
    return "\n\n".join(parts) + "\n", last


def _order(draw: random.Random, sections: int) -> Task:
    text, last = _orders(draw, sections)
    number = draw.choice(list(last))
    question = f"In 'orders.csv', which depot handles order {number}? Give the name of the depot."
    return Task(question, {"orders.csv": text}, last[number])


def order(draw: random.Random) -> Task:
    """A line of a short file."""
    return _order(draw, 1)


def archive(draw: random.Random) -> Task:
    """A line of a long file."""
    return _order(draw, draw.randint(3, 6))


def pair(draw: random.Random) -> Task:
    """Two numbers to add."""
    hall, food = draw.randint(100, 900), draw.randint(100, 900)
    text = f"The hall costs {hall}.\nThe food costs {food}.\n"
    question = "'party.txt' says what hall and food cost. What do they cost together?"
    return Task(question, {"party.txt": text}, str(hall + food))


def total(draw: random.Random) -> Task:
    """Many numbers to add."""
    amounts = [draw.randint(1000, 99999) for _ in range(draw.randint(7, 11))]
    text = "".join(f"{draw.choice(THINGS)} {amount}\n" for amount in amounts)
    return Task(
        "'expenses.txt' lists amounts. What is their total?", {"expenses.txt": text}, str(sum(amounts))
    )


def trail(draw: random.Random) -> Task:
    """Notes that each name the next one."""
    names = [f"{name}.txt" for name in draw.sample(THINGS, draw.randint(3, 5))]
    word = draw.choice(WORDS)
    files = {name: f"Go on with '{after}'.\n" for name, after in pairwise(names)}
    files[names[-1]] = f"The code word is {word}.\n"
    question = f"Start with '{names[0]}'. Each note names the next one, and the last one holds a code word. What is it?"
    return Task(question, files, word)


def misnamed(draw: random.Random) -> Task:
    """A file that people call by another name."""
    town, name = draw.choice(TOWNS), draw.choice(THINGS)
    files = {f"{name.capitalize()}.md": f"Contact: {draw.choice(WORDS).capitalize()} Ltd\nCity: {town}\n"}
    files |= {f"{other}.md": "Nothing here yet.\n" for other in draw.sample(WORDS, 2)}
    return Task(f"In which city is the contact of '{name}'? Give its name.", files, town)


def noon(draw: random.Random) -> Task:
    """A question of yes or no."""
    hour, minute = draw.choice([8, 9, 10, 11, 13, 14, 15, 16]), draw.choice([0, 15, 30, 45])
    text = f"The meeting is at {hour:02d}:{minute:02d} in room {draw.randint(1, 40)}.\n"
    answer = "yes" if hour < 12 else "no"
    return Task("Is the meeting of 'plan.txt' before noon? Yes or no?", {"plan.txt": text}, answer)


FAMILIES: dict[Callable[[random.Random], Task], tuple[int, int]] = {
    order: (6, 30), pair: (4, 20), archive: (3, 18), total: (3, 18), trail: (3, 18), misnamed: (3, 18), noon: (2, 14),
}  # fmt: skip
"""How many tasks of a family are in a block, and in a split."""


def names(split: str) -> dict[Callable[[random.Random], Task], list[str]]:
    """Names of all tasks of a split, by family."""
    return {
        family: [f"{split}-{family.__name__}-{number:02d}" for number in range(size)]
        for family, (_, size) in FAMILIES.items()
    }


def block(split: str, seed: int) -> dict[str, tuple[str, Task]]:
    """The block that a seed draws: by an id that tells nothing, the name of a task and the task."""
    if split not in SPLITS:
        raise ValueError(f"there is no split {split!r}")
    draw = random.Random(f"block {split} {seed}")
    chosen = [
        (name, family(random.Random(f"task {name}")))
        for family, listed in names(split).items()
        for name in draw.sample(listed, FAMILIES[family][0])
    ]
    return {f"{draw.getrandbits(64):016x}": each for each in chosen}
