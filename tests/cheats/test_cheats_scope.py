"""A candidate looks for what it must not see, or tries to leave something where it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab_kit import PRINTS, bench, code, commit, evaluated, git
from pawl.core.measurement import RunStatus
from pawl.lab.process import can_isolate

namespaces = pytest.mark.skipif(not can_isolate(), reason="this user may not make namespaces here")


def test_neither_git_nor_the_evaluator_nor_private_files_are_where_it_runs(tmp_path: Path) -> None:
    train = code(
        """
        import json, os
        found = sorted(os.path.relpath(os.path.join(at, name), "..") for at, _, names in os.walk("..") for name in names)
        print("found", found)
        json.dump({"score": 1}, open("out.json", "w"))
        """
    )
    run = evaluated(tmp_path, train, files={"README.md": "hello"}).only_run(train + "# changed\n")
    assert run.status is RunStatus.OK
    assert "found ['README.md', 'lab/program.md', 'lab/train.py']" in run.log


def test_no_relative_path_leads_to_private_files(tmp_path: Path) -> None:
    train = "print(open('holdout/answers.txt').read())"
    run = evaluated(tmp_path, train).only_run()
    assert run.status is RunStatus.CRASH
    assert "FileNotFoundError" in run.reason
    assert "42" not in run.log


@namespaces
def test_the_checkout_on_the_host_hides_them_too(tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    train = code(
        f"""
        import json, pathlib
        repo = pathlib.Path({str(repo)!r})
        private = ["lab/evaluate.py", "lab/holdout/answers.txt", ".git/config"]
        print("seen", [name for name in private if (repo / name).exists() and (repo / name).read_text()])
        print("readable", (repo / "lab/program.md").read_text())
        json.dump({{"score": 1}}, open("out.json", "w"))
        """
    )
    run = evaluated(tmp_path, train).only_run()
    assert "seen []" in run.log
    assert "readable Go." in run.log


@namespaces
def test_what_measuring_jobs_keep_private_is_covered_whoever_they_belong_to(tmp_path: Path) -> None:
    """The evaluator's tree, artifacts, and evaluators' setups of all jobs of this user lie in two folders."""
    cache = tmp_path / "cache"
    (cache / "work" / "job-of-another-lane" / "base" / "holdout").mkdir(parents=True)
    train = code(
        f"""
        import json, os
        print("seen", [os.listdir({str(cache)!r} + "/" + name) for name in ("work", "evaluator-setups")])
        json.dump({{"score": 1}}, open("out.json", "w"))
        """
    )
    loop = evaluated(tmp_path, train)
    loop.rules["evaluate"]["setup"] = "touch $PAWL_SETUP/answers"
    assert "seen [[], []]" in loop.only_run().log


@namespaces
def test_the_host_is_read_only_and_has_no_network(tmp_path: Path) -> None:
    """A cache that one run fills and the next one finds would let runs help each other."""
    cache = tmp_path / "cache-of-the-user"
    cache.mkdir()
    train = code(
        f"""
        import pathlib, socket
        for place in ({str(cache)!r}, "/tmp", "/var/tmp"):
            try:
                pathlib.Path(place, "left-by-a-run").write_text("x")
                print("wrote", place)
            except OSError as error:
                print("refused", error.errno)
        try:
            socket.create_connection(("192.0.2.1", 80), 1)
        except OSError as error:
            print("network", error.errno)
        print("score: 1")
        """
    )
    run = bench(tmp_path, train).only_run()
    assert "wrote" not in run.log
    assert "network 101" in run.log  # ENETUNREACH
    assert run.status is RunStatus.OK


@namespaces
def test_it_sees_no_process_but_its_own(tmp_path: Path) -> None:
    train = "import os\nprint('pids', sorted(int(n) for n in os.listdir('/proc') if n.isdigit())[-1])\nprint('score: 1')"
    run = bench(tmp_path, train).only_run()
    assert int(run.log.split("pids ")[1].split()[0]) < 20


def test_the_environment_is_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_secret")
    monkeypatch.setenv("BASH_ENV", "/nonexistent/attack.sh")
    monkeypatch.setenv("LD_PRELOAD", "")
    train = "import os\nprint('names', sorted(os.environ))\nprint('score: 1')"
    run = bench(tmp_path, train).only_run()
    names = run.log.split("names ")[1].splitlines()[0]
    assert names == str(
        [
            "CUDA_VISIBLE_DEVICES",
            "HOME",
            "LANG",
            "LC_ALL",
            "MKL_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
            "OMP_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "PATH",
            "PAWL_BUDGET",
            "PAWL_SEED",
            "PAWL_SPLIT",
            "PWD",
            "PYTHONDONTWRITEBYTECODE",
            "TMPDIR",
        ]
    )


def test_nothing_it_leaves_in_its_tree_home_or_temporary_folder_is_there_for_the_next_run(
    tmp_path: Path,
) -> None:
    train = code(
        """
        import os, pathlib, tempfile
        places = [pathlib.Path.home(), pathlib.Path(tempfile.gettempdir()), pathlib.Path(".")]
        print("found", [str(p) for p in places if (p / "cache").exists()])
        for place in places:
            (place / "cache").write_text("warm")
        print("score: 1")
        """
    )
    runs = bench(tmp_path, train).measure(runs_wanted=2).record.runs
    assert [run.status for run in runs] == [RunStatus.OK, RunStatus.OK]
    assert all("found []" in run.log for run in runs)


def test_a_candidate_commit_that_changes_other_files_changes_none_of_them_here(tmp_path: Path) -> None:
    """The overlay takes one file's bytes; whatever else the commit holds never reaches the machine."""
    loop = evaluated(tmp_path, "import json\njson.dump({'score': 1}, open('out.json', 'w'))\n")
    hostile = (
        "import json, os\nprint(sorted(os.listdir('.')))\njson.dump({'score': 1}, open('out.json', 'w'))\n"
    )
    commit(
        loop.repo,
        {
            "lab/evaluate.py": "print('{\"score\": 99}')",
            "lab/json.py": "raise SystemExit('shadowed')",
            "lab/sitecustomize.py": "raise SystemExit('shadowed')",
            ".gitattributes": "* filter=evil",
        },
    )
    request = loop.request(hostile)
    assert "json.py" in git(loop.repo, "ls-tree", "-r", "--name-only", str(request.candidate))
    run = loop.only_run(hostile)
    assert "['program.md', 'train.py']" in run.log
    assert run.metric == {"select": 1.0}


def test_tampering_with_the_evaluator_in_its_own_folder_is_writing_to_the_wind(tmp_path: Path) -> None:
    train = code(
        """
        import json, pathlib
        pathlib.Path("evaluate.py").write_text("print('{\\"score\\": 99}')")
        pathlib.Path("json.py").write_text("raise SystemExit('shadowed')")
        pathlib.Path("sitecustomize.py").write_text("raise SystemExit('shadowed')")
        json.dump({"score": 2.5}, open("out.json", "w"))
        """
    )
    run = evaluated(tmp_path, train).only_run()
    assert (run.status, run.metric) == (RunStatus.OK, {"select": 2.5})


def test_bytes_that_are_not_those_asked_for_are_refused(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    record = loop.measure(PRINTS + "# new\n", candidate_digest="0" * 64).record
    assert record.runs == ()
    assert not record.complete
    assert "these are not the bytes that would be merged" in record.refused


@pytest.mark.parametrize("target", ["/etc/passwd", "../../outside", "../.."])
def test_a_link_that_leaves_the_tree_is_refused(tmp_path: Path, target: str) -> None:
    loop = bench(tmp_path)
    (loop.repo / "lab" / "link").symlink_to(target)
    loop.base = commit(loop.repo, {})
    record = loop.measure().record
    assert "lab/link" in record.refused
    assert record.runs == ()


def test_a_link_within_the_tree_is_kept_and_dangles_where_its_target_is_private(tmp_path: Path) -> None:
    loop = evaluated(tmp_path, "import os\nprint(os.readlink('l'))\nprint(os.path.exists('l'))\n")
    (loop.repo / "lab" / "l").symlink_to("holdout/answers.txt")
    loop.base = commit(loop.repo, {})
    run = loop.only_run()
    assert "holdout/answers.txt\nFalse" in run.log
