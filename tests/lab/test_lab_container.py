"""The docker sandbox: what a container sees, what it may take, and that nothing of it is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab_kit import Bench, bench, code, commit, evaluated
from pawl.core.measurement import Record, RunStatus, Stage
from pawl.lab import measure
from pawl.lab.container import LABEL
from pawl.lab.watching import _engine_seconds

pytestmark = pytest.mark.docker


@pytest.fixture
def engine(docker_image: str) -> Iterator[Any]:
    import docker

    client = docker.from_env(timeout=60)
    yield client
    client.close()


@pytest.fixture
def rules(docker_image: str) -> dict[str, Any]:
    return {"run": {"command": "python3 train.py", "image": docker_image, "memory": "300MB"}}


def contained(top: Path, rules: dict[str, Any], train: str, evaluate: str = "") -> Bench:
    """A loop in a container; with an evaluator if there is a script for one."""
    if not evaluate:
        return bench(top, train, **rules)
    command = {"command": "python3 evaluate.py", "private": ["lab/holdout/"]}
    return evaluated(top, train, evaluate, evaluate=command, **rules)


def left(engine: Any) -> list[str]:
    return [
        container.name
        for container in engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    ]


def test_a_run_sees_its_tree_and_may_do_little(tmp_path: Path, rules: dict[str, Any], engine: Any) -> None:
    train = code(
        """
        import os, pathlib, socket, time
        status = dict(line.split(":\\t") for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
        print("powers", status["CapEff"], status["NoNewPrivs"], os.getuid())
        print("tree", sorted(os.listdir(".")), sorted(os.listdir("..")), os.getcwd())
        for place in ("/", "/etc", "/usr/lib", "/pawl"):
            try:
                pathlib.Path(place, "left").write_text("x")
                print("wrote", place)
            except OSError:
                pass
        for place in (".", pathlib.Path.home(), os.environ["TMPDIR"], "/dev/shm"):
            pathlib.Path(place, "own").write_text("x")
        print("interfaces", [name for _, name in socket.if_nameindex()])
        print("cores", len(os.sched_getaffinity(0)))
        print(*(f"{k}={v}" for k, v in sorted(os.environ.items()) if "PAWL" in k))
        time.sleep(0.3)  # long enough to be looked at
        print("score: 1.5")
        """
    )
    run = contained(tmp_path, rules, train).only_run()
    assert (run.status, run.metric) == (RunStatus.OK, {"select": 1.5}), run.log
    assert "powers 0000000000000000 1 65534" in run.log
    assert "tree ['program.md', 'train.py'] ['lab'] /workspace/lab" in run.log
    assert "wrote" not in run.log
    assert "interfaces ['lo']" in run.log
    assert "cores 1" in run.log
    assert "PAWL_BUDGET=10 PAWL_SEED=7 PAWL_SPLIT=select" in run.log
    assert 0 < run.seconds < 10
    assert run.guards["peak_memory_mb"] > 0
    assert left(engine) == []


def test_the_evaluator_is_another_container_with_what_is_private(
    tmp_path: Path, rules: dict[str, Any]
) -> None:
    train = code(
        """
        import json, os, sys
        if sys.argv[1:]:
            question = json.load(open(os.environ["PAWL_INPUTS"] + "/q.json"))
            print("predicting", os.environ["PAWL_SPLIT"], sorted(os.listdir(".")))
            json.dump({"score": question["x"] + json.load(open("model.json"))}, open("out.json", "w"))
        else:
            json.dump(3, open("model.json", "w"))
            open("train.py", "w").write("raise SystemExit('changed')")
        """
    )
    evaluate = code(
        """
        import json, os
        questions = os.environ["PAWL_INPUTS"] + "/q.json"
        answers = float(open("holdout/answers.txt").read())
        if os.environ["PAWL_PHASE"] == "ask":
            json.dump({"x": {"select": 1, "seal": 2}[os.environ["PAWL_SPLIT"]]}, open(questions, "w"))
        else:
            assert "model.json" in open(os.environ["PAWL_SOURCE"]).read()
            assert "base" in open("train.py").read()
            print(json.dumps({"score": json.load(open(os.environ["PAWL_ARTIFACT"]))["score"] + answers}))
        """
    )
    loop = contained(tmp_path, rules, "print('base')", evaluate)
    loop.rules["predict"] = {"command": "python3 train.py --predict", "carry": ["model.json"]}
    record = loop.measure(train, start=Stage.SEAL).record
    assert record.runs[0].metric == {"select": 46.0, "seal": 47.0}, (
        record.runs[0].reason,
        record.runs[0].log,
    )
    assert "predicting seal ['model.json', 'program.md', 'train.py']" in record.runs[0].log


def test_memory_is_limited(tmp_path: Path, rules: dict[str, Any], engine: Any) -> None:
    run = contained(tmp_path, rules, "block = bytearray(b'1') * 900_000_000").only_run()
    assert run.status is RunStatus.MEMORY
    assert left(engine) == []


def test_a_child_that_was_killed_for_memory_is_not_the_run(tmp_path: Path, rules: dict[str, Any]) -> None:
    """The engine says OOMKilled as soon as any process died of it, even when the job itself ended well."""
    train = code(
        """
        import subprocess, sys
        done = subprocess.run([sys.executable, "-c", "block = bytearray(b'1') * 900_000_000"])
        print("child", done.returncode)
        print("score: 2")
        """
    )
    run = contained(tmp_path, rules, train).only_run()
    assert (run.status, run.metric) == (RunStatus.OK, {"select": 2.0})
    assert "killed for want of memory" in run.log


def test_a_hanging_run_is_killed(tmp_path: Path, rules: dict[str, Any], engine: Any) -> None:
    train = "import os, signal, time\nsignal.signal(15, signal.SIG_IGN)\nos.fork()\ntime.sleep(60)"
    run = contained(tmp_path, rules | {"budget": "0.5s", "grace": "0.5s"}, train).only_run()
    assert run.status is RunStatus.TIMEOUT
    assert 0.9 <= run.seconds < 15
    assert left(engine) == []


def test_a_crash_says_why(tmp_path: Path, rules: dict[str, Any]) -> None:
    run = contained(tmp_path, rules, "raise ValueError('shapes differ')").only_run()
    assert run.status is RunStatus.CRASH
    assert "exit code 1: ValueError: shapes differ" in run.reason


def test_daemons_die_with_their_container(tmp_path: Path, rules: dict[str, Any], engine: Any) -> None:
    train = "import os\nif os.fork() == 0:\n    os.setsid()\n    os.execvp('sleep', ['sleep', '600'])\nprint('score: 1')"
    run = contained(tmp_path, rules, train).only_run()
    assert run.status is RunStatus.OK
    assert run.seconds < 20
    assert left(engine) == []


def test_a_flood_of_output_is_bounded(tmp_path: Path, rules: dict[str, Any]) -> None:
    train = "import os\nfor _ in range(1500):\n    os.write(1, b'x' * 65536)\nos.write(1, b'\\nscore: 3\\n')"
    run = contained(tmp_path, rules, train).only_run()
    assert run.metric == {"select": 3.0}
    assert len(run.log) <= 4000


def test_setup_and_data_are_shown_read_only(tmp_path: Path, rules: dict[str, Any]) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "tokens").write_text("5")
    corpus.chmod(0o755)
    train = code(
        """
        import os, ready
        for place in ("/data", os.environ["PAWL_SETUP"], os.path.dirname(ready.__file__)):
            try:
                open(place + "/left", "w")
                print("wrote", place)
            except OSError:
                pass
        print("linked", os.path.exists(os.environ["PAWL_SETUP"] + "/site-packages/ready.py"))
        print("score:", float(open("/data/tokens").read()) + float(open(os.environ["PAWL_SETUP"] + "/one").read()))
        """
    )
    setup = "echo 1 > $PAWL_SETUP/one && touch $PIP_TARGET/ready.py"
    run = contained(tmp_path, rules | {"setup": setup, "data": {str(corpus): "/data"}}, train).only_run()
    assert run.metric == {"select": 6.0}, (run.reason, run.log)
    assert "wrote" not in run.log
    assert "linked True" in run.log


def test_an_image_is_built_from_the_base_once(
    tmp_path: Path, rules: dict[str, Any], engine: Any, docker_image: str
) -> None:
    files = {"docker/run.Dockerfile": f"FROM {docker_image}\nCOPY lab /copied\nENV WORD=built\n"}
    train = code(
        """
        import os
        print("copied", sorted(os.listdir("/copied")), os.environ["WORD"])
        open("out.json", "w").write("{}")
        """
    )
    evaluate = {"command": "python3 evaluate.py", "private": ["lab/holdout/"]}
    rules["run"]["image"] = "docker/run.Dockerfile"
    answer = "print('{\"score\": 1}')"
    loop = evaluated(tmp_path, train, answer, evaluate=evaluate, files=files, **rules)
    record = loop.measure().record
    assert not record.refused, record.refused
    try:
        assert "copied ['program.md'] built" in record.runs[0].log, (
            "neither the evaluator nor the candidate is in the image"
        )
        loop.base = commit(loop.repo, {"lab/train.py": train + "\n# kept\n"})
        again = measure(loop.request(), loop.options(out=tmp_path / "again")).record
        assert again.environment.image == record.environment.image
    finally:
        engine.images.remove(record.environment.image, force=True)


def test_an_image_nobody_has_is_a_refusal(tmp_path: Path, rules: dict[str, Any]) -> None:
    rules["run"]["image"] = "127.0.0.1:1/nobody/has:this"
    record = contained(tmp_path, rules, "").measure().record
    assert "127.0.0.1:1/nobody/has:this cannot be had" in record.refused


def test_containers_of_a_dead_job_are_removed_by_the_next(
    tmp_path: Path, rules: dict[str, Any], engine: Any
) -> None:
    train = "import os, time\nif os.environ['PAWL_SEED'] == '8':\n    time.sleep(600)\nprint('score: 1')"
    loop = contained(tmp_path, rules | {"budget": "100s"}, train)
    (tmp_path / "request.json").write_text(loop.request(runs_wanted=2).model_dump_json())
    script = code(
        f"""
        import pathlib, sys
        from pawl.lab import Options, measure, read_request
        top = pathlib.Path({str(tmp_path)!r})
        say = lambda sentence: print(sentence, flush=True)
        measure(read_request(top / "request.json"), Options(top / "out", top / "repo", cache=top / "cache", progress=say))
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Run 2"):
                break
        while not left(engine):
            pass
        process.kill()
    assert left(engine)
    other = contained(tmp_path / "other", rules, "print('score: 1')")
    assert other.only_run().status is RunStatus.OK
    assert left(engine) == []
    record = Record.model_validate_json((tmp_path / "out" / "record.json").read_bytes())
    assert [run.status for run in record.runs] == [RunStatus.OK, RunStatus.STARTED]


def test_a_container_that_ends_at_once_took_no_negative_time() -> None:
    """The engine's two stamps crossed by a millisecond once, and the record refused the run that they belonged to."""
    state = {"StartedAt": "2026-11-22T23:08:13.123456789Z", "FinishedAt": "2026-11-22T23:08:13.122304Z"}
    assert _engine_seconds(state, 0.4) == 0.0
    assert _engine_seconds({**state, "FinishedAt": "2026-11-22T23:08:14.123456Z"}, 1.3) == 1.0
