"""A candidate tries to have its number believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_kit import bench, code, evaluated
from pawl.core.measurement import RunStatus


def test_a_printed_metric_is_only_a_claim_when_there_is_an_evaluator(tmp_path: Path) -> None:
    train = code(
        """
        import json
        json.dump({"score": 1.25}, open("out.json", "w"))
        print('score: 99')
        print('{"score": 99}')
        """
    )
    run = evaluated(tmp_path, train).only_run()
    assert run.metric == {"select": 1.25}
    assert run.printed == 99


def test_exit_code_zero_is_no_result(tmp_path: Path) -> None:
    run = evaluated(tmp_path, "import sys\nsys.exit(0)").only_run()
    assert run.status is RunStatus.INVALID
    assert "left no file lab/out.json" in run.reason


def test_result_files_written_where_a_result_might_be_looked_for_are_not_read(tmp_path: Path) -> None:
    train = code(
        """
        import json, pathlib
        for name in ("record.json", "results.tsv", "../record.json", "score.json"):
            pathlib.Path(name).write_text('{"score": 99, "status": "ok"}')
        json.dump({"score": 1}, open("out.json", "w"))
        """
    )
    run = evaluated(tmp_path, train).only_run()
    assert run.metric == {"select": 1.0}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"score": NaN}', "NaN"),
        ('{"score": 1e999}', "1e999"),
        ('{"score": -Infinity}', "Infinity"),
        ('{"score": 1, "score": 99}', "twice"),
        ("[" * 100_000, "nested"),
        ("import os", "no valid json"),
    ],
)
def test_a_json_artifact_is_read_strictly(tmp_path: Path, content: str, reason: str) -> None:
    run = evaluated(tmp_path, f"open('out.json', 'w').write({content!r})").only_run()
    assert run.status is RunStatus.INVALID
    assert reason in run.reason


@pytest.mark.parametrize(
    "making",
    [
        "os.symlink('/etc/passwd', 'out.json')",
        "os.mkdir('out.json')",
        "os.mkfifo('out.json')",
        "os.chdir('..'); os.rename('lab', 'real'); os.symlink('real', 'lab'); open('lab/out.json', 'w').write('{}')",
        "open('out.json', 'wb').truncate(300_000_000)",
    ],
    ids=["link", "folder", "fifo", "link on the way", "huge"],
)
def test_an_artifact_is_a_regular_file_of_a_modest_size(tmp_path: Path, making: str) -> None:
    run = evaluated(tmp_path, f"import os\n{making}").only_run()
    assert run.status is RunStatus.INVALID
    assert "lab/out.json" in run.reason


def test_the_evaluator_is_handed_the_bytes_that_would_be_merged(tmp_path: Path) -> None:
    """A run that rewrites its own source still answers for the source it was given."""
    train = code(
        """
        import json
        open("train.py", "w").write("print('innocent')")
        json.dump({"score": 1}, open("out.json", "w"))
        """
    )
    evaluate = code(
        """
        import json, os
        source = open(os.environ["PAWL_SOURCE"]).read()
        own = open("train.py").read()
        print(json.dumps({"violation": "not the source"} if "innocent" not in source else {"score": float(own != source)}))
        """
    )
    run = evaluated(tmp_path, "print('base')", evaluate).only_run(train)
    assert run.status is RunStatus.OK
    assert run.metric == {"select": 1.0}, "the evaluator's tree holds the base's bytes, not the candidate's"


def test_before_predict_the_source_is_as_it_was(tmp_path: Path) -> None:
    """Training may write another train.py and hide answers around it; the process that predicts has none of that."""
    train = code(
        """
        import json, os, pathlib, sys
        if "--predict" in sys.argv:
            print("beside me", sorted(os.listdir(".")), os.listdir(pathlib.Path.home()), os.environ.get("PAWL_SETUP"))
            question = json.load(open(os.path.join(os.environ["PAWL_INPUTS"], "question.json")))
            model = json.load(open("model.json"))
            json.dump({"score": question["x"] * model["w"]}, open("out.json", "w"))
        else:
            json.dump({"w": 3}, open("model.json", "w"))
            pathlib.Path("cheat.json").write_text("answers")
            pathlib.Path("train.py").write_text("raise SystemExit('changed after the fact')")
            (pathlib.Path.home() / "cheat").write_text("answers")
            print("score: 6")
        """
    )
    evaluate = code(
        """
        import json, os
        inputs = os.path.join(os.environ["PAWL_INPUTS"], "question.json")
        if os.environ["PAWL_PHASE"] == "ask":
            assert os.listdir(os.environ["PAWL_INPUTS"]) == []
            json.dump({"x": 2}, open(inputs, "w"))
        else:
            assert json.load(open(inputs)) == {"x": 2}
            print(json.dumps({"score": json.load(open(os.environ["PAWL_ARTIFACT"]))["score"]}))
        """
    )
    loop = evaluated(tmp_path, train, evaluate)
    loop.rules["predict"] = {"command": f"{loop.rules['run']['command']} --predict", "carry": ["model.json"]}
    run = loop.only_run()
    assert run.status is RunStatus.OK, run.reason
    assert (run.metric, run.printed) == ({"select": 6.0}, 6.0)
    assert "beside me ['model.json', 'program.md', 'train.py'] [] None" in run.log


def test_answers_written_into_the_questions_do_not_reach_the_evaluator(tmp_path: Path) -> None:
    train = code(
        """
        import os, pathlib, sys
        if "--predict" in sys.argv:
            place = pathlib.Path(os.environ["PAWL_INPUTS"])
            try:
                place.chmod(0o755)
                (place / "question").chmod(0o644)
                (place / "question").write_text("easy")
            except OSError:
                print("refused")
            pathlib.Path("out.json").write_text("{}")
        """
    )
    evaluate = code(
        """
        import json, os, pathlib
        question = pathlib.Path(os.environ["PAWL_INPUTS"], "question")
        if os.environ["PAWL_PHASE"] == "ask":
            question.write_text("hard")
        else:
            print(json.dumps({"score": float(question.read_text() == "hard")}))
        """
    )
    loop = evaluated(tmp_path, train, evaluate)
    loop.rules["predict"] = {"command": f"{loop.rules['run']['command']} --predict"}
    assert loop.only_run().metric == {"select": 1.0}


def test_nan_is_no_metric(tmp_path: Path) -> None:
    run = bench(tmp_path, "print('score: 1.0')\nprint('score: nan')").only_run()
    assert run.status is RunStatus.INVALID
    assert "no finite number" in run.reason
