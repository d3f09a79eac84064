"""One run: what it is given, and what every way to end becomes."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from lab_kit import PRINTS, PYTHON, READS, bench, code, commit, evaluated
from pawl.core.measurement import Procedure, RunStatus, Stage
from pawl.lab import measure


def test_a_good_run_is_recorded_with_metric_guards_and_telemetry(tmp_path: Path) -> None:
    train = "print('score:  0.9979')\nprint('steps: 120')\nprint('loss: nan')\nprint('other: 3')\nprint('score: 1.5')"
    loop = bench(tmp_path, train, guards={"steps": ">=100", "loss": "+5%"})
    run = loop.only_run()
    assert (run.status, run.metric, run.reason, run.exit_code) == (RunStatus.OK, {"select": 1.5}, "", 0)
    assert run.printed is None, (
        "without an evaluator the printed number is the metric, and no claim beside it"
    )
    assert run.guards.keys() == {"steps", "lines", "peak_memory_mb"}
    assert (run.guards["steps"], run.guards["lines"]) == (120, 5)
    assert run.telemetry.keys() == {"seconds_tree", "seconds_run", "cpu_seconds", "peak_memory_mb"}
    assert 0 < run.telemetry["cpu_seconds"] < 5
    assert run.seconds == run.telemetry["seconds_run"] > 0
    assert "score: 1.5" in run.log


def test_a_run_is_told_its_seed_budget_and_split(tmp_path: Path) -> None:
    train = "import os\nprint(*(f'{k}={v}' for k, v in sorted(os.environ.items()) if 'PAWL' in k))\nprint('score: 1')"
    run = bench(tmp_path, train, budget="90s").only_run()
    assert "PAWL_BUDGET=90 PAWL_SEED=7 PAWL_SPLIT=select" in run.log


def test_commands_are_shell_words_of_the_base(tmp_path: Path) -> None:
    loop = bench(tmp_path, "import os\nprint('score:', os.environ['FACTOR'])")
    loop.rules["run"] = {"command": f"FACTOR=4 {PYTHON} lab/train.py && echo done", "cwd": "."}
    run = loop.only_run()
    assert run.metric == {"select": 4.0}
    assert run.log.endswith("done\n")


@pytest.mark.parametrize(
    ("train", "status", "reason"),
    [
        (
            "print('score: 1')\nraise ValueError('shapes differ')",
            RunStatus.CRASH,
            "exit code 1: ValueError: shapes differ",
        ),
        ("import os\nos.abort()", RunStatus.CRASH, "exit code 134"),
        ("def broken(:", RunStatus.CRASH, "SyntaxError"),
        ("print('nothing to see')", RunStatus.INVALID, "printed no line with score"),
        ("print('score: many')", RunStatus.INVALID, "printed no line with score"),
        ("print('score: inf')", RunStatus.INVALID, "no finite number"),
        ("print('score: 1e200')", RunStatus.INVALID, "no finite number up to 1e+50"),
    ],
    ids=["exception", "signal", "syntax", "silent", "no number", "infinite", "too large"],
)
def test_every_bad_end_is_a_fact_with_a_reason(
    tmp_path: Path, train: str, status: RunStatus, reason: str
) -> None:
    run = bench(tmp_path, train).only_run()
    assert run.status is status
    if (
        train == "import os\nos.abort()"
    ):  # the shell may exec its only command, and then the signal is seen as it is
        assert reason in run.reason or "signal 6" in run.reason
    else:
        assert reason in run.reason
    assert run.metric == {}


def test_a_hanging_run_is_killed_at_budget_and_grace(tmp_path: Path) -> None:
    train = "import time, signal\nprint('score: 1', flush=True)\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)"
    run = bench(tmp_path, train, budget="0.3s", grace="0.3s").only_run()
    assert run.status is RunStatus.TIMEOUT
    assert 0.6 <= run.seconds < 1.5
    assert run.exit_code is None
    assert run.metric == {}


def test_a_log_is_text_that_can_do_no_harm(tmp_path: Path) -> None:
    train = (
        r"print('\x1b]0;title\x07\x1b[31mred\x1b[0m \u202eevil\u202c \x00zero\rnext')" + "\nprint('score: 1')"
    )
    run = bench(tmp_path, train).only_run()
    assert run.log == "red evil zero\nnext\nscore: 1\n"


def test_a_metric_pattern_reads_the_last_match(tmp_path: Path) -> None:
    metric = {"name": "score", "goal": "minimize", "pattern": r"loss=([0-9.]+)"}
    run = bench(tmp_path, "print('step 1 loss=3.5 loss=3.25')\nprint('score: 9')", metric=metric).only_run()
    assert run.metric == {"select": 3.25}


def test_pawls_own_time_is_a_small_part(tmp_path: Path) -> None:
    runs = bench(tmp_path).measure(runs_wanted=4).record.runs
    assert sorted(run.seconds_outside for run in runs)[0] < 0.5


def test_modes_of_files_are_kept(tmp_path: Path) -> None:
    loop = bench(
        tmp_path,
        "import os\nprint([oct(os.stat(n).st_mode)[-3:] for n in ('train.py', 'go.sh', 'program.md')])",
    )
    script = loop.repo / "lab" / "go.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (loop.repo / "lab" / "train.py").chmod(0o755)
    loop.base = commit(loop.repo, {})
    assert "['755', '755', '644']" in loop.only_run().log


@pytest.mark.parametrize(
    ("evaluate", "status", "reason"),
    [
        (
            'print(\'{"violation": "no source for these weights"}\')',
            RunStatus.VIOLATION,
            "no source for these weights",
        ),
        ('print(\'{"invalid": "three rows are missing"}\')', RunStatus.INVALID, "three rows are missing"),
        ("print('{\"score\": NaN}')", RunStatus.INVALID, "NaN"),
        ('print(\'{"score": "1"}\')', RunStatus.INVALID, "no number"),
        ("print('{\"score\": true}')", RunStatus.INVALID, "no number"),
        ("print('{\"other\": 1}')", RunStatus.INVALID, "score is missing"),
        ("print('score: 1')", RunStatus.INVALID, "no JSON object"),
        ("", RunStatus.INVALID, "printed nothing"),
        (
            "print('{\"score\": 1}')\nraise SystemExit(3)",
            RunStatus.INVALID,
            "evaluator failed (PAWL_PHASE=score)",
        ),
        ("1 / 0", RunStatus.INVALID, "ZeroDivisionError: division by zero"),
    ],
)
def test_the_evaluators_word(tmp_path: Path, evaluate: str, status: RunStatus, reason: str) -> None:
    run = evaluated(tmp_path, "open('out.json', 'w').write('{}')", evaluate).only_run()
    assert run.status is status
    assert reason in run.reason
    assert run.metric == {}


def test_the_evaluator_has_the_last_line_and_its_own_guards(tmp_path: Path) -> None:
    evaluate = code(
        """
        import json, os, sys
        print("reading", file=sys.stderr)
        print("working")
        assert os.environ["PAWL_PHASE"] == "score" and os.environ["PAWL_SPLIT"] == "select"
        assert open("holdout/answers.txt").read() == "42\\n"
        print(json.dumps({"score": 2, "calibration": 0.5, "lines": 7}))
        print()
        """
    )
    run = evaluated(tmp_path, "open('out.json', 'w').write('{}')", evaluate).only_run()
    assert run.metric == {"select": 2.0}
    assert run.guards["calibration"] == 0.5
    assert run.guards["lines"] == 1, "what the host measures, nobody else says"
    assert run.telemetry["seconds_evaluate"] > 0
    assert run.artifact is not None


def test_a_sealed_run_is_scored_on_both_splits(tmp_path: Path) -> None:
    train = "import os\nopen('out.json', 'w').write('{\"split\": \"' + os.environ['PAWL_SPLIT'] + '\"}')"
    evaluate = code(
        """
        import json, os
        if os.environ["PAWL_PHASE"] == "score":
            split = json.load(open(os.environ["PAWL_ARTIFACT"]))["split"]
            assert split == os.environ["PAWL_SPLIT"]
            print(json.dumps({"score": {"select": 1, "seal": 2}[split], "of": len(split)}))
        """
    )
    loop = evaluated(tmp_path, train, evaluate)
    loop.rules["predict"] = {"command": f"{PYTHON} train.py"}
    procedure = Procedure(seal_candidates=1, seal_baselines=1)
    record = loop.measure(train + "\n# new\n", start=Stage.SEAL, procedure=procedure).record
    assert [run.metric for run in record.runs] == [{"select": 1.0, "seal": 2.0}] * 2
    assert record.runs[0].guards["of"] == 6
    assert {"seconds_predict", "seconds_evaluate"} <= record.runs[0].telemetry.keys()
    assert record.complete


def test_a_prediction_has_the_grace_and_no_more(tmp_path: Path) -> None:
    loop = evaluated(tmp_path, "import sys, time\nif sys.argv[1:]: time.sleep(60)", "")
    loop.rules |= {"predict": {"command": f"{PYTHON} train.py --predict"}, "grace": "0.4s"}
    run = loop.only_run()
    assert run.status is RunStatus.TIMEOUT
    assert "predict was killed after 0.4s" in run.reason


def test_a_file_to_carry_must_be_there(tmp_path: Path) -> None:
    loop = evaluated(tmp_path, "import os\nos.symlink('/etc/passwd', 'model.bin')", "")
    loop.rules["predict"] = {"command": "true", "carry": ["model.bin"]}
    run = loop.only_run()
    assert run.status is RunStatus.INVALID
    assert "predict.carry: lab/model.bin" in run.reason


def test_the_same_seed_gives_the_same_metric(tmp_path: Path) -> None:
    first = bench(tmp_path / "a", PRINTS).measure(runs_wanted=2).record
    second = bench(tmp_path / "b", PRINTS).measure(runs_wanted=2).record
    assert [run.metric for run in first.runs] == [run.metric for run in second.runs]
    assert [run.seed for run in first.runs] == [7, 8]


def test_without_namespaces_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = f"import os\nif os.environ['PAWL_PHASE'] == 'score':\n{textwrap.indent(READS, '    ')}"
    loop = evaluated(tmp_path, "open('out.json', 'w').write('{\"score\": 3}')", judge)
    loop.rules["predict"] = {"command": f"{PYTHON} train.py --predict"}
    isolated = loop.measure().record.runs[0]
    monkeypatch.setattr("pawl.lab.process.can_isolate", lambda: False)
    plain = measure(loop.request(), loop.options(out=tmp_path / "plain")).record.runs[0]
    same = {"arm", "status", "metric", "reason", "exit_code", "artifact", "log"}
    assert plain.model_dump(include=same) == isolated.model_dump(include=same)
