"""A candidate tries to outlive its run, to outgrow its limits, or to drown the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab_kit import bench, code
from pawl.core.measurement import RunStatus
from pawl.lab import process
from pawl.lab.process import can_isolate


@pytest.fixture(params=["namespaces", "plain"])
def isolation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With namespaces, and as on a machine that does not let Pawl make any."""
    if request.param == "plain":
        monkeypatch.setattr(process, "can_isolate", lambda: False)
    elif not can_isolate():
        pytest.skip("this user may not make namespaces here")
    return request.param


def alive(mark: str) -> list[str]:
    """Processes with this word in their command line."""
    found = []
    for pid in Path("/proc").iterdir():
        if pid.name.isdigit():
            try:
                line = (pid / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if mark in line and int(pid.name) != os.getpid():
                found.append(line)
    return found


DAEMON = code(
    """
    import os, subprocess, sys
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execvp("sleep", ["sleep", MARK])
        os._exit(0)
    os.wait()
    subprocess.Popen(["setsid", "nohup", "sh", "-c", f"trap '' TERM HUP; sleep {MARK} & sleep {MARK}"])
    """
)


def test_daemons_are_dead_before_the_next_run(tmp_path: Path, isolation: str) -> None:
    """Double forks, new sessions and ignored signals: the second run looks for what the first one started."""
    mark = f"6{os.getpid()}.5"
    run = bench(tmp_path, f"MARK = '{mark}'\n{DAEMON}\nprint('score: 1')").only_run()
    assert run.status is RunStatus.OK
    assert run.seconds < 5
    assert alive(mark) == []


def test_a_daemon_does_not_survive_the_timeout_either(tmp_path: Path, isolation: str) -> None:
    mark = f"7{os.getpid()}.5"
    train = f"MARK = '{mark}'\n{DAEMON}\nimport signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)"
    run = bench(tmp_path, train, budget="0.3s", grace="0.2s").only_run()
    assert run.status is RunStatus.TIMEOUT
    assert 0.5 <= run.seconds < 1.5
    assert "0.5s" in run.reason
    assert alive(mark) == []


def test_killing_its_own_keeper_frees_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without namespaces a run can kill the keeper above it. Its orphans then fall to the measuring process."""
    monkeypatch.setattr(process, "can_isolate", lambda: False)
    mark = f"8{os.getpid()}.5"
    train = f"MARK = '{mark}'\n{DAEMON}\nimport os, time\ntime.sleep(0.3)\n" + code(
        """
        parent = os.getppid()
        while "keeper" not in open(f"/proc/{parent}/cmdline").read():
            parent = int(open(f"/proc/{parent}/stat").read().rsplit(")", 1)[1].split()[1])
        os.kill(parent, 9)
        time.sleep(60)
        """
    )
    run = bench(tmp_path, train, budget="5s", grace="1s").only_run()
    assert run.status is not RunStatus.OK
    assert alive(mark) == []


def test_memory_is_limited_over_all_processes(tmp_path: Path, isolation: str) -> None:
    train = code(
        """
        import os, time
        for _ in range(3):
            os.fork()
        block = bytearray(os.urandom(1)) * 40_000_000
        time.sleep(60)
        """
    )
    loop = bench(tmp_path, train)
    loop.rules["run"]["memory"] = "200MB"
    run = loop.only_run()
    assert run.status is RunStatus.MEMORY
    assert "200 MB" in run.reason
    assert run.guards["peak_memory_mb"] > 200
    assert run.seconds < 10


def test_peak_memory_is_measured_by_the_host(tmp_path: Path) -> None:
    run = bench(
        tmp_path, "block = b'1' * 120_000_000\ndel block\nprint('score: 1')\nprint('peak_memory_mb: 1')"
    ).only_run()
    assert 120 < run.guards["peak_memory_mb"] < 180


def test_a_flood_of_output_fills_neither_memory_nor_disk(tmp_path: Path) -> None:
    train = code(
        """
        import os
        os.write(1, b"the first line\\n")
        for _ in range(4000):
            os.write(1, b"x" * 65536)
        os.write(1, b"\\nscore: 3\\n")
        """
    )
    run = bench(tmp_path, train).only_run()
    assert run.metric == {"select": 3.0}
    assert len(run.log) <= 4000


def test_a_core_is_all_it_gets(tmp_path: Path) -> None:
    train = code(
        """
        import os
        print("may use", len(os.sched_getaffinity(0)))
        try:
            os.sched_setaffinity(0, range(os.cpu_count()))
        except PermissionError:
            print("refused")
        print("score: 1")
        """
    )
    run = bench(tmp_path, train).only_run()
    assert "may use 1\nrefused" in run.log


def test_root_is_only_a_name(tmp_path: Path) -> None:
    """Even where the measuring process is root, a run has no capability and cannot gain one."""
    show = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith(('CapEff', 'NoNewPrivs'))])"
    train = f"{show}\nprint('score: 1')"
    run = bench(tmp_path, train).only_run()
    assert "['0000000000000000', '1']" in run.log


def test_a_maze_of_folders_is_removed(tmp_path: Path) -> None:
    """1,200 nested folders are deeper than Python's own rmtree can follow; unreadable ones stop it too."""
    train = code(
        """
        import os
        os.mkdir("closed")
        os.chmod("closed", 0)
        for _ in range(1200):
            os.mkdir("d")
            os.chdir("d")
        print("score: 1")
        """
    )
    loop = bench(tmp_path, train)
    assert loop.only_run().status is RunStatus.OK
    assert [*(tmp_path / "cache" / "work").iterdir(), *(tmp_path / "cache" / "runs").iterdir()] == []
