"""Setups and data: what runs find ready, and who may see which of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_kit import PRINTS, PYTHON, Bench, bench, code, commit, evaluated
from pawl.core.measurement import RunStatus
from pawl.lab import measure
from pawl.lab.process import can_isolate

namespaces = pytest.mark.skipif(not can_isolate(), reason="this user may not make namespaces here")

SETUP = (
    "mkdir -p $PIP_TARGET/bin && echo 'VALUE = 5' > $PIP_TARGET/ready.py && date +%N > $PAWL_SETUP/made "
    "&& printf '#!/bin/sh\\necho tool-said-hello\\n' > $PIP_TARGET/bin/tool && chmod +x $PIP_TARGET/bin/tool "
    "&& test ! -e train.py && test ! -e holdout"
)
USES = code(
    """
    import json, os, pathlib, subprocess
    import ready
    setup = pathlib.Path(os.environ["PAWL_SETUP"])
    print("made", (setup / "made").read_text().strip(), (setup / "site-packages" / "ready.py").exists())
    print(subprocess.run(["tool"], capture_output=True, text=True).stdout)
    try:
        (setup / "left").write_text("by a run")
        print("wrote")
    except OSError:
        pass
    print("score:", ready.VALUE)
    """
)


def test_a_setup_is_made_once_and_runs_find_it(tmp_path: Path) -> None:
    loop = bench(tmp_path, USES, setup=SETUP)
    first = loop.only_run()
    assert first.status is RunStatus.OK, first.log
    assert first.metric == {"select": 5.0}
    assert "tool-said-hello" in first.log
    # A keep changes the editable file, and nothing a setup depends on.
    loop.base = commit(loop.repo, {"lab/train.py": USES + "# kept\n"})
    again = measure(loop.request(), loop.options(out=tmp_path / "again")).record
    assert again.runs[0].log.splitlines()[0] == first.log.splitlines()[0]
    loop.base = commit(loop.repo, {"lab/requirements.txt": "numpy\n"})
    fresh = measure(loop.request(), loop.options(out=tmp_path / "fresh")).record
    assert fresh.environment.setup != again.environment.setup
    assert fresh.runs[0].log.splitlines()[0] != first.log.splitlines()[0]


@namespaces
def test_no_run_can_change_what_the_next_one_finds(tmp_path: Path) -> None:
    runs = bench(tmp_path, USES, setup=SETUP).measure(runs_wanted=2).record.runs
    assert all("wrote" not in run.log for run in runs)


def test_a_setup_that_fails_is_a_refusal_with_the_end_of_its_log(tmp_path: Path) -> None:
    loop = bench(
        tmp_path, setup="echo looking for a wheel; echo 'ERROR: no matching distribution' >&2; exit 3"
    )
    record = loop.measure().record
    assert record.runs == ()
    assert record.refused.startswith(
        "The loop's setup ended with exit code 3: ERROR: no matching distribution"
    )
    assert "looking for a wheel" in record.refused
    loop.rules["setup"] = "true"
    assert measure(loop.request(), loop.options(out=tmp_path / "next")).record.complete


def test_a_setup_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    loop = bench(tmp_path, USES, setup=SETUP)
    assert loop.only_run().status is RunStatus.OK
    (place,) = (path for path in (tmp_path / "cache" / "setups").iterdir() if path.is_dir())
    (place / "done.json").unlink()
    made = place / "data" / "made"
    made.chmod(0o644)
    made.write_text("half")
    run = measure(loop.request(), loop.options(out=tmp_path / "next")).record.runs[0]
    assert "made half" not in run.log
    assert run.status is RunStatus.OK


def test_pip_install_works_as_written(tmp_path: Path) -> None:
    files = {
        "lab/tiny/pyproject.toml": "[project]\nname = 'tiny'\nversion = '1'\n[build-system]\nrequires = []\n"
        "build-backend = 'backend'\nbackend-path = ['.']\n",
        "lab/tiny/backend.py": code(
            """
            import zipfile

            def build_wheel(folder, config_settings=None, metadata_directory=None):
                name = "tiny-1-py3-none-any.whl"
                with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
                    wheel.writestr("tiny.py", "VALUE = 8\\n")
                    info = "tiny-1.dist-info"
                    wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
                    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                    wheel.writestr(f"{info}/RECORD", "")
                return name
            """
        ),
        "lab/requirements.txt": "./tiny\n",
    }
    install = f"{PYTHON} -m pip install --no-index --quiet -r requirements.txt"
    loop = bench(tmp_path, "import tiny\nprint('score:', tiny.VALUE)", files, setup=install)
    run = loop.only_run()
    assert run.metric == {"select": 8.0}, run.log


PREDICTS = code(
    """
    import os, sys
    if sys.argv[1:]:
        import ready
        print("predict sees", ready.VALUE, os.environ.get("PAWL_SETUP"), os.path.exists("data"))
        data = os.path.join(os.path.dirname(os.path.dirname(ready.__file__)), "data")
        print("data of the setup:", os.listdir(data))
        print("data of the run:", os.listdir(DATA))
    else:
        print("run sees", os.listdir("data"))
    open("out.json", "w").write("{}")
    """
)


@namespaces
def test_a_prediction_sees_packages_alone_and_the_evaluator_its_own_setup(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "tokens.bin").write_text("x")
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "labels").write_text("9")
    evaluate = code(
        """
        import json, os, ready
        if os.environ["PAWL_PHASE"] == "score":
            assert os.path.exists(os.environ["PAWL_SETUP"] + "/judge")
            print(json.dumps({"score": float(open("labels/labels").read())}))
        """
    )
    train = f"DATA = {str(corpus)!r}\n" + PREDICTS
    loop = evaluated(tmp_path, train, evaluate, setup=SETUP, data={str(corpus): "data"})
    loop.rules["evaluate"] |= {
        "setup": "test -e holdout/answers.txt && touch $PAWL_SETUP/judge",
        "data": {str(secret): "labels"},
    }
    loop.rules["predict"] = {"command": f"{PYTHON} train.py --predict"}
    run = loop.only_run()
    assert run.metric == {"select": 9.0}, (run.reason, run.log)
    assert "run sees ['tokens.bin']" in run.log
    assert "predict sees 5 None False" in run.log
    assert "data of the setup: []" in run.log
    assert "data of the run: []" in run.log


def test_data_is_shown_where_the_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home-of-the-user"
    (home / ".cache" / "corpus").mkdir(parents=True)
    (home / ".cache" / "corpus" / "a").write_text("1")
    monkeypatch.setenv("HOME", str(home))
    train = code(
        """
        import os, pathlib
        for place in (pathlib.Path.home() / ".cache/corpus", "sets/corpus", ABSOLUTE, "own"):
            print(sorted(os.listdir(place)))
        print("score: 1")
        """
    )
    absolute = tmp_path / "absolute"
    absolute.mkdir()
    data = {
        "~/.cache/corpus": "~/.cache/corpus",
        str(home / ".cache" / "corpus"): "sets/corpus",
        str(absolute): str(absolute),
        "./lab/sets": "own",
    }
    loop = bench(tmp_path, f"ABSOLUTE = {str(absolute)!r}\n{train}", {"lab/sets/readme": "x"}, data=data)
    run = loop.only_run()
    assert run.log.splitlines()[:4] == ["['a']", "['a']", "[]", "['readme']"], run.log


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"/nowhere/at/all": "~/corpus"}, "is not on this machine"),
        ({"/usr": "/data"}, "or the docker sandbox"),
        ({"/usr": "../up"}, "leaves the run's folders"),
    ],
)
def test_data_that_cannot_be_shown_is_a_refusal(tmp_path: Path, data: dict[str, str], why: str) -> None:
    assert why in bench(tmp_path, data=data).measure().record.refused


@namespaces
def test_data_is_read_only(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    train = "import os\ntry:\n    open('data/x', 'w')\nexcept OSError as e:\n    print('refused', e.errno)"
    train += "\nprint('score: 1')"
    run = bench(tmp_path, train, data={str(corpus): "data"}).only_run()
    assert "refused 30" in run.log  # EROFS
    assert list(corpus.iterdir()) == []


def test_without_namespaces_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pawl.lab.process.can_isolate", lambda: False)
    sentences: list[str] = []
    loop: Bench = bench(tmp_path, PRINTS)
    measure(loop.request(), loop.options(progress=sentences.append))
    assert any("can reach the network, write to data mounts" in sentence for sentence in sentences)
