"""Loops over a harness: blocks of tasks, a model behind one socket, trajectories of practice tasks alone."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lab_kit import PYTHON, Bench, code, evaluated
from pawl.core.measurement import Arm, Procedure, RunStatus, Stage
from pawl.lab.readings import evaluator_answer

# Asks the model to answer every task, and writes down what it did.
AGENT = code(
    """
    import http.client, json, os, pathlib, socket

    class Model(http.client.HTTPConnection):
        def connect(self):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(os.environ["PAWL_MODEL_SOCKET"])

    def ask(question, path="/v1/chat/completions"):
        model = Model("model")
        body = json.dumps({"model": "any", "messages": [{"role": "user", "content": PROMPT + question}]})
        model.request("POST", path, body, {"Content-Type": "application/json"})
        answer = model.getresponse()
        told = json.loads(answer.read())
        return told["choices"][0]["message"]["content"] if answer.status == 200 else str(answer.status)

    PROMPT = "say "
    answers = {}
    os.mkdir("trajectories")
    for task in sorted(pathlib.Path(os.environ["PAWL_INPUTS"]).iterdir()):
        answers[task.name] = ask(task.read_text())
        trace = {"schema_version": "ATIF-v1.8", "agent": {"name": "a", "version": "1"}, "steps": []}
        pathlib.Path("trajectories", task.name + ".json").write_text(json.dumps(trace | {"answer": answers[task.name]}))
    pathlib.Path("out.json").write_text(json.dumps(answers))
    print("split", os.environ["PAWL_SPLIT"])
    """
)

# Repeats what comes after "say", in capitals when asked to shout.
MODEL = code(
    """
    import http.server, json, os, socketserver

    class Server(socketserver.UnixStreamServer):
        pass

    class Answer(http.server.BaseHTTPRequestHandler):
        def address_string(self):
            return "run"
        def log_message(self, *arguments):
            pass
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
            text = asked.removeprefix("say ") if asked.startswith("say ") else asked.removeprefix("shout ").upper()
            body = json.dumps({
                "model": "parrot-1", "usage": {"prompt_tokens": 3, "completion_tokens": 2},
                "choices": [{"message": {"role": "assistant", "content": text}}],
            }).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    Server(os.environ["PAWL_MODEL_SOCKET"], Answer).serve_forever()
    """
)

# Wants every word in capitals; ids are opaque, and drawn by the seed.
JUDGE = code(
    """
    import json, os, pathlib, random

    draw = random.Random(os.environ["PAWL_SEED"])
    split = os.environ["PAWL_SPLIT"]
    block = {f"{draw.getrandbits(64):016x}": f"{split}-{number}" for number in range(4)}
    inputs = pathlib.Path(os.environ["PAWL_INPUTS"])
    if os.environ["PAWL_PHASE"] == "ask":
        for opaque, name in block.items():
            (inputs / opaque).write_text("WORD" if name.endswith("0") else "word")
    else:
        assert sorted(path.name for path in inputs.iterdir()) == sorted(block)
        found = json.load(open(os.environ["PAWL_ARTIFACT"]))
        scores = {name: float(found.get(opaque) == "WORD") for opaque, name in block.items()}
        print(json.dumps({"score": sum(scores.values()) / len(scores), "tasks": scores, "ids": block}))
    """
)


def harness(top: Path, model: dict[str, Any] | None = None, agent: str = AGENT, judge: str = JUDGE) -> Bench:
    named = {"command": f"{PYTHON} holdout/model.py"} if model is None else model
    return evaluated(
        top,
        agent,
        judge,
        files={"lab/holdout/model.py": MODEL},
        tasks={"trajectories": "trajectories", "model": named},
    )


SHOUTS = AGENT.replace('PROMPT = "say "', 'PROMPT = "shout "')


def test_a_block_is_scored_task_by_task(tmp_path: Path) -> None:
    run = harness(tmp_path).only_run()
    assert (run.status, run.reason) == (RunStatus.OK, "")
    assert run.metric == {"select": 0.25}
    assert run.tasks == {"select-0": 1.0, "select-1": 0.0, "select-2": 0.0, "select-3": 0.0}
    assert run.models == ("parrot-1",)
    assert run.telemetry["model_requests"] == 4
    assert (run.telemetry["model_tokens_in"], run.telemetry["model_tokens_out"]) == (12, 8)
    assert run.log.strip() == "split select"


def test_practice_tasks_alone_leave_their_trajectories(tmp_path: Path) -> None:
    given = harness(tmp_path)
    procedure = Procedure(task_pairs=1, task_seal_pairs=1, task_alpha=0.5, max_baseline_failures=1)
    record = given.measure(SHOUTS, procedure=procedure).record
    assert {run.stage for run in record.runs} == {Stage.SCREEN, Stage.CONFIRM, Stage.SEAL}
    assert all(run.log.strip() == "split select" for run in record.runs), "no run is told what it counts for"
    for run in record.runs:
        split = {Stage.SCREEN: "practice", Stage.SEAL: "seal"}.get(run.stage, "select")
        assert set(run.metric) == {split}
        assert {name.split("-")[0] for name in run.tasks} == {split}
        assert run.metric[split] == (1.0 if run.arm is Arm.CANDIDATE else 0.25)
    handed = json.loads((given.out / "trajectories.json").read_text())
    assert set(handed) == {f"{arm}/practice-{number}" for arm in Arm for number in range(4)}
    assert json.loads(handed["candidate/practice-1"])["answer"] == "WORD"
    assert json.loads(handed["baseline/practice-1"])["answer"] == "word"


def test_a_calibration_leaves_no_trajectories(tmp_path: Path) -> None:
    given = harness(tmp_path)
    given.only_run()
    assert not (given.out / "trajectories.json").exists()


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("pathlib.Path('trajectories', name).symlink_to('/etc/passwd')", 3),
        ("pathlib.Path('trajectories', name).mkdir()", 3),
        ("pathlib.Path('trajectories', name).write_text('no json')", 3),
        ("pathlib.Path('trajectories', name).write_text('[]')", 3),
        ("pathlib.Path('trajectories', name).write_bytes(b'{}' + b' ' * 2**20)", 3),
        ("os.mkfifo('trajectories/' + name)", 3),
        ("shutil.rmtree('trajectories'); os.symlink('/etc', 'trajectories')", 0),
    ],
)
def test_what_is_no_trajectory_is_left_where_it_is(tmp_path: Path, change: str, left: int) -> None:
    more = (
        "import shutil\n"
        "name = sorted(os.listdir('trajectories'))[0]\n"
        "os.unlink('trajectories/' + name)\n" + change + "\n"
    )
    given = harness(tmp_path, agent=AGENT + more)
    candidate = SHOUTS + "\n" + more
    record = given.measure(candidate, procedure=Procedure(task_screen_z=9.0)).record
    assert [run.status for run in record.runs] == [RunStatus.OK, RunStatus.OK]
    path = given.out / "trajectories.json"
    handed = json.loads(path.read_text()) if path.exists() else {}
    assert len([key for key in handed if key.startswith("candidate/")]) == left


@pytest.mark.parametrize("path", ["/v1/../admin", "/admin/delete", "/v1/chat/completions?x=1", "//v1/models"])
def test_the_socket_leads_to_answers_and_to_nothing_else(tmp_path: Path, path: str) -> None:
    run = harness(tmp_path, agent=AGENT.replace('path="/v1/chat/completions"', f"path={path!r}")).only_run()
    assert run.status is RunStatus.OK
    assert run.models == ()
    assert run.metric == {"select": 0.0}


def test_the_agent_cannot_go_past_the_notes(tmp_path: Path) -> None:
    """The model's own socket, without anybody taking notes, is hidden from the run."""
    looks = "import glob\nprint('sockets', sum(len(glob.glob(f)) for f in ['/tmp/pawl-model-*/s']))\n"
    run = harness(tmp_path, agent=AGENT + looks).only_run()
    assert run.status is RunStatus.OK
    if os.geteuid() == 0:
        assert "sockets 1" in run.log


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"command": "exit 3"}, "did not start"),
        ({"command": f"{PYTHON} -c 'raise SystemExit(\"no weights here\")'"}, "no weights here"),
        ({"address": "http://127.0.0.1:9/v1"}, "could not be reached"),
    ],
)
def test_a_model_that_is_not_there_says_nothing_about_the_agent(
    tmp_path: Path, model: dict[str, str], reason: str
) -> None:
    """Its tasks would all fail; that would be a verdict about the wrong thing."""
    run = harness(tmp_path, model).only_run()
    assert run.status is RunStatus.INTERRUPTED
    assert reason in run.reason


def test_an_agent_that_crashes_is_a_crash(tmp_path: Path) -> None:
    run = harness(tmp_path, agent=AGENT + "\nraise SystemExit(7)\n").only_run()
    assert run.status is RunStatus.CRASH
    assert "exit code 7" in run.reason
    assert run.models == ("parrot-1",)


@pytest.fixture
def parrot() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An OpenAI-compatible server at an address, and what it was asked."""
    asked: list[dict[str, Any]] = []

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
            data = (
                b'data: {"model": "m-2", "choices": []}\n\n'
                b'data: {"model": "m-2", "usage": {"prompt_tokens": 5, "completion_tokens": 1}}\n\ndata: [DONE]\n\n'
                if asked[-1]["body"].get("stream")
                else b'{"model": "m-1", "choices": [{"message": {"content": "WORD"}}]}'
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/proxy/v1", asked
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_by_address(tmp_path: Path, parrot: tuple[str, list[dict[str, Any]]]) -> None:
    address, asked = parrot
    run = harness(tmp_path, {"address": address}).only_run()
    assert (run.status, run.metric, run.models) == (RunStatus.OK, {"select": 1.0}, ("m-1",))
    assert {each["path"] for each in asked} == {"/proxy/v1/chat/completions"}


def test_a_stream_is_noted_too(tmp_path: Path, parrot: tuple[str, list[dict[str, Any]]]) -> None:
    """An agent that streams could else hide which model answered."""
    streams = AGENT.replace('"model": "any",', '"model": "any", "stream": True,').replace(
        "told = json.loads(answer.read())", "answer.read(); return 'WORD'"
    )
    run = harness(tmp_path, {"address": parrot[0]}, agent=streams).only_run()
    assert run.models == ("m-2",)
    assert run.telemetry["model_tokens_in"] == 20


@pytest.mark.docker
def test_in_containers_the_model_is_beside_the_agent_and_not_with_it(
    tmp_path: Path, docker_image: str
) -> None:
    """Neither container has a network; the socket is all they share."""
    looks = (
        "print('sees', sorted(os.listdir('/pawl')), os.path.exists('holdout'))\n"
        "try:\n    socket.create_connection(('1.1.1.1', 53), 1)\nexcept OSError:\n    print('no network')\n"
    )
    given = evaluated(
        tmp_path,
        AGENT + looks,
        JUDGE,
        files={"lab/holdout/model.py": MODEL},
        evaluate={"command": "python3 evaluate.py", "private": ["lab/holdout/"]},
        tasks={"trajectories": "trajectories", "model": {"command": "python3 holdout/model.py"}},
        run={"command": "python3 train.py", "image": docker_image},
    )
    record = given.measure(SHOUTS, procedure=Procedure(task_screen_z=9.0)).record
    assert [(run.status, run.reason) for run in record.runs] == [(RunStatus.OK, "")] * 2
    assert [run.metric["practice"] for run in record.runs] == [0.25, 1.0]
    assert record.runs[0].models == ("parrot-1",)
    assert "sees ['inputs', 'model.sock'] False" in record.runs[0].log
    assert "no network" in record.runs[0].log
    handed = json.loads((given.out / "trajectories.json").read_text())
    assert len(handed) == 8


GOOD: dict[str, Any] = {"score": 0.5, "tasks": {"a": 0.0, "b": 1.0}, "ids": {"x1": "a"}, "size": 3}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tasks": None}, "tasks"),
        ({"tasks": {}}, "tasks"),
        ({"tasks": {"a": 0.0, "b": 2.0}}, "from 0 to 1"),
        ({"tasks": {"a": 0.0, "b": True}}, "from 0 to 1"),
        ({"tasks": {"a": 0.0, "../b": 1.0}}, "no name of a task"),
        ({"tasks": {f"t{n}": 0.5 for n in range(501)}}, "500"),
        ({"score": 0.6}, "mean score"),
        ({"ids": {"x1": "nobody"}}, "ids"),
        ({"ids": ["x1"]}, "ids"),
        ({"size": "big"}, "no number"),
    ],
)
def test_what_an_evaluator_of_tasks_may_not_answer(change: dict[str, Any], reason: str) -> None:
    answer = evaluator_answer(json.dumps(GOOD | change), "score", tasks=True)
    assert answer.status == "failed"
    assert reason in answer.reason


def test_what_an_evaluator_of_tasks_answers() -> None:
    answer = evaluator_answer(json.dumps(GOOD), "score", tasks=True)
    assert (answer.status, answer.metric, answer.guards) == ("ok", 0.5, {"size": 3.0})
    assert (answer.tasks, answer.ids) == ({"a": 0.0, "b": 1.0}, {"x1": "a"})
    assert evaluator_answer(json.dumps(GOOD), "score").status == "failed", (
        "tasks are for loops that have them"
    )


def test_both_arms_of_a_place_are_given_the_same_block(tmp_path: Path) -> None:
    given = harness(tmp_path)
    runs = given.measure(SHOUTS, procedure=Procedure(task_screen_z=9.0)).record.runs
    assert [run.arm for run in runs] == [Arm.BASELINE, Arm.CANDIDATE]
    assert runs[0].seed == runs[1].seed
    assert runs[0].tasks.keys() == runs[1].tasks.keys()
