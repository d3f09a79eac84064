"""Runners as they come and go, with the hub for GitHub and a stand-in for its program."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from runner_kit import AS_ROOT, TWO_GPUS, machine

from pawl.github.runners import listed, register
from pawl.localhub import HubServer
from pawl.runner.errors import Unfit
from pawl.runner.slots import slots_for

pytestmark = AS_ROOT


def test_it_takes_one_job_after_another_each_with_a_runner_of_its_own(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        box.start()
        first = box.ran('echo one; touch "$HOME/left" left "$TMPDIR/left"; ls "$HOME" . "$TMPDIR"')
        second = box.ran('ls "$HOME" . "$TMPDIR"')
        assert "one" in first
        assert first.count("left") == 3
        assert "left" not in second
        box.supervisor.ask_to_end()
        box.end()
        assert box.error == ""
        assert box.runners() == []
        names = {line.split()[0] for line in box.said if "waits for a job" in line}
        assert {"pawl-box-0-00000001", "pawl-box-0-00000002"} <= names
        assert sum("has ended its job" in line for line in box.said) == 2


def test_a_signal_lets_the_job_end_and_a_second_one_ends_it(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        box.start()
        fifo = box.home / "fifo"
        os.mkfifo(fifo)
        fifo.chmod(0o666)
        run = box.dispatch(f"cat {fifo}")
        box.wait(lambda: [job for job in hub_server.hub.store.all("job") if job["status"] == "in_progress"])
        box.supervisor.ask_to_end()
        with fifo.open("w") as job:
            job.write("done\n")
        box.end()
        assert box.error == ""
        assert box.job(run)["conclusion"] == "success"
        assert "done" in box.log(run)
        assert box.runners() == []

        box.supervisor = box.made()
        box.start()
        run = box.dispatch(f"cat {fifo}")
        with fifo.open("w"):
            box.supervisor.ask_to_end()
            box.supervisor.ask_to_end()
            box.end()
        assert box.job(run)["status"] == "in_progress"  # GitHub notices by itself
        assert list(box.grounds.slot(0).iterdir()) == [box.grounds.slot(0) / "pawl-runner.log"]


def test_each_gpu_has_a_runner_that_sees_it_alone(hub_server: HubServer) -> None:
    with machine(hub_server, slots_for("box", TWO_GPUS, None)) as box:
        box.start()
        box.online()
        labels = {label["name"] for item in box.runners() for label in item["labels"]}
        assert labels == {"self-hosted", "pawl", "gpu", "pawl-h100"}
        said = box.ran("echo gpu=$CUDA_VISIBLE_DEVICES")
        assert ("gpu=GPU-a" in said) != ("gpu=GPU-b" in said)


def test_what_an_earlier_start_left_registered_is_removed_and_nothing_else(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        for name in ("pawl-box-0-ffffffff", "pawl-box-01-ffffffff", "pawl-other-0-ffffffff"):
            register(box.client, name, ("pawl",))
        box.start()
        box.online()
        left = {known.name for known in listed(box.client) if not known.online}
        assert left == {"pawl-box-01-ffffffff", "pawl-other-0-ffffffff"}


def test_a_program_that_is_refused_ends_in_an_error_that_quotes_it(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        (box.program / "refuse").touch()
        box.start()
        box.end()
        assert box.error is not None
        assert "3 times in a row" in box.error
        assert "status 1" in box.error
        assert "the runner's version is too old" in box.error
        assert box.runners() == []
        (comment,) = box.client.get("issues/1/comments")
        assert "the runner's version is too old" in comment["body"]


def test_github_being_away_is_waited_out(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        hub_server.hub.faults.fail_before("POST", "generate-jitconfig", times=2)
        box.start()
        assert "well" in box.ran("echo well")
        assert any("502" in line for line in box.said)


def test_health_is_told_in_the_tracking_issue_in_one_comment(hub_server: HubServer) -> None:
    with machine(hub_server) as box:
        box.client.post("labels", {"name": "pawl:tracking", "color": "5319e7"})
        box.client.post("issues", {"title": "Pawl: train", "labels": ["pawl:tracking"]})
        box.start()
        box.online()
        box.ran("true")
        box.supervisor.ask_to_end()
        box.end()
        (comment,) = box.client.get("issues/1/comments")
        assert comment["body"].startswith("<!-- pawl-runner box -->\n")
        assert "has ended" in comment["body"]
        assert "| 1 | well |" in comment["body"]


def test_runners_do_not_outlive_a_supervisor_that_is_killed(hub_server: HubServer, tmp_path: Path) -> None:
    with machine(hub_server) as box:
        script = tmp_path / "supervisor.py"
        script.write_text(
            "import sys, time\n"
            f"sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}\n"
            "from runner_kit import *\n"
            f"client = Token({hub_server.hub.create_user('octo')!r}, api={hub_server.api_url!r}).repository(REPO)\n"
            "from pathlib import Path\n"
            f"grounds = Grounds(Path({str(box.program)!r}), Path({str(box.home / 'state')!r}), "
            "User.named('daemon'), User.named('nobody'))\n"
            "grounds.prepare([0])\n"
            "means = Means(client, grounds, time.time, Counted(), lambda line: None, QUICK)\n"
            "Supervisor('box', slots_for('box', (), None), means).run()\n"
        )
        process = subprocess.Popen([sys.executable, str(script)])
        box.online()
        inside = box.grounds.slot(0)
        assert living(inside)
        process.send_signal(signal.SIGKILL)
        process.wait()
        ends = [os.pidfd_open(pid) for pid in living(inside)]
        for end in ends:
            assert select.select([end], [], [], 20)[0]
            os.close(end)
        assert not living(inside)


def living(folder: Path) -> list[int]:
    """Processes whose arguments name a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.fsencode(folder) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("missing", ["run.sh", "bin/Runner.Worker"])
def test_a_folder_that_holds_no_program_is_said_to_be_none(hub_server: HubServer, missing: str) -> None:
    with machine(hub_server) as box:
        (box.program / missing).unlink()
        with pytest.raises(Unfit, match=f"{missing} is missing"):
            box.grounds.prepare([0])
