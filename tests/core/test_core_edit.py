"""What an edit may be: one file, readable by a person, within its caps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pawl.core.digest import TreeEntry
from pawl.core.edit import MAX_BYTES, MAX_LINE, objections, scope_objection, unified_diff

PATH = "lab/train.py"
BASE = [
    TreeEntry("README.md", "100644", "1" * 40),
    TreeEntry(PATH, "100644", "2" * 40),
    TreeEntry("lab/run.sh", "100755", "3" * 40),
]


def head(*changes: TreeEntry, without: tuple[str, ...] = ()) -> list[TreeEntry]:
    """The base's tree with entries put in their places, or taken away."""
    tree = {entry.path: entry for entry in BASE if entry.path not in without}
    tree.update({entry.path: entry for entry in changes})
    return list(tree.values())


EDITED = TreeEntry(PATH, "100644", "9" * 40)


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        pytest.param(head(EDITED), None, id="the edit"),
        pytest.param(head(), "it changes nothing", id="nothing"),
        pytest.param(
            head(TreeEntry("lab/other.py", "100644", "2" * 40), without=(PATH,)),
            "it touches lab/other.py; only lab/train.py may change",
            id="rename",
        ),
        pytest.param(head(without=(PATH,)), "it deletes lab/train.py", id="delete"),
        pytest.param(head(EDITED, without=("README.md",)), "it touches README.md;", id="delete another"),
        pytest.param(
            head(TreeEntry(PATH, "100755", "2" * 40)), "it changes the mode of lab/train.py from 100644 to 100755", id="mode"
        ),
        pytest.param(head(TreeEntry(PATH, "120000", "9" * 40)), "from 100644 to 120000", id="symlink"),
        pytest.param(head(TreeEntry(PATH, "160000", "9" * 40)), "from 100644 to 160000", id="submodule"),
        pytest.param(
            head(EDITED, TreeEntry("torch/__init__.py", "100644", "9" * 40)), "it touches torch/__init__.py;", id="added"
        ),
        pytest.param(
            head(EDITED, TreeEntry(".gitattributes", "100644", "9" * 40)), "it touches .gitattributes;", id="attributes"
        ),
        pytest.param(head(EDITED, TreeEntry(".gitmodules", "100644", "9" * 40)), "it touches .gitmodules;", id="modules"),
        pytest.param(
            head(TreeEntry("lab/run.sh", "100644", "3" * 40), EDITED), "it touches lab/run.sh;", id="mode of another"
        ),
        pytest.param(
            head(TreeEntry(f"{PATH}/x", "100644", "9" * 40), without=(PATH,)), "it touches lab/train.py/x;", id="folder"
        ),
        pytest.param(
            head(TreeEntry("a", "100644", "9" * 40), TreeEntry("b", "100644", "9" * 40), EDITED),
            "it touches a and 1 more; only lab/train.py may change",
            id="two more",
        ),
    ],
)  # fmt: skip
def test_the_scope_of_an_edit(tree: list[TreeEntry], said: str | None) -> None:
    found = scope_objection(BASE, tree, PATH)
    assert found is None if said is None else found is not None and said in found


def test_an_edit_of_a_file_that_is_no_file() -> None:
    link = [TreeEntry(PATH, "120000", "2" * 40)]
    assert scope_objection(link, [TreeEntry(PATH, "120000", "9" * 40)], PATH) == (
        "lab/train.py is no regular file (mode 120000)"
    )
    assert scope_objection([], [EDITED], PATH) == "lab/train.py is not on the base"


def test_an_executable_may_be_edited() -> None:
    assert scope_objection(BASE, head(TreeEntry("lab/run.sh", "100755", "9" * 40)), "lab/run.sh") is None


def objected(
    candidate: str | bytes, base: str = "x = 1\n", path: str = PATH, lines: int = 300
) -> tuple[str, ...]:
    data = candidate if isinstance(candidate, bytes) else candidate.encode()
    return objections(path, base.encode(), data, lines)


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        pytest.param("x = 1\n", "the edit changes nothing", id="nothing"),
        pytest.param(b"x = '\xff'\n", "the file would not be UTF-8 (byte 5)", id="latin-1"),
        pytest.param(
            "#" * (MAX_BYTES + 1), "the file would be 524,289 bytes, 524,288 are allowed", id="bytes"
        ),
        pytest.param("y\n" * 300, "301 lines change, 300 are allowed (limits.changed_lines)", id="lines"),
        pytest.param("++y\n" * 300, "301 lines change", id="lines that look like a diff's header"),
        pytest.param(f"{'y' * MAX_LINE}1\n", "lab/train.py:1: a new line of 401 characters", id="long line"),
        pytest.param("x = 'a\u202eb'\n", "lab/train.py:1: the character U+202E does not show", id="bidi"),
        pytest.param(
            "x = 1\ny\u200b = 2\n", "lab/train.py:2: the character U+200B does not show", id="zero width"
        ),
        pytest.param("\ufeffx = 2\n", "the character U+FEFF does not show", id="byte order mark"),
        pytest.param("x = 'a\x00b'\n", "the character U+0000 does not show", id="NUL"),
        pytest.param("x = '\u3164'\n", "the character U+3164 does not show", id="Hangul filler"),
        pytest.param("x = '\ue000'\n", "the character U+E000 does not show", id="private use"),
        pytest.param("x = 1 #\u2028y = 2\n", "the character U+2028 does not show", id="line separator"),
        pytest.param("x = 1 #\x85y = 2\n", "the character U+0085 does not show", id="next line"),
        pytest.param("x = 1\n\x0c\ny = 2\n", "the character U+000C does not show", id="form feed"),
        pytest.param("x = 1 # fine\rimport os\n", "the character U+000D does not show", id="bare return"),
        pytest.param("x = 1\r\n", "the character U+000D does not show", id="CRLF where there was LF"),
        pytest.param(
            "sc\u043ere = 1\n", "the identifier 'sc\\u043ere' has letters outside ASCII", id="homoglyph"
        ),
        pytest.param(
            "\uff45\uff56\uff41\uff4c('1')\n", "has letters outside ASCII", id="what NFKC makes ASCII"
        ),
        pytest.param("import os as \u0455\n", "has letters outside ASCII", id="imported as"),
        pytest.param("f(\u0445=1)\n", "has letters outside ASCII", id="keyword"),
        pytest.param("def f():\n    global \u0445\n", "has letters outside ASCII", id="global"),
        pytest.param("x = '''\n" + "aaaaaaaa\n" * 120 + "'''\n", "a literal larger than 1024", id="string"),
        pytest.param(
            "x = [\n" + "0, 0, 0, 0, 0, 0, 0, 0,\n" * 129 + "]\n", "a literal larger than 1024", id="list"
        ),
        pytest.param(
            "x = (\n" + "'aaaaaaaa'\n" * 130 + ")\n", "a literal larger than 1024", id="joined strings"
        ),
        pytest.param(
            "x = 0x" + "f" * 4000 + "\n", "a literal larger than 1024", id="number that cannot be printed"
        ),
        pytest.param(
            "x = [" + "1," * 1025 + "-" * 900 + "1]\n", "a literal larger than 1024", id="deep literal"
        ),
        pytest.param("# coding: utf-7\n# +AAo-import os\n", "declares the encoding utf-7", id="UTF-7"),
        pytest.param("#\n# vim: fileencoding=latin-1\n", "declares the encoding iso-8859-1", id="Latin-1"),
    ],
)
def test_what_is_objected_to(candidate: str | bytes, said: str) -> None:
    assert said in "\n".join(objected(candidate))


@pytest.mark.parametrize(
    "candidate",
    [
        pytest.param("x = 2\n", id="a number"),
        pytest.param("x = 1", id="no line's end at the end"),
        pytest.param("", id="nothing left"),
        pytest.param("\tx = 'é, 中文, ∑'  # naïve\n", id="letters in strings and comments"),
        pytest.param("def f(:\n", id="no Python: it dies in its first second"),
        pytest.param("((((" * 100, id="too deep for the parser"),
        pytest.param(f"x = '{'a' * (MAX_LINE - 6)}'\n", id="a line as long as it may be"),
        pytest.param("\n" * 299, id="as many lines as may be"),
        pytest.param(f"x = [{','.join('1' for _ in range(180))}]\n", id="a short list"),
        pytest.param("# coding: utf-8\nx = 2\n", id="the encoding that is there anyway"),
        pytest.param("# coding: no-such-thing\nx = 2\n", id="no encoding: it dies in its first second"),
        pytest.param("x = '\\d'\n", id="an escape Python warns about"),
    ],
)
def test_what_is_not(candidate: str) -> None:
    assert objected(candidate) == ()


def test_what_the_base_has_already_is_nobodys_fault() -> None:
    table = "t = '''\n" + "a" * 2000 + "\n'''\nλ = '\u200b'\n"
    assert objected(table.replace("t =", "tt ="), base=table) == ()
    assert objected("λ = 2\n", base="λ = 1\n") == ()
    assert objected("# coding: latin-1\nx = 2\n", base="# coding: latin-1\nx = 1\n") == ()


def test_a_file_with_windows_ends_keeps_them() -> None:
    assert objected("x = 2\r\ny = 1\r\n", base="x = 1\r\ny = 1\r\n") == ()
    assert objected("x = 2\r#\r\n", base="x = 1\r\n") == (
        "lab/train.py:1: the character U+000D does not show, so nobody could review it",
    )


def test_only_python_is_read_as_python() -> None:
    big = "x = '''\n" + "aaaa\n" * 250 + "'''\n"
    assert objected(big, path="lab/params.json") == ()


def test_utf_7_hides_code(tmp_path: Path) -> None:
    """What the rule on declared encodings is for: a comment to a reader and to `ast.parse`, and Python executes it."""
    script = tmp_path / "innocent.py"
    script.write_bytes(b"# coding: utf-7\n# +AAo-print(6*7)\n")
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, check=False)
    assert ran.stdout == b"42\n"


SNIPPETS = st.sampled_from(
    ["x", " = ", "1", "\n", "    ", "'", '"', '"""', "(", ")", "[", "]", "#", "\\", "def f():", "é", "\u0445", "\u202e",
     "\r", "\x0c", "\x00", "\u2028", "0x", "f" * 50, "f'{", "}'", "-" * 200, "coding: utf-7",
     "℘", "·", "\ufeff", "0_", "j"]
)  # fmt: skip


@settings(deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.one_of(
        st.binary(max_size=40), st.lists(SNIPPETS, max_size=30).map(lambda parts: "".join(parts).encode())
    ),
    st.binary(max_size=30),
)
@example(b"x = (0x" + b"f" * 4000 + b")", b"")
@example(b"x = [" + b"1," * 1025 + b"-" * 990 + b"1]", b"")
def test_any_bytes_are_judged(candidate: bytes, base: bytes) -> None:
    for path in (PATH, "lab/data.txt"):
        assert all(isinstance(said, str) and said for said in objections(path, base, candidate, 300))


def test_a_diff_as_git_shows_it() -> None:
    shown = unified_diff("a.py", "one\ntwo\x0cstill two\n", "one\n2")
    assert shown == (
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n one\n-two\x0cstill two\n+2\n\\ No newline at end of file\n"
    )
    assert unified_diff("a.py", "same\n", "same\n") == ""


@settings(deadline=None, max_examples=40, derandomize=True)
@given(
    st.text(max_size=30).filter(lambda t: "\r" not in t), st.text(max_size=30).filter(lambda t: "\r" not in t)
)
def test_a_diff_applies(before: str, after: str) -> None:
    """Every line of both files is in the diff, or in what it leaves out as unchanged."""
    shown = unified_diff("f", before, after).replace("\n\\ No newline at end of file\n", "")
    added = [
        line[1:] for line in shown.split("\n") if line.startswith("+") and not line.startswith("+++ b/f")
    ]
    assert set(added) <= set(after.split("\n"))
