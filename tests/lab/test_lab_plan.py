"""A measuring job as a whole: it follows the plan, loses no run, and says why where it does not measure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_kit import PRINTS, Bench, bench, code, commit, git
from pawl.core.decision import Finding, Verdict, advance
from pawl.core.measurement import Calibration, Record, Request, RunStatus, Stage, Step
from pawl.lab import MeasureError, Options, Stop, measure, read_request

BETTER = PRINTS.replace("1 +", "2 +")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Request, Record]:
    """An experiment from the screen to the seal."""
    loop = bench(tmp_path_factory.mktemp("kept"))
    request = loop.request(BETTER)
    return loop, request, measure(request, loop.options()).record


def test_the_runs_are_those_the_plan_asks_for_in_its_order(kept: tuple[Bench, Request, Record]) -> None:
    loop, request, record = kept
    assert record.complete
    assert Record.model_validate_json((loop.out / "record.json").read_bytes()) == record
    for index, run in enumerate(record.runs):
        step = advance(request, record.facts[:index])
        assert isinstance(step, Step)
        assert (step.arm, step.stage, step.place, step.seed) == (run.arm, run.stage, run.place, run.seed)
    end = advance(request, record.facts)
    assert isinstance(end, Finding)
    assert end.verdict is Verdict.KEEP


def test_runs_of_an_earlier_job_are_not_made_again_and_not_repeated_in_the_record(
    kept: tuple[Bench, Request, Record],
) -> None:
    loop, request, first = kept
    done = len(first.runs) - 2
    later = request.model_copy(update={"runs": first.facts[:done]})
    second = measure(later, loop.options(out=loop.top / "second")).record
    assert second.complete
    assert [(run.arm, run.stage, run.place, run.seed, run.metric) for run in second.runs] == [
        (run.arm, run.stage, run.place, run.seed, run.metric) for run in first.runs[done:]
    ]


def test_a_weak_candidate_costs_one_run(tmp_path: Path) -> None:
    record = bench(tmp_path).measure("print('score: 0.5')").record
    assert [run.stage for run in record.runs] == [Stage.SCREEN]
    assert record.complete


def test_a_complete_record_is_left_alone(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    first = loop.measure().record
    assert loop.measure().record == first


SLOW = code(
    """
    import os, time
    if int(os.environ["PAWL_SEED"]) == 8:
        print("waiting", flush=True)
        open("begun", "w").close()
        time.sleep(60)
    print("score: 1")
    """
)


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[tuple[Bench, Request, subprocess.Popen[str]]]:
    """A measuring job of three runs in a process of its own, in the middle of its second run."""
    loop = bench(tmp_path, SLOW, budget="100s")
    request = loop.request(runs_wanted=3)
    (tmp_path / "request.json").write_text(request.model_dump_json())
    script = code(
        f"""
        import pathlib, sys
        from pawl.lab import Options, measure, read_request
        top = pathlib.Path({str(tmp_path)!r})
        say = lambda sentence: print(sentence, flush=True)
        options = Options(out=top / "out", repo=top / "repo", cache=top / "cache", progress=say)
        sys.exit(measure(read_request(top / "request.json"), options).exit_code)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Run 2"):
                break
        while not list((tmp_path / "cache" / "runs").glob("*/run/tree/lab/begun")):
            os.sched_yield()
        yield loop, request, process
        process.kill()


def sleeping(top: Path) -> bool:
    """Whether a run of the job below this folder is alive."""
    for pid in Path("/proc").iterdir():
        if pid.name.isdigit():
            try:
                if str(top) in str((pid / "cwd").readlink()):
                    return True
            except OSError:
                continue
    return False


def test_a_killed_job_leaves_nothing_alive_and_goes_on_where_it_was(
    begun: tuple[Bench, Request, subprocess.Popen[str]],
) -> None:
    loop, request, process = begun
    process.kill()
    process.wait()
    while sleeping(loop.top):  # the kernel kills all of it, and needs a moment
        os.sched_yield()
    left = Record.model_validate_json((loop.out / "record.json").read_bytes())
    assert [run.status for run in left.runs] == [RunStatus.OK, RunStatus.STARTED]

    other = loop.request(runs_wanted=2)
    with pytest.raises(MeasureError, match="another request"):
        measure(other, loop.options())
    stop = Stop()
    sentences: list[str] = []

    def progress(sentence: str) -> None:
        sentences.append(sentence)
        if sentence.startswith("Run 3: calibrate"):
            stop.set()

    measured = measure(
        request, Options(loop.out, loop.repo, cache=loop.top / "cache", progress=progress, stop=stop)
    )
    statuses = [run.status for run in measured.record.runs]
    assert statuses == [RunStatus.OK, RunStatus.INTERRUPTED, RunStatus.INTERRUPTED]
    assert "killed" in measured.record.runs[1].reason
    assert measured.record.runs[1].seed == measured.record.runs[2].seed, "an interrupted run is made again"
    assert measured.exit_code == 143
    assert not measured.record.complete
    left = [*(loop.top / "cache" / "work").iterdir(), *(loop.top / "cache" / "runs").iterdir()]
    assert left == [], "the dead job's folders are cleared away"


def test_sigterm_ends_the_run_and_loses_nothing(begun: tuple[Bench, Request, subprocess.Popen[str]]) -> None:
    loop, _, process = begun
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143
    record = Record.model_validate_json((loop.out / "record.json").read_bytes())
    assert [run.status for run in record.runs] == [RunStatus.OK, RunStatus.INTERRUPTED]
    assert "told to stop" in record.runs[1].reason
    assert "waiting" in record.runs[1].log
    assert not record.complete
    assert not sleeping(loop.top)


def test_an_attempt_that_is_taken_is_not_measured(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    asked: list[str] = []

    def claim(request: Request) -> str:
        asked.append(request.key)
        return "Attempt c1.1 is being measured by another job."

    measured = measure(loop.request(), loop.options(claim=claim))
    assert asked == ["c1.1"]
    assert measured.record.refused == "Attempt c1.1 is being measured by another job."
    assert (measured.record.runs, measured.record.complete, measured.exit_code) == ((), False, 0)


def test_another_kind_of_machine_is_refused_by_both_names(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    here = loop.measure().record.environment.device
    known = Calibration(sigma=0.001, dof=40, pool=(1.0,), device="NVIDIA H100 80GB HBM3")
    record = measure(loop.request(calibration=known), loop.options(out=tmp_path / "other")).record
    assert "NVIDIA H100 80GB HBM3" in record.refused
    assert here in record.refused
    assert record.runs == ()


def test_a_gpu_that_is_not_there_is_a_refusal(tmp_path: Path) -> None:
    if Path("/dev/nvidiactl").exists():
        pytest.skip("this machine has a GPU")
    loop = bench(tmp_path)
    loop.rules["run"]["gpus"] = 1
    assert "no NVIDIA driver" in loop.measure().record.refused


def test_a_failure_of_the_machine_is_a_fact_and_ends_after_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that cannot start anything blames no code; the record holds every attempt."""
    monkeypatch.setattr("pawl.lab.keeper.__file__", str(tmp_path / "gone.py"))
    monkeypatch.setattr("pawl.lab.process.can_isolate", lambda: False)
    record = bench(tmp_path).measure().record
    assert {run.status for run in record.runs} == {RunStatus.INTERRUPTED}
    assert len(record.runs) == 4
    assert "could not be made on this machine" in record.runs[0].reason
    assert record.complete


def test_commits_that_are_missing_are_fetched(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    old = loop.base
    commit(loop.repo, {"lab/train.py": PRINTS + "# later\n"})
    git(loop.repo, "config", "uploadpack.allowAnySHA1InWant", "true")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{loop.repo}", str(shallow))
    record = measure(loop.request(), loop.options(repo=shallow)).record
    assert record.runs[0].status is RunStatus.OK
    assert git(shallow, "cat-file", "-t", old) == "commit"


def test_a_commit_nobody_has_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    with pytest.raises(MeasureError, match="GITHUB_TOKEN with contents: read"):
        loop.measure(base="1" * 40, baseline="1" * 40)


def test_a_folder_that_is_no_repository_is_an_error(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    with pytest.raises(MeasureError, match="--repo"):
        measure(loop.request(), loop.options(repo=tmp_path))


def test_the_kept_commit_of_a_checkout_of_another_user_can_be_read(tmp_path: Path) -> None:
    """actions/checkout in a container leaves a tree that belongs to somebody else, which git calls dubious."""
    if os.getuid() != 0:
        pytest.skip("needs root to give files away")
    loop = bench(tmp_path)
    for path in (loop.repo, *loop.repo.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert loop.only_run().status is RunStatus.OK


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "Invalid JSON"),
        ("{}", "Field required"),
        ('{"version": 2}', "version"),
        ("x" * 70_000, "longer"),
        ("\udcff", "utf-8"),
    ],
)
def test_a_file_that_is_no_request_is_an_error(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "request.json"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(MeasureError, match="is no valid request") as error:
        read_request(path)
    assert why in str(error.value)
    assert "What to do" in str(error.value)
    assert "of another version than the one here" in str(error.value)


def test_a_request_of_a_newer_pawl_says_which_side_is_old(tmp_path: Path) -> None:
    """A runner from before planted cheats called every request invalid, and told people to leave the request unchanged."""
    path = tmp_path / "request.json"
    path.write_text('{"tomorrow": 1, ' + bench(tmp_path).request().model_dump_json()[1:])
    with pytest.raises(MeasureError) as error:
        read_request(path)
    assert "it has the field tomorrow" in str(error.value)
    assert "bring this machine's up to it" in error.value.remedy


def test_a_request_whose_plan_cannot_run_is_an_error_before_anything_is_measured(tmp_path: Path) -> None:
    loop = bench(tmp_path)
    with pytest.raises(MeasureError, match="seeds"):
        loop.measure(BETTER, seeds=(1, 2))
    with pytest.raises(MeasureError):
        loop.measure(BETTER, calibration=Calibration(sigma=1, dof=0, pool=(1.0,)))
    wrong = loop.measure().record.facts
    with pytest.raises(MeasureError, match="plan asks for"):
        measure(loop.request(BETTER, runs=wrong), loop.options(out=tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_submodules_stay_empty_and_that_is_said(tmp_path: Path) -> None:
    loop = bench(tmp_path, "import os\nprint(os.listdir('vendor'))\nprint('score: 1')")
    git(loop.repo, "update-index", "--add", "--cacheinfo", f"160000,{loop.base},lab/vendor")
    git(loop.repo, "commit", "-q", "-m", "submodule")
    loop.base = git(loop.repo, "rev-parse", "HEAD")
    sentences: list[str] = []
    record = measure(loop.request(), loop.options(progress=sentences.append)).record
    assert "[]\n" in record.runs[0].log
    assert "Note: submodules are left empty: lab/vendor" in sentences


def test_an_editable_file_that_is_a_link_is_refused(tmp_path: Path) -> None:
    loop = bench(tmp_path, files={"lab/real.py": PRINTS})
    (loop.repo / "lab" / "train.py").unlink()
    (loop.repo / "lab" / "train.py").symlink_to("real.py")
    loop.base = commit(loop.repo, {})
    assert "is a symbolic link in the base" in loop.measure().record.refused
