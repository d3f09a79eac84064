"""Whether a machine is fit: judged by tables, and looked at for real."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import pytest
from runner_kit import AS_ROOT, REPO, machine
from typer.testing import CliRunner

from pawl.cli import app
from pawl.commands.runner import Wish, up
from pawl.localhub import HubServer
from pawl.runner import facts
from pawl.runner.enclosure import User
from pawl.runner.errors import Unfit
from pawl.runner.fitness import EngineFacts, Facts, GpuFacts, judge

H100 = GpuFacts("NVIDIA H100", True, False, 0)
ENGINE = EngineFacts(rootless=True, gpus=True, members=True)
FIT = Facts(
    (H100,), "", ENGINE, 0.4, 10**12, True, "", "", "", "", "", "octo/aim", private=True, accepted=False
)


def test_a_fit_machine_has_nothing_to_mend() -> None:
    assert {finding.level for finding in judge(FIT)} == {"ok"}
    assert {finding.about for finding in judge(FIT)} == {
        "driver", "engine", "container toolkit", "time", "disk", "isolation", "repository",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "level", "said"),
    [
        ({"gpus": (), "missing_gpus": "--gpus names GPU 2"}, "problem", "GPU 2"),
        ({"gpus": (replace(H100, persistent=False),)}, "warning", "nvidia-smi -pm 1"),
        ({"gpus": (replace(H100, slowed=True),)}, "warning", "nvidia-smi -lgc"),
        ({"gpus": (replace(H100, shared=2),)}, "warning", "2 other processes"),
        ({"engine": EngineFacts("refused")}, "warning", "no Docker Engine answers (refused)"),
        ({"engine": replace(ENGINE, gpus=False)}, "problem", "container toolkit"),
        ({"engine": replace(ENGINE, members=False)}, "warning", "may not use the engine"),
        ({"engine": replace(ENGINE, rootless=False)}, "warning", "rootless engine is better"),
        ({"skew": None}, "problem", "does not answer"),
        ({"skew": -90.0}, "problem", "90 s behind GitHub's"),
        ({"free": 10**9}, "warning", "1 GB are free"),
        ({"root": False}, "problem", "must be root"),
        ({"walls": "unshare is missing"}, "problem", "unshare is missing"),
        ({"credential": "chmod 600 x"}, "problem", "chmod 600 x"),
        ({"readable": "pawl-job can read x"}, "problem", "pawl-job can read x"),
        ({"private": None}, "problem", "administration (write)"),
        ({"private": False}, "problem", "--accept-public"),
        ({"private": False, "accepted": True}, "warning", "is public"),
    ],
)
def test_what_is_not_as_it_must_be(changed: dict[str, object], level: str, said: str) -> None:
    bad = [finding for finding in judge(replace(FIT, **changed)) if finding.level != "ok"]  # type: ignore[arg-type]
    assert [finding.level for finding in bad] == [level]
    assert said in bad[0].message


def test_the_clock_is_compared_with_githubs_answer(hub_server: HubServer) -> None:
    now = datetime.now(UTC)
    assert abs(facts.skew(facts.date_of(hub_server.api_url), now.timestamp()) or 99) < 60
    assert facts.skew(format_datetime(now), now.timestamp() + 100) == pytest.approx(100, abs=1)
    assert facts.skew("", 0.0) is None


@AS_ROOT
def test_a_token_is_tried_as_the_users_who_must_not_read_it(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        nobody = User.named("nobody")
        assert "nobody can read" in facts.readable(box.secret, (nobody,))
        box.secret.chmod(0o600)
        assert facts.readable(box.secret, (nobody,)) == ""


@AS_ROOT
def test_a_program_that_others_can_change_is_refused(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        assert facts.program(box.program) == ""
        (box.program / "bin").chmod(0o777)
        assert "could be changed by others" in facts.program(box.program)
        assert "holds no runner program" in facts.program(box.home)


@AS_ROOT
def test_the_command_says_all_of_it_and_fails_where_something_is_a_problem(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        token = box.home / "token"
        token.write_text(hub_server.hub.create_user("octo"))
        token.chmod(0o600)
        words = ["runner", "check", "--repo", REPO, "--api", hub_server.api_url, "--token-file", str(token),
                 "--program", str(box.program), "--state", str(box.home / "state"), "--runner-user", "daemon",
                 "--job-user", "nobody"]  # fmt: skip
        done = CliRunner().invoke(app, words)
        assert "problem" not in done.output, done.output
        assert done.exit_code == 0
        token.chmod(0o644)
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 1
        assert "problem  isolation" in done.output
        assert "nobody can read" in done.output or "daemon can read" in done.output


@AS_ROOT
def test_a_public_repository_is_refused_before_anything_is_registered(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        hub_server.hub.create_repository("octo/open", private=False)
        token = box.home / "token"
        token.write_text(hub_server.hub.create_user("octo"))
        token.chmod(0o600)
        wish = Wish("octo/open", token_file=token, api=hub_server.api_url)
        with pytest.raises(Unfit, match="--accept-public"):
            up(wish, {})
        with pytest.raises(Unfit, match="list like 0,1"):
            up(replace(wish, repository=REPO, gpus="all"), {})
        with pytest.raises(Unfit, match="OWNER/NAME"):
            up(replace(wish, repository="octo"), {})
        assert box.runners() == []


def test_a_missing_token_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="Put the token there"):
        up(Wish("octo/aim", token_file=tmp_path / "none"), os.environ)


def test_a_runners_commands_need_nothing_of_a_servers() -> None:
    """The image of a runner has none of it; a settings module that asked for SQLAlchemy kept it from starting."""
    servers = ("alembic", "flask", "granian", "prometheus_client", "sqlalchemy", "structlog", "waitress")
    code = f"import sys; sys.modules.update(dict.fromkeys({servers!r})); import pawl.commands.runner"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
