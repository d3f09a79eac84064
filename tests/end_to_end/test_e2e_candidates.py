"""Candidates of every kind, from a pushed branch to the end of their pull request."""

from __future__ import annotations

from pathlib import Path

from world_kit import AIM, NAME, git, run_pawl, world

from pawl.core.decision import Verdict
from pawl.core.ledger import Outcome

BETTER = AIM.replace("AIM = 1.0", "AIM = 2.0")
WORSE = AIM.replace("AIM = 1.0", "AIM = 0.5")
BROKEN = AIM.replace("import json, os, random", "import json, os, random, no_such_module")
HANGING = AIM + "while True: pass\n"
SAME = AIM + "# nothing new\n"
FAKE = WORSE + 'print("score: 99.0")\n'


def test_each_candidate_ends_as_it_deserves(tmp_path: Path) -> None:
    """A better one is merged; a worse, a broken, a hanging and an overreaching one are closed, each with its reason."""
    with world(tmp_path, experiments=6) as here:
        here.propose(1, {"aim.py": BETTER}, tmp_path)
        here.propose(2, {"aim.py": WORSE + "# much worse\n"}, tmp_path)
        here.propose(3, {"aim.py": BROKEN}, tmp_path)
        here.propose(4, {"aim.py": HANGING}, tmp_path)
        here.propose(5, {"aim.py": SAME, "evaluate.py": "print('{\"score\": 1e9}')\n"}, tmp_path)
        here.propose(6, {"aim.py": FAKE}, tmp_path)
        here.town.runner.start()
        here.town.start_app(NAME)
        here.wait(lambda: set(here.outcomes()) >= {1, 2, 3, 4, 5, 6}, 120)

        outcomes, verdicts = here.outcomes(), here.verdicts()
        assert outcomes[1].outcome is Outcome.MERGED
        assert verdicts[1].verdict is Verdict.KEEP
        assert verdicts[5].verdict is Verdict.VIOLATION
        assert "evaluate.py" in verdicts[5].reason
        assert {outcomes[number].outcome for number in (3, 4, 5, 6)} <= {Outcome.CLOSED, Outcome.SUPERSEDED}
        assert here.pull_of(1)["merged_at"] is not None
        for number in (2, 3, 4, 5, 6):
            pull = here.pull_of(number)
            assert pull["state"] == "closed"
            assert pull["merged_at"] is None
            assert len(here.comments(pull["number"])) == 1
        assert not here.hub.unknown_routes
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "--quiet", here.address(), str(clone))
        assert "AIM = 2.0" in (clone / "aim.py").read_text()
        done = run_pawl("verify", str(clone))
        assert done.returncode == 0, done.stderr
        for command in (
            ["ledger", str(clone)],
            ["ledger", str(clone), "--tsv"],
            ["explain", "1", "--repo", str(clone)],
        ):
            told = run_pawl(*command)
            assert told.returncode == 0, told.stderr
            assert told.stdout.strip()
