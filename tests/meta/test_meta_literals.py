from __future__ import annotations

import math
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pawl.meta.literals import Dial, Unreadable, dials, rewrite
from pawl.meta.places import Rank
from pawl.meta.scale import REACH, coordinate, value_of, written


def named(source: str) -> dict[str, str]:
    return {dial.name: dial.text for dial in dials(source)}


AUTORESEARCH_SHAPED = '''
"""Shaped like autoresearch's train.py: dataclass defaults that are overridden, dials at the top, a loop at the top."""
__version__ = 3
torch.manual_seed(42)
PEAK_FLOPS = 989.5e12

@dataclass
class GPTConfig:
    n_layer: int = 12
    n_embd: int = 768
    softcap: float = 15.0

class GPT(nn.Module):
    def __init__(self, config, gate: int = 32):
        self.rope = nn.RoPE(config.head_dim, base=10000)
        self.scale = 0.1
        x[..., :16] = 0.25 * x.view(-1, 6)

    def setup(self, matrix_lr=0.02, betas=(0.7, 0.95)):
        return Muon(lr=matrix_lr, eps=1e-10)

TOTAL_BATCH_SIZE = 2**19
DEVICE_BATCH_SIZE = 128
MATRIX_LR = 0.04
ADAM_BETAS = (0.8, 0.95)
WARMUP_RATIO = 0.0
CONFIG = {"depth": 8, "bias": -0.5, 3: 7.5}
SEED = 1337
step = 0
total_time = 0.0
model = GPT(GPTConfig(n_layer=CONFIG["depth"], n_embd=512)).setup(matrix_lr=MATRIX_LR)
while True:
    total_time += 0.5
    if step > 10 and total_time >= 300:
        break
    step += 1
'''


def test_the_dials_of_a_file_shaped_like_autoresearch() -> None:
    assert named(AUTORESEARCH_SHAPED) == {
        "GPTConfig.softcap": "15.0",
        "GPT.gate": "32",
        "RoPE.base": "10000",
        "GPT.setup.betas[0]": "0.7",
        "GPT.setup.betas[1]": "0.95",
        "TOTAL_BATCH_SIZE": "19",
        "DEVICE_BATCH_SIZE": "128",
        "MATRIX_LR": "0.04",
        "ADAM_BETAS[0]": "0.8",
        "ADAM_BETAS[1]": "0.95",
        "WARMUP_RATIO": "0.0",
        "CONFIG.depth": "8",
        "CONFIG.bias": "0.5",
        "CONFIG[2]": "7.5",
        "GPTConfig.n_embd#2": "512",
    }


def test_without_constants_at_the_top_the_whole_file_is_searched() -> None:
    source = """
def train(rate: float = 3e-4, *, decay=0.1) -> None:
    hidden = 24
    for epoch in range(10):
        for _ in range(2):
            optimizer.step(x ** 2, 0.25 * y, clip(norm, 1.5))
    optimizer = Adam(lr=rate, weight=0.01)
    other = Adam(lr=2e-3)
    print(f"{loss:.3f}", 17)
    if loss > 7.5 or loss == 9.5:
        raise SystemExit(99)
"""
    assert named(source) == {
        "train.rate": "3e-4",
        "train.decay": "0.1",
        "train.hidden": "24",
        "range[0]": "10",
        "step[1]": "0.25",
        "clip[1]": "1.5",
        "Adam.weight": "0.01",
        "Adam.lr": "2e-3",
        "train": "7.5",
    }


@pytest.mark.parametrize(
    "line",
    [
        "SEED = 1234",
        "x.my_seed = 77",
        "generator = np.random.default_rng(99)",
        "rng = random.Random(31)",
        "state = fit(random_state=hash(55))",
        "import os; s = int(os.environ.get('PAWL_SEED', 88))",
        "def seed_everything(value=42): torch.seed(value + 7.5)",
        "from jax import random; k = random.key(123)",
    ],
)
def test_a_seed_is_never_turned(line: str) -> None:
    assert named(line) == {}


@pytest.mark.parametrize(
    "line",
    [
        "x: Literal[17] = y",
        "mask = 0xFF",
        "big = 1_000_000_000_000",
        "eps = 1e-12",
        "z = 3j",
        "ok = True",
        "x = a[5:7]",
        "x = y * 1024 / 60",
        "x = y.sum(axis=7)",
        "assert x < 5.5",
        "class Color(Enum):\n    RED = 7",
        "i = 5\ni += 1",
        "match x:\n    case 17:\n        pass",
        "x = round(y, 12)",
        "api_version = 12",
    ],
)
def test_structure_is_no_dial(line: str) -> None:
    assert named(line) == {}


def test_command_line_defaults_are_named_by_their_option() -> None:
    assert named('p.add_argument("--weight-decay", type=float, default=0.1)') == {"weight_decay": "0.1"}


def test_bytes_before_a_literal_do_not_move_it() -> None:
    source = "\ufeffname = 'é€'; A = 0.5\r\nB = 7\rC = 9"
    found = {dial.name: dial for dial in dials(source)}
    after = rewrite(source, {found["A"]: "0.7", found["B"]: "11"})
    assert after == "\ufeffname = 'é€'; A = 0.7\r\nB = 11\rC = 9"


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("x = (1\n", "line 1"),
        ("x = '\ud800'\n", "surrogates"),
        ("x = 1\x00", "null"),
        ("x = " + "(" * 5000 + "1" + ")" * 5000, "nested"),
        ("x = " + "1+" * 50_000 + "1", "nested"),
        ("x = " + "-" * 50_000 + "1", "nested"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(source: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        dials(source)


def test_a_long_chain_does_not_end_the_process() -> None:
    """A parser in native code without a limit on depth segfaults on this line; that would take the whole App down."""
    assert named("x = " + " and ".join(["y"] * 20_000)) == {}


# -- properties -------------------------------------------------------------------------------------

literals = st.one_of(
    st.integers(1, 10**7).map(str),
    st.integers(10_000, 10**8).map(lambda number: f"{number:_}"),
    st.floats(1e-6, 1e6).map(repr),
    st.floats(1e-6, 1e6).map(lambda number: f"{number:.3e}"),
    st.floats(1e-6, 1e6).map(lambda number: f"{number:.2E}"),
    st.sampled_from(["0.9", "0.999", ".5", "5.", "0.0", "3e-05", "1_000.5", "64", "768"]),
)
names = st.lists(st.text(string.ascii_uppercase, min_size=4, max_size=8), min_size=1, max_size=6, unique=True)
gaps = st.sampled_from([" ", "", "  ", "\t"])
tails = st.sampled_from(["", "  # é 17 and 0.5", ";", "  # noqa", " \t"])


@st.composite
def files(draw: st.DrawFn) -> str:
    ending = draw(st.sampled_from(["\n", "\r\n"]))
    lines = ['"""Öäü 12"""', "import os"]
    for name in draw(names):
        gap = draw(gaps)
        sign = draw(st.sampled_from(["", "-"]))
        lines.append(f"{name}{gap}={gap}{sign}{draw(literals)}{draw(tails)}")
        if draw(st.booleans()):
            lines.append(f"  \\\n\nprint(f'{{{name}:.3f}} 0.25')")
    return ending.join(lines) + draw(st.sampled_from(["", ending]))


def turned(dial: Dial, by: float) -> str:
    return written(dial, coordinate(dial, dial.value) + by)


@given(files(), st.floats(-REACH, REACH))
def test_rewriting_changes_the_literals_and_not_one_byte_more(source: str, by: float) -> None:
    try:
        found = dials(source)
    except Unreadable:
        return
    texts = {dial: turned(dial, by) for dial in found}
    old, new, moved = source.encode(), rewrite(source, texts).encode(), 0
    position = 0
    for dial, text in texts.items():
        assert new[position + moved : dial.start + moved] == old[position : dial.start]
        assert new[dial.start + moved :].startswith(text.encode())
        position = dial.start + len(dial.text)
        moved += len(text) - len(dial.text)
    assert new[position + moved :] == old[position:]
    assert rewrite(source, {dial: dial.text for dial in found}) == source


@given(files(), st.floats(-REACH, REACH))
def test_kinds_and_names_survive_a_rewrite(source: str, by: float) -> None:
    try:
        found = dials(source)
    except Unreadable:
        return
    after = dials(rewrite(source, {dial: turned(dial, by) for dial in found}))
    kinds = {dial.name: dial.whole for dial in after}
    assert kinds.items() <= {dial.name: dial.whole for dial in found}.items()
    lost = {dial for dial in found if dial.name not in kinds}
    assert all(not 1e-7 <= abs(value_of(dial, turned(dial, by))) < 1e9 for dial in lost)


def only(source: str) -> Dial:
    (dial,) = dials(source)
    return dial


@pytest.mark.parametrize(
    ("source", "factor", "text"),
    [
        ("LR = 6e-4", 0.5, "3e-4"),
        ("LR = 6e-04", 2.5, "1.5e-03"),
        ("LR = 6E+4", 0.5, "3E+4"),
        ("LR = 0.0004", 0.1, "4e-5"),
        ("LR = 1_000.0", 4, "4_000.0"),
        ("STEPS = 1_500", 2, "3_000"),
        ("STEPS = 150", 1.37, "210"),
        ("WIDTH = 768", 1.3, "1024"),
        ("BATCH = 64", 1.9, "128"),
        ("LAYERS = 3", 0.01, "1"),
        ("BATCH = 2**19", 2, "20"),
        ("LR = -0.5", 2, "1.0"),
    ],
)
def test_a_new_value_reads_like_the_old_one(source: str, factor: float, text: str) -> None:
    assert turned(only(source), math.log(factor)) == text


def test_a_share_stays_a_share() -> None:
    momentum = only("MOMENTUM = 0.9")
    assert [turned(momentum, by) for by in (-math.log(9), 0, math.log(11), 5)] == [
        "0.5",
        "0.9",
        "0.99",
        "0.99925",
    ]
    assert 0 < float(turned(only("DROPOUT = 0.3"), REACH)) < 1
    assert float(turned(only("MATRIX_LR = 0.9"), REACH)) > 1


def test_zero_opens_a_small_range() -> None:
    assert [turned(only("WARMUP_RATIO = 0.0"), by) for by in (-1, 0, 1, 2)] == ["0.0", "0.0", "0.05", "0.1"]


@pytest.mark.parametrize("path", ["examples/packing/pack.py", "examples/nanogpt/train.py"])
def test_the_examples_have_their_dials_at_the_top(path: str) -> None:
    found = dials((Path(__file__).parents[2] / path).read_text())
    assert len(found) >= 5
    assert {dial.rank for dial in found} == {Rank.CONSTANT}
