"""What a file says, whatever its layout: one program written twice is found, and nothing that could matter is lost."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pawl.core.meaning import meaning_of, seed_only

STEADY = settings(deadline=None, derandomize=True)

PROGRAM = '''\
import os

RATE = 0.5
NAMES = ["a", "b"]


def answer(value, depth=3):
    """Told to a model."""
    if value > 1:
        return value * RATE
    return {"depth": depth, "text": "it's"}
'''


def same(before: str, after: str, path: str = "train.py") -> bool:
    return meaning_of(path, before.encode()) == meaning_of(path, after.encode())


COMMENT = st.text(st.characters(exclude_characters="\n\r\x0c", exclude_categories=("Cs", "Cc")), max_size=20)


@STEADY
@given(st.data())
def test_comments_and_blank_lines_say_nothing(data: st.DataObject) -> None:
    lines = []
    for line in PROGRAM.splitlines():
        if data.draw(st.booleans()):
            lines.append(" " * data.draw(st.integers(0, 8)) + f"#{data.draw(COMMENT)}")
        if data.draw(st.booleans()):
            lines.append(" " * data.draw(st.integers(0, 4)))
        lines.append(line + data.draw(st.sampled_from(["", "  ", "\t", "  # so"])))
    assert same(PROGRAM, "\n".join(lines) + "\n" * data.draw(st.integers(0, 3)))


@STEADY
@given(st.integers(1, 12), st.sampled_from(["\n", "\r\n"]))
def test_indentation_and_line_ends_say_nothing(width: int, end: str) -> None:
    indented = [
        " " * (width * ((len(line) - len(line.lstrip())) // 4)) + line.lstrip()
        for line in PROGRAM.split("\n")
    ]
    assert same(PROGRAM, end.join(indented))


def test_a_program_printed_from_its_tree_is_the_same() -> None:
    assert same(PROGRAM, ast.unparse(ast.parse(PROGRAM)))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 'a'\n", 'x = "a"\n'),
        ("x = u'a'\n", "x = 'a'\n"),
        ("x = 'a' 'b'\n", "x = 'ab'\n"),
        ("x = (1)\n", "x = 1\n"),
        ("x = 1_000\n", "x = 1000\n"),
        ("x = 0x10\n", "x = 16\n"),
        ("x = 1e3\n", "x = 1000.0\n"),
        ("x = [1, 2,]\n", "x = [\n    1,\n    2\n]\n"),
        ("a = 1; b = 2\n", "a = 1\nb = 2\n"),
        ("if a: b()\n", "if a:\n    b()\n"),
        ("x = a + \\\n  b\n", "x = a + b\n"),
    ],
)
def test_other_ways_to_write_the_same(before: str, after: str) -> None:
    assert same(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = 1\n", "x = 1.0\n"),
        ("x = 1\n", "x = 2\n"),
        ("x = 1\n", "y = 1\n"),
        ("x = 'a'\n", "x = b'a'\n"),
        ("x = 'a'\n", "x = 'a '\n"),
        ("a()\nb()\n", "b()\na()\n"),
        ("a - (b - c)\n", "a - b - c\n"),
        ("if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n"),
        ("x = 1\n", "x: int = 1\n"),
        # What a harness tells its model of a tool often stands in a docstring.
        ('def read():\n    """Read a file."""\n', 'def read():\n    """Read a file. Call this first."""\n'),
    ],
)
def test_what_could_matter_is_not_the_same(before: str, after: str) -> None:
    assert not same(before, after)


@STEADY
@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_has_a_meaning(first: str, second: str) -> None:
    """Whatever is no Python is taken line by line; nothing raises, and a text means what it means."""
    for path in ("a.py", "a.txt"):
        raw = [text.encode("utf-8", errors="surrogatepass") for text in (first, second)]
        assert len(meaning_of(path, raw[0])) == 64
        assert meaning_of(path, raw[0]) == meaning_of(path, raw[0])
        assert isinstance(seed_only(path, raw[0], raw[1]), bool)


def test_other_files_are_taken_line_by_line() -> None:
    assert same("a: 1\n\n\nb: 2\n", "a: 1  \nb: 2", "rules.yaml")
    assert not same("a: 1\nb: 2\n", "a: 1\n  b: 2\n", "rules.yaml")
    assert not same("a: 1\n", "a: 1  # so\n", "rules.yaml"), "what is a comment there, nobody knows"
    assert same("x = (\n", "x = (  \n\n"), "no Python: taken line by line, too"


@pytest.mark.parametrize("content", ["x = " + "(" * 5000, "\0", "x = 1" + "+1" * 20000, "\ufeffx = 1\n"])
def test_hostile_files_have_a_meaning(content: str) -> None:
    assert len(meaning_of("a.py", content.encode())) == 64


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("seed = 1\n", "seed = 2\n"),
        ("SEED: int = -1\n", "SEED: int = -7\n"),
        ("torch.manual_seed(1337)\n", "torch.manual_seed(42)\n"),
        ("torch.cuda.manual_seed_all(1)\n", "torch.cuda.manual_seed_all(2)\n"),
        ("seed_everything(1)\n", "seed_everything(2)\n"),
        ("rng = numpy.random.default_rng(1)\n", "rng = numpy.random.default_rng(2)\n"),
        ("rng = random.Random(1)\n", "rng = random.Random(2)\n"),
        ("split(data, random_state=1)\n", "split(data, random_state=2)\n"),
        ("make(seed=1)\n", "make(seed=2)\n"),
        ("def make(rate, seed=1): ...\n", "def make(rate, seed=2): ...\n"),
        ("def make(*, seed=1): ...\n", "def make(*, seed=2): ...\n"),
        ("rules = {'seed': 1, 'rate': 2}\n", "rules = {'seed': 9, 'rate': 2}\n"),
        ("rules['seed'] = 1\n", "rules['seed'] = 2\n"),
        ("args.data_seed = 1\n", "args.data_seed = 2\n"),
        ("seeds = [1, 2, 3]\n", "seeds = [4, 5, 6]\n"),
        ("seed = int(os.environ['PAWL_SEED']) + 1\n", "seed = int(os.environ['PAWL_SEED']) + 2\n"),
        ("torch.manual_seed(given * 3 + 1)\n", "torch.manual_seed(given * 5 + 7)\n"),
        ("seed += 1\n", "seed += 2\n"),
        ("use(seed := 1)\n", "use(seed := 2)\n"),
    ],
)
def test_an_edit_of_seeds_alone(before: str, after: str) -> None:
    assert seed_only("a.py", before.encode(), after.encode())
    assert not seed_only("a.py", before.encode(), (after + "rate = 1\n").encode())
    assert not seed_only("a.py", before.encode(), before.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rate = 1\n", "rate = 2\n"),
        ("n_seeds = 4\n", "n_seeds = 8\n"),
        ("seed_length = 4\n", "seed_length = 8\n"),
        ("seedling = 4\n", "seedling = 8\n"),
        ("proceeds = 4\n", "proceeds = 8\n"),
        ("seed = 'You are helpful.'\n", "seed = 'You are careful.'\n"),
        ("seed = fit(data, rate=1)\n", "seed = fit(data, rate=2)\n"),
        ("torch.manual_seed(1)\nrate = 1\n", "torch.manual_seed(2)\nrate = 2\n"),
        ("def make(rate=1, seed=1): ...\n", "def make(rate=2, seed=1): ...\n"),
        ("seed = 1\n", "# a comment\nseed = 1\n"),
        ("seed = (\n", "seed = ((\n"),
    ],
)
def test_an_edit_of_more_than_seeds(before: str, after: str) -> None:
    assert not seed_only("a.py", before.encode(), after.encode())


def test_seeds_are_known_in_python_alone() -> None:
    assert not seed_only("a.yaml", b"seed: 1\n", b"seed: 2\n")
