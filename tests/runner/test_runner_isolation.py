"""What a job tries to take from the supervisor, from its runner and from its neighbours, as an unprivileged user."""

from __future__ import annotations

import os

import pytest
from runner_kit import AS_ROOT, TWO_GPUS, Machine, machine

from pawl.localhub import HubServer
from pawl.runner.credential import problem, read_token
from pawl.runner.enclosure import JIT_VARIABLE, Grounds, User
from pawl.runner.errors import Unfit
from pawl.runner.slots import slots_for

pytestmark = AS_ROOT

TRIES = {
    "another user than the runner and the supervisor": ("id -un", "nobody"),
    "the supervisor's credential": ("cat {secret}; wc -c < {secret}", "0"),
    "its key, its environment, its memory": (
        "cat ../.credentials_rsaparams || echo no; "
        "for p in /proc/[0-9]*; do [ -O $p ] || tr '\\0' '\\n' < $p/environ || echo no; done; "
        "head -c 1 /proc/1/mem || echo no",
        "no",
    ),
    "what it was handed": ("env", "PAWL_PYTHON"),
    "processes of the machine": ("cat /proc/[0-9]*/cmdline | tr '\\0' ' '; ls -d /proc/{supervisor}", "No such"),
    "the program, for the jobs to come": ("echo evil >> ../bin/listener.py || echo no; mv ../bin ../b || echo no", "no"),
    "the original of the program": ("echo evil >> {program}/run.sh || echo no; ls -ld {program}", "no"),
    "ending its runner": ("kill -9 1 || echo no; pkill -9 -u daemon || echo no", "no"),
    "powers": ("grep -E 'CapEff|CapPrm|CapInh|CapAmb' /proc/self/status; grep NoNewPrivs /proc/self/status", "1"),
    "another user": ("setpriv --reuid 0 id -un || echo no; setpriv --reuid daemon id || echo no", "no"),
}  # fmt: skip


@pytest.mark.parametrize("what", TRIES)
def test_a_job_does_not_get(hub_server: HubServer, what: str) -> None:
    script, expected = TRIES[what]
    with machine(hub_server) as box:
        box.start()
        said = box.ran(script.format(secret=box.secret, supervisor=os.getpid(), program=box.program))
        assert expected in said
        for loot in ("the supervisor's token", JIT_VARIABLE, key_of(box)):
            assert loot not in said
        if what == "powers":
            assert [line.split()[1] for line in said.splitlines() if line.startswith("Cap")] == ["0" * 16] * 4
            assert "NoNewPrivs:\t1" in said
        if what == "another user":
            assert "root" not in said
            assert "uid=" not in said
        assert "evil" not in (box.program / "bin/listener.py").read_text()
        assert "evil" not in (box.program / "run.sh").read_text()


def key_of(box: Machine) -> str:
    """Keys of runners begin alike in the file and in what the program is handed: by their JSON."""
    return '"key"'


def test_a_job_does_not_see_its_neighbours(hub_server: HubServer) -> None:
    with machine(hub_server, slots_for("box", TWO_GPUS, None)) as box:
        box.start()
        places = " ".join(f"{box.home}/state/slots/{name[9]}/{name}" for name in box.online())
        said = box.ran(f"for place in {places}; do ls -d $place/run.sh && echo seen; done")
        assert said.count("seen") == 1, said
        assert "Permission denied" in said


def test_the_walls_hold_without_the_covered_paths(hub_server: HubServer) -> None:
    """A credential file that is private is unreadable by its mode alone."""
    with machine(hub_server) as box:
        private = box.home / "private"
        private.write_text("the supervisor's token\n")
        private.chmod(0o600)
        box.start()
        assert "Permission denied" in box.ran(f"cat {private}")


def test_a_token_that_others_can_read_is_refused(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        file = box.home / "token"
        file.write_text("ghp_x\n")
        file.chmod(0o640)
        with pytest.raises(Unfit, match=f"chmod 600 {file}"):
            read_token(file)
        file.chmod(0o600)
        assert read_token(file) == "ghp_x"
        os.chown(file, 1, 1)
        assert "another user" in problem(file)
        file.write_text("two words")
        os.chown(file, 0, 0)
        with pytest.raises(Unfit, match="no token"):
            read_token(file)
        with pytest.raises(Unfit, match="cannot be read"):
            read_token(file / "missing")


def test_users_that_are_no_wall_are_refused(hub_server: HubServer) -> None:
    with pytest.raises(Unfit, match="without rights"):
        User.named("root")
    with pytest.raises(Unfit, match="useradd"):
        User.named("nobody-of-that-name")
    with machine(hub_server) as box:
        one = User.named("daemon")
        with pytest.raises(Unfit, match="two users"):
            Grounds(box.program, box.home / "state", one, one).prepare([0])
