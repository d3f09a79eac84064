from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from doc_tables import COMMAND, DOCS, TABLES, UNWRITTEN, written

from pawl.commands.check import run_check
from pawl.commands.scaffold import init
from pawl.core.config_file import parse_config
from pawl.core.layout import Wishes

ROOT = DOCS.parent
SOURCE = ROOT / "app" / "pawl"
PAGES = ("../README.md", *sorted(page.name for page in DOCS.glob("*.md")))


def _code() -> str:
    """All of the program as one text, with the parts of broken strings joined, and names of constants filled in."""
    paths = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.j2")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    joined = re.sub(r'"\s*\n\s*f?"', "", text)
    for name, value in (
        ("LEDGER_BRANCH", "pawl/ledger"),
        ("MAX_LITERAL", "1024"),
        ("CONFIG_PATH", ".github/pawl.yml"),
    ):
        joined = joined.replace(f"{{{name}}}", value)
    return joined


@pytest.mark.parametrize("heading", TABLES)
def test_tables_are_those_of_the_code(heading: str) -> None:
    found, wanted = written(heading, (DOCS / TABLES[heading][0]).read_text(encoding="utf-8"))
    assert found == wanted, COMMAND
    assert UNWRITTEN not in found, f"{TABLES[heading][0]}: every row needs its words"
    assert not re.search(r"\| *\|$", found.split("\n", 2)[2], re.MULTILINE), "a row has no words"


def _headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    page = DOCS / name
    links = re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    found = [(page.parent / link if link else page, part) for link, part in links]
    assert [to for to, _ in found if not to.exists()] == []
    assert [(to, part) for to, part in found if part and part not in _headings(to)] == []


@pytest.mark.parametrize("name", PAGES)
def test_configurations_that_are_shown_can_be_read(name: str) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL):
        if "loops:" in block:
            parse_config(block)


def test_every_variable_that_a_run_gets_is_told() -> None:
    lab = "\n".join(path.read_text(encoding="utf-8") for path in (SOURCE / "lab").glob("*.py"))
    given = set(re.findall(r'"((?:PAWL|PIP)_[A-Z]+)"', lab))
    told = set(
        re.findall(
            r"(?m)^\| `((?:PAWL|PIP)_[A-Z]+)` \|", (DOCS / "configuration.md").read_text(encoding="utf-8")
        )
    )
    assert "PAWL_SEED" in given
    assert given <= told | {"PIP_CONFIG_FILE"}
    assert told <= given


def test_every_variable_that_the_app_reads_is_told() -> None:
    read: set[str] = set()
    for path in ("control/settings.py", "commands/step.py", "commands/conformance.py"):
        read |= set(re.findall(r'"(PAWL_[A-Z_]+)"', (SOURCE / path).read_text(encoding="utf-8")))
    page = (DOCS / "app.md").read_text(encoding="utf-8")
    assert {name for name in read if f"`{name}`" not in page} == set()


def test_troubleshooting_quotes_what_the_program_says() -> None:
    """A message that was reworded would be searched for in vain."""
    code = _code()
    missing = []
    for row in re.findall(
        r"(?m)^\| (?!you see|---)(.*?) \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    ):
        for quote in re.findall(r"`((?:[^`]|`pawl init`)+)`", row):
            for part in re.split(r"…|\(\.\.\.\)", quote):
                part = part.strip(" ,:;()")
                if len(part) > 4 and not part.startswith(("pawl:", "pawl verify")) and part not in code:
                    missing.append(part)
    assert missing == []


def test_commands_that_are_shown_exist() -> None:
    from typer.main import get_command

    from pawl.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    shown = [
        (name, *hit)
        for name in PAGES
        for hit in re.findall(
            r"(?m)(?:`|^|bin/)pawl ([a-z]+)((?: --?[a-z-]+| [^`\s#-][^`\s]*)*)", (DOCS / name).read_text()
        )
    ]
    assert shown
    for page, command, words in shown:
        assert command in commands, f"{page}: pawl {command}"
        found, rest = commands[command], words.split()
        if hasattr(found, "commands") and rest:  # a group, like `pawl runner check`
            assert rest[0] in found.commands, f"{page}: pawl {command} {rest[0]}"
            found = found.commands[rest[0]]
        options = {option for parameter in found.params for option in parameter.opts}
        used = set(re.findall(r"--[a-z-]+", words))
        assert used <= options, f"{page}: pawl {command} has no {used - options}"


def test_the_quickstart_can_be_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    page = (DOCS / "quickstart.md").read_text(encoding="utf-8")
    script = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    command = re.search(r"pawl init --edit (\S+) --metric (\S+) --goal (\S+)", page)
    assert script is not None
    assert command is not None
    toy = tmp_path / "toy"
    toy.mkdir()
    (toy / "train.py").write_text(script[1])
    init(toy, Wishes(edit=command[1], metric=command[2], goal=command[3]))
    for words in (["init", "-b", "main"], ["add", "--all"], ["commit", "-m", "Begin"]):
        who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "-C", str(toy), *who, *words], check=True, capture_output=True)
    assert run_check(toy, None, 2, as_json=False) == 0
