"""The proposer `command` with agents of every kind, honest ones and others; each is a small script."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from meta.meta_kit import SOURCE, Shelf, context, rules
from pawl.meta.command import Command
from pawl.meta.means import Means
from pawl.meta.proposer import NoProposal, Proposal

ALLOWED = Means(commands=True, command_environment={"MODEL_KEY": "key-of-the-agent-123456"})
EDIT = "text = open('aim.py').read().replace('AIM = 1.0', 'AIM = 2.0'); open('aim.py', 'w').write(text)\n"


def proposed(tmp_path: Path, script: str, words: str = "", means: Means = ALLOWED, **agent: Any) -> Proposal:
    """What comes of an agent that is this Python script."""
    file = tmp_path / "agent.py"
    file.write_text(f"import json, os, subprocess, sys, time\n{script}")
    command = shlex.join([sys.executable, str(file)]) + (f" {words}" if words else "")
    shown = context(rules(proposer="command", command=command, **agent), library=Shelf())
    return Command(means).propose(shown)


def test_an_edit_with_its_hypothesis(tmp_path: Path) -> None:
    answer = {"hypothesis": "a larger aim", "predicted": 0.5}
    proposal = proposed(
        tmp_path, EDIT + f"json.dump({answer!r}, open('PAWL_PROPOSAL.json', 'w'))\nprint('done')\n"
    )
    assert proposal.edit is not None
    assert proposal.edit.content == SOURCE.replace("AIM = 1.0", "AIM = 2.0")
    assert (proposal.edit.hypothesis, proposal.edit.predicted, proposal.edit.proposer) == (
        "a larger aim",
        0.5,
        "command",
    )
    assert proposal.notes == ()
    assert proposal.spend.seconds > 0
    assert proposal.trace is not None
    assert [step.source for step in proposal.trace.steps] == ["user", "agent"]


def test_without_an_answer_the_last_paragraph_is_the_hypothesis(tmp_path: Path) -> None:
    proposal = proposed(tmp_path, EDIT + "print('I looked.\\n\\nA larger aim\\nshould help.')\n")
    assert proposal.edit is not None
    assert proposal.edit.hypothesis == "A larger aim\nshould help."


def test_what_it_is_given(tmp_path: Path) -> None:
    """The context and the base's files in one commit, the prompt as a word or on standard input, and no credential."""
    seen = tmp_path / "seen.json"
    look = (
        "git = lambda *a: subprocess.run(['git', *a], capture_output=True, text=True).stdout\n"
        "json.dump({'files': sorted(os.listdir('.')), 'env': dict(os.environ), 'context': open('PAWL_CONTEXT.md').read(),"
        " 'log': git('log', '--all', '--format=%s'), 'remotes': git('remote'), 'status': git('status', '--porcelain'),"
        f" 'stdin': sys.stdin.read(), 'words': sys.argv[1:]}}, open({str(seen)!r}, 'w'))\n" + EDIT
    )
    os.environ["GITHUB_TOKEN"] = "ghs_of_this_process"
    try:
        assert proposed(tmp_path, look).edit is not None
    finally:
        del os.environ["GITHUB_TOKEN"]
    told = json.loads(seen.read_text())
    assert told["files"] == [".git", "PAWL_CONTEXT.md", "README.md", "aim.py"]
    assert told["env"].keys() - {"PWD", "LC_CTYPE", "SHLVL", "_"} == {
        "PATH",
        "LANG",
        "HOME",
        "TMPDIR",
        "MODEL_KEY",
    }
    assert told["log"].split("\n") == ["The base", ""]
    assert told["remotes"] + told["status"] == ""
    assert "aim.py" in told["context"]
    assert "Raise the score" in told["context"]
    assert "PAWL_CONTEXT.md" in told["stdin"]
    assert proposed(tmp_path, look, words="{prompt}").edit is not None
    told = json.loads(seen.read_text())
    assert told["stdin"] == ""
    assert "PAWL_CONTEXT.md" in told["words"][0]


def test_whatever_else_it_changes_is_dropped_and_told(tmp_path: Path) -> None:
    script = EDIT + (
        "open('README.md', 'a').write('mine')\nos.mkdir('new')\nopen('new/file.py', 'w').write('x')\n"
        "os.makedirs('.github/workflows')\nopen('.github/workflows/steal.yml', 'w').write('on: push')\n"
        "os.symlink('/etc/passwd', 'passwd')\n"
    )
    proposal = proposed(tmp_path, script)
    assert proposal.edit is not None
    (note,) = proposal.notes
    for name in ("README.md", "new/file.py", ".github/workflows/steal.yml", "passwd"):
        assert f'"{name}"' in note


def test_a_checkout_without_its_git_is_still_compared(tmp_path: Path) -> None:
    proposal = proposed(tmp_path, EDIT + "import shutil\nshutil.rmtree('.git')\nos.remove('README.md')\n")
    assert proposal.edit is not None
    assert '"README.md"' in proposal.notes[0]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("os.remove('aim.py')\nos.symlink('/etc/passwd', 'aim.py')\n", "link"),
        ("os.remove('aim.py')\n", "cannot be read"),
        ("os.remove('aim.py')\nos.mkfifo('aim.py')\n", "regular"),
        ("open('aim.py', 'wb').write(b'\\xff\\xfe')\n", "UTF-8"),
        ("open('aim.py', 'w').write('#' * 10**6)\n", "more than"),
        ("print('I could not do it.')\nsys.exit(3)\n", "exit code 3"),
        ("open('aim.py', 'w').write('AIM = (')\n", "no Python"),
    ],
    ids=["link", "gone", "pipe", "bytes", "large", "nothing", "broken"],
)
def test_no_edit_is_a_reason(tmp_path: Path, script: str, why: str) -> None:
    proposal = proposed(tmp_path, script)
    assert proposal.edit is None
    assert why in proposal.reason
    assert not proposal.rests


def test_an_edit_that_may_not_be_made_goes_back_once(tmp_path: Path) -> None:
    script = (
        "if 'may not be made' in open('PAWL_CONTEXT.md').read():\n    " + EDIT.rstrip() + "\n"
        "else:\n    open('aim.py', 'a').write('# only a comment')\n"
    )
    proposal = proposed(tmp_path, script)
    assert proposal.edit is not None
    assert "AIM = 2.0" in proposal.edit.content


def test_an_edit_is_taken_from_an_agent_that_ends_badly(tmp_path: Path) -> None:
    proposal = proposed(tmp_path, EDIT + "sys.exit(1)\n")
    assert proposal.edit is not None
    assert proposal.notes == ("the agent ended with exit code 1",)


def test_time_is_kept_and_nothing_survives(tmp_path: Path) -> None:
    """A child that left the process group and holds the pipe used to be what everything waits for."""
    mark = f"pawl-test-{os.getpid()}-{time.monotonic_ns()}"
    sleeper = [sys.executable, "-c", "import time, sys; time.sleep(300)", mark]
    script = (
        f"for detached in (True, False):\n    subprocess.Popen({sleeper!r}, start_new_session=detached)\n"
        "os.fork() or os.fork() or time.sleep(0)\ntime.sleep(300)\n"
    )
    began = time.monotonic()
    proposal = proposed(tmp_path, script, time=2)
    assert time.monotonic() - began < 20
    assert "killed when its time was over" in proposal.reason
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not [line for line in running if mark.encode() in line]


def _readable(path: Path) -> bool:
    try:
        path.read_bytes()
    except OSError:
        return False
    return True


def test_what_an_agent_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    mark = f"pawl-test-{os.getpid()}-{time.monotonic_ns()}"
    sleeper = [sys.executable, "-c", "import time, sys; time.sleep(300)", mark]
    assert (
        proposed(tmp_path, EDIT + f"subprocess.Popen({sleeper!r}, start_new_session=True)\n").edit is not None
    )
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if _readable(path)]
    assert not [line for line in running if mark.encode() in line]


def test_endless_output_is_cut_and_its_end_is_kept(tmp_path: Path) -> None:
    proposal = proposed(tmp_path, EDIT + "sys.stdout.write('x' * 10**7)\nprint('\\n\\nthe end')\n")
    assert proposal.edit is not None
    assert proposal.edit.hypothesis == "the end"
    assert proposal.trace is not None
    assert len(proposal.trace.text()) < 200_000


def test_a_file_without_end_is_stopped(tmp_path: Path) -> None:
    script = (
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry:\n"
        "    with open('big', 'wb') as file:\n        file.seek(300 * 2**20)\n        file.write(b'x')\n"
        "except OSError:\n    print('stopped')\n" + EDIT
    )
    proposal = proposed(tmp_path, script)
    assert proposal.edit is not None
    assert proposal.edit.hypothesis == "stopped"


def test_a_key_that_is_printed_is_not_kept(tmp_path: Path) -> None:
    proposal = proposed(tmp_path, EDIT + "print('the key is', os.environ['MODEL_KEY'])\n")
    assert proposal.edit is not None
    assert proposal.trace is not None
    assert "key-of-the-agent" not in proposal.trace.text() + proposal.edit.hypothesis


def test_what_claude_and_codex_report_is_the_spend(tmp_path: Path) -> None:
    claude = {
        "type": "result", "result": "done", "num_turns": 4, "total_cost_usd": 0.25,
        "usage": {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 7},
        "modelUsage": {"claude-sonnet-4-5-20250929": {"costUSD": 0.25}},
    }  # fmt: skip
    spend = proposed(tmp_path, EDIT + f"print(json.dumps({claude!r}))\n").spend
    assert (spend.models, spend.requests, spend.money) == (("claude-sonnet-4-5-20250929",), 4, 0.25)
    assert (spend.tokens_in, spend.tokens_cached, spend.tokens_out) == (100, 90, 7)
    codex = {
        "type": "turn.completed",
        "usage": {"input_tokens": 50, "cached_input_tokens": 20, "output_tokens": 5},
    }
    spend = proposed(tmp_path, EDIT + f"print('working')\nprint(json.dumps({codex!r}))\n").spend
    assert (spend.requests, spend.tokens_in, spend.tokens_cached, spend.tokens_out, spend.money) == (
        1,
        50,
        20,
        5,
        None,
    )


@pytest.mark.parametrize(
    "odd", ['{"type": "result", "usage": 3, "total_cost_usd": "much"}', "[[[[", '{"modelUsage": 7}']
)
def test_odd_reports_are_no_report(tmp_path: Path, odd: str) -> None:
    proposal = proposed(tmp_path, EDIT + f"print({odd!r})\n")
    assert proposal.edit is not None
    assert proposal.spend.money is None


def test_another_model_than_the_pinned_one_stops_the_loop(tmp_path: Path) -> None:
    said = {"type": "result", "modelUsage": {"claude-other": {}}}
    proposal = proposed(tmp_path, EDIT + f"print(json.dumps({said!r}))\n", pin="claude-sonnet-4-5")
    assert proposal.edit is None
    assert "claude-other" in proposal.halt


def test_it_must_be_allowed_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(NoProposal, match="PAWL_ALLOW_COMMANDS=1"):
        proposed(tmp_path, EDIT, means=Means())
    shown = context(rules(proposer="command", command="no-such-agent-here"), library=Shelf())
    assert "no-such-agent-here cannot be started" in Command(ALLOWED).propose(shown).reason
