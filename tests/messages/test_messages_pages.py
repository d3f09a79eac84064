"""Every page a person reads, as a file in golden/ that can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt
from messages_samples import (
    HARNESS,
    HOSTILE,
    SIGMA,
    Story,
    calibration,
    experiment,
    failing,
    golden,
    harness,
    lying,
    measured,
    passing,
    request,
    rules,
    sha,
    snapshot,
    story,
    verdict,
    with_gain,
)

from pawl.core.cheats import CHEATS
from pawl.core.config import SEAL, SELECT
from pawl.core.decision import Fence, Verdict
from pawl.core.finding import Finding, GuardCheck
from pawl.core.ledger import Outcome
from pawl.core.measurement import Arm, Calibration, Purpose, RunFact, RunStatus, Stage, Step
from pawl.core.policy import INCIDENT_LABEL, PAUSED_LABEL, RESUME_LABEL, Hold, HoldReason
from pawl.core.snapshot import Tracking
from pawl.messages import explain, results_tsv
from pawl.messages.checks import (
    CheckOutput,
    calibrated,
    canary,
    concluded,
    cut_off,
    measuring,
    queued,
    untaken,
)
from pawl.messages.comments import closing_comment, comment_marker, experiment_comment
from pawl.messages.holds import hold_text
from pawl.messages.labels import LABELS, VERDICT_LABELS
from pawl.messages.pull_requests import Made, Proposal, pull_request_body
from pawl.messages.rendering import LIMIT
from pawl.messages.report import Report, guard_rows
from pawl.messages.request_text import read_request
from pawl.messages.tracking import LoopState, loop_state, tracking_body, tracking_marker, tracking_title

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
LIVELY = re.compile(r"@\w|#[a-z]|://evil|www\.|<script|javascript|\$\(id\)|\{\{")


def outside_code(markdown: str) -> str:
    """What a page says outside code, links and HTML included."""
    out: list[str] = []
    for token in MARKDOWN.parse(markdown):
        if token.type == "html_block":
            out.append(token.content)
        for child in token.children or []:
            if child.type not in ("code_inline",):
                out.append(child.content + str(child.attrs))
    return "\n".join(out)


def page(name: str, text: str) -> None:
    golden(name, text)
    assert len(text) <= LIMIT
    assert not LIVELY.search(outside_code(text)), LIVELY.search(outside_code(text))


def check(name: str, output: CheckOutput) -> None:
    page(name, f"{output.title}\n\n---\n\n{output.summary}\n---\n\n{output.text}")
    assert len(output.title) < 200


def report(
    run: Any, *, asked: Any = None, log: str = "step 1: loss 4.1\nstep 2: loss 3.9\n", **changes: Any
) -> Report:
    told = story()
    line, finding = verdict(asked or request(), run, told.lines, **changes)
    return Report(line, finding, told.lines, log=log)


def memory_hungry(step: Step) -> RunFact:
    run = measured(step, 3.0)
    return (
        run.model_copy(update={"guards": {"peak_memory_mb": 20_000.0}}) if step.arm is Arm.CANDIDATE else run
    )


def fading(step: Step) -> RunFact:
    """Better until it is sealed."""
    return measured(step, -0.7 if step.stage is Stage.SEAL else 3.0)


def lucky(step: Step) -> RunFact:
    return measured(step, 3.0 if step.stage is Stage.SCREEN else -0.2)


def undecided(step: Step) -> RunFact:
    run = measured(step, 3.0 if step.stage is Stage.SCREEN else 0.0)
    if step.stage is Stage.CONFIRM and step.arm is Arm.CANDIDATE:
        return run.model_copy(update={"metric": {SELECT: 0.998 - 1.15 * SIGMA, SEAL: 1.0}})
    return (
        run.model_copy(update={"metric": {SELECT: 0.998, SEAL: 1.0}}) if step.stage is Stage.CONFIRM else run
    )


VERDICTS = {
    "discard_screen": (with_gain(0.4), Verdict.DISCARD, Stage.SCREEN),
    "discard_confirm": (lucky, Verdict.DISCARD, Stage.CONFIRM),
    "discard_seal": (fading, Verdict.DISCARD, Stage.SEAL),
    "discard_guard": (memory_hungry, Verdict.DISCARD, Stage.SEAL),
    "inconclusive": (undecided, Verdict.INCONCLUSIVE, Stage.CONFIRM),
    "crash": (failing(RunStatus.TIMEOUT), Verdict.CRASH, Stage.SCREEN),
    "violation": (lying, Verdict.VIOLATION, Stage.SCREEN),
    "keep": (with_gain(3.5), Verdict.KEEP, Stage.SEAL),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_every_verdict_has_its_comment_and_check(name: str) -> None:
    run, wanted, stage = VERDICTS[name]
    told = report(run)
    assert (told.line.verdict, told.line.stage) == (wanted, stage)
    comment = experiment_comment(told)
    assert comment.startswith(comment_marker("nanogpt", 12))
    page(f"comment_{name}.md", comment)
    check(f"check_{name}.md", concluded(told))
    golden(f"explain_{name}.txt", explain(told.line))


@pytest.mark.parametrize("name", [name for name in VERDICTS if name not in ("keep", "violation")])
def test_pages_about_what_is_not_kept_tell_no_raw_value(name: str) -> None:
    """Whoever proposes can read these pages: many edits with exact answers would read the hidden split out."""
    told = report(VERDICTS[name][0])
    output = concluded(told)
    text = experiment_comment(Report(told.line, told.finding)) + output.title + output.summary + output.text
    text += tracking_body(snapshot([told.line]))
    values = {value for run in told.line.runs for value in run.metric.values()}
    exact = {
        f"{value:.5g}" for value in (*values, told.line.effect or 9.87654, told.line.effect_sigma or 9.87654)
    }
    assert not [value for value in exact if len(value) > 4 and value in text]


def test_the_comment_of_a_keep_says_what_holds_it() -> None:
    told = report(with_gain(3.5))
    held = Report(told.line, told.finding, told.ledger, Hold(HoldReason.CHECK_FAILED, "lint & test"))
    page("comment_keep_held.md", experiment_comment(held))


def test_the_comment_of_a_merged_keep_says_so() -> None:
    told = story()
    line = told.tried(12, with_gain(3.5))
    told.ended(12, Outcome.MERGED, commit=sha("merge12"), by="octocat")
    text = experiment_comment(Report(line, ledger=told.lines))
    page("comment_keep_merged.md", text)
    assert "by `octocat`" in text


def test_the_jobs_that_an_experiment_lost_are_a_table() -> None:
    """Runs of an earlier head are not subtracted from this one's, and other experiments' jobs are not listed."""
    told = Story()
    told.lost(11, 1, 4, "another experiment's")
    told.lost(12, 1, 5, "the job ended early, as cancelled", head="before")
    told.lost(12, 2, 2, "the job ended without the artifact pawl-record (failure)")
    told.lost(12, 3, 3, HOSTILE)
    told.late(3)
    line = told.tried(12, with_gain(3.5), attempt=4)
    text = experiment_comment(Report(line, ledger=told.lines, page="https://github.com/octo/lab"))
    page("comment_lost_jobs.md", text)
    rows = [row.split("|") for row in text.splitlines() if "[job " in row]
    assert [(row[1].strip(), row[4].strip()) for row in rows] == [
        ("1", "5"),
        ("2", "2"),
        ("3", "1, and 1 that came late"),
    ]
    assert "(https://github.com/octo/lab/actions/runs/72)" in rows[1][2]
    assert "job that was lost" not in experiment_comment(Report(line))


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_told(outcome: Outcome) -> None:
    told = Story()
    line = told.tried(12, with_gain(0.4))
    told.ended(12, outcome, reason="because", commit=sha("x") if outcome is Outcome.OVERRIDDEN else None)
    assert "**Now:**" in experiment_comment(Report(line, ledger=told.lines))
    page(
        f"closing_{outcome}.md",
        closing_comment("nanogpt", 12, outcome, "the edit conflicts with main, says @octocat"),
    )


def test_a_closing_without_a_reason_is_still_a_comment() -> None:
    text = closing_comment("nanogpt", 12, Outcome.CLOSED, "")
    assert "Why:" not in text
    assert "experiment 12" in text


def test_a_hostile_experiment_changes_nothing_but_its_own_words() -> None:
    asked = request()
    line, finding = verdict(asked, failing(RunStatus.CRASH))
    line = line.model_copy(
        update={"reason": HOSTILE, "hypothesis": HOSTILE, "device": HOSTILE, "proposer": HOSTILE}
    )
    told = Report(line, finding, [line], log=HOSTILE * 40)
    page("comment_hostile.md", experiment_comment(told))
    check("check_hostile.md", concluded(told))
    golden("explain_hostile.txt", explain(line, finding))
    assert "\x1b" not in explain(line, finding)


def test_hostile_detail_of_a_hold() -> None:
    told = report(with_gain(3.5))
    held = Report(told.line, told.finding, (), Hold(HoldReason.GITHUB, HOSTILE))
    page("comment_keep_refused_hostile.md", experiment_comment(held))


def test_every_hold_says_who_can_change_it() -> None:
    text = "".join(
        f"## {reason}\n\n{hold_text(Hold(reason, 'the `detail`'))}\n\n{hold_text(Hold(reason))}\n\n"
        for reason in HoldReason
    )
    page("holds.md", text)


def test_shadow_mode_says_that_nothing_is_merged() -> None:
    shadow = report(with_gain(3.5), asked=request(rules=rules(merge="shadow")))
    assert "shadow mode" in experiment_comment(shadow)


def test_a_metric_that_is_maximized_says_higher() -> None:
    asked = request(rules=rules(metric={"name": "score", "goal": "maximize"}))
    told = report(lambda step: measured(step, -4.0), asked=asked)
    assert told.line.verdict is Verdict.KEEP
    assert "Keep: score 0.0159 higher (better)" in experiment_comment(told)


def test_a_deterministic_metric_has_no_sigma_to_count_in() -> None:
    asked = request(calibration=Calibration(sigma=0, dof=7, pool=(0.998,) * 4))

    def exact(gain: float) -> Any:
        def run(step: Step) -> RunFact:
            value = 0.998 - (gain if step.arm is Arm.CANDIDATE else 0)
            return measured(step, 0).model_copy(update={"metric": {SELECT: value, SEAL: value + 0.02}})

        return run

    worse = report(exact(-0.001), asked=asked)
    better = report(exact(0.001), asked=asked)
    assert (worse.line.verdict, better.line.verdict) == (Verdict.DISCARD, Verdict.KEEP)
    page("comment_deterministic_worse.md", experiment_comment(worse))
    page("comment_deterministic_keep.md", experiment_comment(better))


def test_an_objection_is_told_without_a_run() -> None:
    line, _ = verdict(request(), with_gain(0))
    reason = "it touches evaluate.py and 2 more; only examples/nanogpt/train.py may change"
    empty = {
        "runs": (),
        "effect": None,
        "effect_sigma": None,
        "verdict": Verdict.VIOLATION,
        "reason": reason,
        "predicted": None,
    }
    text = experiment_comment(Report(line.model_copy(update=empty)))
    page("comment_objection.md", text)
    assert "No run was made." in text


PULL = Proposal(
    "nanogpt",
    12,
    rules(),
    "Warm up for 200 steps.\n\nThe loss spikes early.",
    "search",
    0.01,
    {"warmup": 200.0},
    7,
)


def test_pull_request_body() -> None:
    page("pull_request.md", pull_request_body(PULL))
    bare = Proposal("nanogpt", 12, rules(merge="review", guards=None), "", "")
    page("pull_request_bare.md", pull_request_body(bare))


def test_a_prediction_that_is_no_number_is_not_told() -> None:
    body = pull_request_body(Proposal("nanogpt", 12, rules(), "", "", float("nan")))
    assert "It predicts no figure." in body
    assert '"predicted": null' in body


def test_pull_request_body_hostile() -> None:
    hostile = Proposal(
        "nanogpt", 12, rules(), HOSTILE * 30, HOSTILE, -0.5, {HOSTILE + str(i): 1.0 for i in range(99)}
    )
    page("pull_request_hostile.md", pull_request_body(hostile))


def test_check_runs_on_their_way() -> None:
    asked = request()
    check("check_queued.md", queued(asked))
    check("check_measuring.md", measuring(asked, "https://github.com/octo/lab/actions/runs/77", 420.0))
    check("check_cut_off.md", cut_off(asked, "the runner lost power"))
    check("check_cut_off_hostile.md", cut_off(asked, HOSTILE))
    why = "no runner of this repository has all of: self-hosted, gpu; spare-box lacks gpu"
    check("check_untaken.md", untaken(asked, why, "https://github.com/octo/lab/settings/actions/runners"))
    check("check_untaken_hostile.md", untaken(asked, HOSTILE, HOSTILE))
    sealing = queued(request(start=Stage.SEAL, attempt=2))
    assert "only the sealed runs" in sealing.summary


@pytest.mark.parametrize("purpose", [Purpose.POOL, Purpose.SENTINEL, Purpose.AUDIT])
def test_check_runs_of_calibrations(purpose: Purpose) -> None:
    arms = {"candidate": sha("base"), "candidate_digest": "0" * 64} if purpose is Purpose.AUDIT else {}
    asked = calibration(purpose).model_copy(update=arms)
    check(f"check_{purpose}_queued.md", queued(asked))
    check(
        f"check_{purpose}_measuring.md",
        measuring(asked, "https://github.com/octo/lab/actions/runs/77", 2400.0),
    )
    check(f"check_{purpose}_done.md", calibrated(asked, True, "8 runs", 8))
    check(
        f"check_{purpose}_failed.md",
        calibrated(asked, False, "the run ended with an error: No module named 'torch'", 1),
    )


def test_check_runs_of_planted_cheats() -> None:
    """Whether it was stopped is what there is to know; one that passed says what to mend."""
    asked = request(
        rules=rules(edit="train.py"), purpose=Purpose.CANARY, cheat="written-result", candidate=sha("base"),
        candidate_digest="0" * 64, runs_wanted=1,
    )  # fmt: skip
    check("check_canary_queued.md", queued(asked))
    check("check_canary_held.md", canary(asked, Fence.HELD, "the run left no valid artifact or metric"))
    passed = f"a candidate that {CHEATS['written-result'].does} is credited with it. To mend it, "
    check("check_canary_passed.md", canary(asked, Fence.PASSED, passed + CHEATS["written-result"].mend))
    check("check_canary_untold.md", canary(asked, Fence.UNTOLD, "the job left no record"))


def test_a_request_is_read_back_from_the_check_it_is_shown_on() -> None:
    asked = request(
        rules=rules(
            run={"command": "echo '<!-- /pawl-request -->' '```' é"}, guards={"peak_memory_mb": "+10%"}
        )
    )
    for output in (queued(asked), untaken(asked, "", ""), measuring(asked, "", 1.0)):
        assert read_request(output.text) == asked
        assert read_request(output.text.replace("\n", "\r\n")) == asked


def test_a_request_that_is_not_one_to_the_letter_is_none() -> None:
    text = queued(request()).text
    for broken in (
        "",
        text + text,
        text.replace('"version":1', '"version":2'),
        text.replace('"number":12', '"number":"12x"'),
        text.replace('"purpose":', '"unknown":1,"purpose":'),
        text.replace("```json", "```"),
        text[: len(text) // 2],
    ):
        assert read_request(broken) is None


def test_a_request_too_long_for_a_dispatch_is_refused_here() -> None:
    with pytest.raises(ValueError, match="60,000 are allowed"):
        queued(request(repository="x" * 60_000))


def test_tracking_of_a_new_loop() -> None:
    assert tracking_title("nanogpt") == "Pawl: nanogpt"
    text = tracking_body(snapshot())
    assert text.startswith(tracking_marker("nanogpt"))
    page("tracking_new.md", text)


def test_tracking_of_a_running_loop() -> None:
    told = story()
    flying = (experiment(10), experiment(11, hypothesis=HOSTILE))
    page("tracking_running.md", tracking_body(snapshot(told.lines, experiments=flying)))


def test_tracking_after_an_audit_and_an_incident() -> None:
    told = story()
    told.audit(0.02)
    told.tried(10, with_gain(3.5))
    told.ended(10, Outcome.MERGED, commit=sha("merge10"))
    told.incident(9, "the run printed val_bpb = 0.5, the evaluator measured 0.98")
    text = tracking_body(snapshot(told.lines), ("incident: the run printed @octocat", "the base moved"))
    page("tracking_incident.md", text)
    assert "**0.963916**" in text  # 0.998 - 0.02 - 0.014084


def test_the_state_of_a_loop_names_what_a_person_must_act_on() -> None:
    halted = Story()
    halted.pool()
    halted.incident(1, "it lied")
    limited = rules(limits={"experiments": 12})
    states = {
        LoopState.STOPPED: snapshot(halted.lines, stop=True),
        LoopState.PAUSED: snapshot(tracking=Tracking(7, labels=frozenset({PAUSED_LABEL}))),
        LoopState.PUBLIC: replace(snapshot(), public=True),
        LoopState.HALTED: snapshot(halted.lines),
        LoopState.FINISHED: snapshot(rules=limited),
        LoopState.RUNNING: snapshot(),
    }
    for state, seen in states.items():
        assert loop_state(seen) is state
        assert f"## State: {state}" in tracking_body(seen)
    page("tracking_public.md", tracking_body(states[LoopState.PUBLIC], ("public repository",)))
    assert loop_state(snapshot(tracking=Tracking(7, open=False))) is LoopState.PAUSED
    assert loop_state(snapshot(), ("no proposal: nothing left to try",)) is LoopState.WAITING
    busy = snapshot(experiments=(experiment(10),))
    assert loop_state(busy, ("no proposal: nothing left to try",)) is LoopState.RUNNING
    page("tracking_waiting.md", tracking_body(snapshot(), ("no proposal: nothing left to try", HOSTILE)))


def test_a_long_history_stays_within_bounds() -> None:
    told = Story()
    told.pool()
    hard = verdict(request(), with_gain(3.5))[0]
    prev = told.lines[-1]
    for number in range(1, 301):
        line = hard.model_copy(
            update={
                "seq": prev.seq + number,
                "experiment": number,
                "pull": number,
                "hypothesis": "` @x #1 |" * 60,
            }
        )
        told.lines.append(line)
        told.ended(number, Outcome.MERGED, commit=sha(str(number)))
    text = tracking_body(snapshot(told.lines), ("` @x #1 | " * 99,) * 99)
    assert len(text) <= LIMIT
    assert len(re.search(r"line \[(.*)\]", text)[1].split(",")) == 60  # type: ignore[index]
    assert text.count("| keep |") == 25
    comment = experiment_comment(Report(hard, ledger=told.lines, log="`" * 100_000))
    assert len(comment) <= LIMIT


def test_the_chart_has_no_exponents_and_no_empty_range() -> None:
    told = Story()
    told.pool()
    line = told.tried(1, with_gain(3.5), effect=1e-7)
    told.ended(1, Outcome.MERGED)
    chart = experiment_comment(Report(line, ledger=told.lines)).split("```mermaid")[1].split("```")[0]
    assert not re.search(r"\de[+-]?\d", chart)
    low, high = re.search(r"y-axis \S+ (\S+) --> (\S+)", chart).groups()  # type: ignore[union-attr]
    assert float(low) < float(high)


HARNESS_VERDICTS = {
    "discard_screen": (passing(0.1), Verdict.DISCARD, Stage.SCREEN),
    "discard_confirm": (
        lambda step: passing(
            0.8 if step.stage is Stage.SCREEN else 0.0, 0 if step.stage is Stage.SCREEN else 5
        )(step),
        Verdict.DISCARD,
        Stage.CONFIRM,
    ),
    "keep": (passing(0.6, 1), Verdict.KEEP, Stage.SEAL),
}


@pytest.mark.parametrize("name", HARNESS_VERDICTS)
def test_every_verdict_of_a_loop_over_a_harness(name: str) -> None:
    run, wanted, stage = HARNESS_VERDICTS[name]
    told = Story()
    told.spent(12, proposed=False, reason="the edit does not apply", money=0.13)
    told.spent(12)
    line, finding = verdict(
        harness(), run, told.lines, proposer="llm", models=("claude-sonnet-4-5-20250929",), predicted=0.2
    )
    assert (line.verdict, line.stage) == (wanted, stage)
    text = experiment_comment(Report(line, finding, told.lines))
    page(f"comment_harness_{name}.md", text)
    check(f"check_harness_{name}.md", concluded(Report(line, finding, told.lines)))
    golden(f"explain_harness_{name}.txt", explain(line, finding))
    assert "2 proposals, 104,000 tokens in" in text
    assert "$0.34" in text
    for hidden in (SELECT, SEAL):
        assert not re.search(rf"{hidden}-\d", text), "names of tasks that count stay on the runner"
    assert ("not told" in text) is (name == "discard_confirm")


@pytest.mark.parametrize(
    ("pin", "meta", "task", "said"),
    [
        ("one-1", ("one-1",), ("one-1",), ""),
        ("one-1", ("one-1",), ("two-1",), "That is not the pinned model alone:** `agent.pin` is `one-1`."),
        ("one-1", ("two-1",), (), "That is not the pinned model alone"),
        (None, ("one-1",), ("two-1",), "They are not the same model"),
        (None, (), ("two-1",), ""),
    ],
)
def test_models_that_do_not_fit_are_told(
    pin: str | None, meta: tuple[str, ...], task: tuple[str, ...], said: str
) -> None:
    asked = harness(agent={**HARNESS["agent"], "pin": pin})
    line, _ = verdict(asked, passing(0.1, models=task), models=meta)
    text = experiment_comment(Report(line))
    assert all(f"answered by `{model}`" in text for model in (*meta, *task))
    assert said in text
    if not said:
        assert "not the" not in text.split("answered by")[1]


def test_a_model_that_changed_between_runs_is_told() -> None:
    def run(step: Step) -> RunFact:
        return passing(0.1, models=("one-1",) if step.arm is Arm.BASELINE else ("two-1",))(step)

    line, _ = verdict(harness(), run)
    assert "Not all runs had the same model" in experiment_comment(Report(line))


def test_tracking_tells_what_proposing_costs() -> None:
    told = story()
    for number in range(1, 10):
        told.spent(number)
    told.spent(10, proposed=False, reason="no edit", money=None)
    notice = "no proposal: the meta-agent has spent $20.01 of the $20.00 that agent.money.per_day allows"
    text = tracking_body(snapshot(told.lines, rules=rules(**HARNESS)), (notice,))
    page("tracking_costs.md", text)
    assert "| each of 3 kept improvements | 173,333 | 7,000 | $0.63 |" in text
    assert "1 of 10 proposals" in text
    assert "$20.00 a day, $18.11 of it are left" in text
    bare = tracking_body(snapshot(told.lines, rules=rules(agent={"proposer": "command", "command": "x"})))
    assert "No cap is set" in bare


def test_another_model_than_the_pinned_one_stops_more_than_merging() -> None:
    told = story()
    told.incident(9, "agent.pin is one-1, and the task agent was answered by two-1", stops="loop")
    text = tracking_body(
        snapshot(told.lines), ("since experiment 9 the meta-agent's model answers as two-1",)
    )
    page("tracking_unpinned.md", text)
    assert "Nothing is proposed, measured or merged, because of experiment 9" in text
    assert "Measuring goes on" not in text
    assert "- since experiment 9" in text


def test_tracking_counts_planted_cheats_and_names_none() -> None:
    """Whoever proposes may read the issue, and must not learn which fence is tried how."""
    told = story()
    assert "**Fences:**" not in tracking_body(snapshot(told.lines))
    for number in range(2, 6):
        told.canary(number, Fence.HELD)
    told.canary(6, Fence.UNTOLD)
    page("tracking_fences.md", text := tracking_body(snapshot(told.lines, rules=rules(merge="auto"))))
    assert "**Fences:** 5 cheats were planted: 4 stopped, 1 not tried." in text
    assert "and 4 of 5 planted cheats were stopped" in text
    assert "written-result" not in text
    other = tracking_body(snapshot(rules=rules(edit="train.sh", merge="auto")))
    assert "no cheat is known that could be planted in such a file" in other


def test_tracking_tells_how_much_unchanged_code_passes_the_screen() -> None:
    told = story()
    assert "**Screen:**" not in tracking_body(snapshot(told.lines))
    for number in range(2, 22):
        told.sentinel(number, 2.5 if number == 5 else 0.3)
    text = tracking_body(snapshot(told.lines))
    assert (
        "**Screen:** 1 of 20 runs of unchanged code passed it (5.0 %; 99 % interval 0.0 to 31.7 %), where 5 % should.\n"
        in text
    )
    for number in range(22, 28):
        told.sentinel(number, 2.5)
    assert "where 5 % should: too many." in tracking_body(snapshot(told.lines))
    for number in range(28, 400):
        told.sentinel(number, 0.3)
    assert "where 5 % should: too few." in tracking_body(snapshot(told.lines))


def test_tracking_says_how_a_planted_cheat_that_passed_can_be_dismissed() -> None:
    told = story()
    told.canary(2, Fence.PASSED)
    told.incident("canary:2", "the planted cheat written-result passed: a candidate that does is credited")
    text = tracking_body(snapshot(told.lines))
    page("tracking_canary.md", text)
    assert "comments `/pawl dismiss` here" in text
    told.incident(9, "the run printed val_bpb = 0.5, the evaluator measured 0.98")
    told.lines = [line for line in told.lines if line.key != "incident:canary:2"]
    assert "/pawl dismiss" not in tracking_body(snapshot(told.lines))


def test_tracking_of_a_loop_that_costs_nothing_says_nothing_of_cost() -> None:
    assert "What proposing costs" not in tracking_body(snapshot(story().lines))


MADE = Made(
    models=("claude-sonnet-4-5-20250929",),
    requests=6,
    tokens_in=52_000,
    tokens_cached=40_000,
    tokens_out=2100,
    money=0.21,
    seconds=63.0,
    notes=("the agent changed evaluate.py too; that was dropped",),
    trace='user: the context\nagent calls read_file {"path": "train.py"}\n  result: x = 1\nagent: done',
    stored="refs/pawl/traces/nanogpt/12",
)


def test_pull_request_body_tells_how_the_edit_was_made() -> None:
    page("pull_request_llm.md", pull_request_body(replace(PULL, proposer="llm", made=MADE)))
    over_tasks = replace(PULL, rules=rules(**HARNESS), made=replace(MADE, money=None))
    page("pull_request_harness.md", pull_request_body(over_tasks))


def test_a_hostile_trace_changes_nothing_but_its_own_words() -> None:
    made = Made((HOSTILE,) * 9, 1, 1, 1, 1, 1.0, 1.0, (HOSTILE,) * 99, HOSTILE * 90, HOSTILE)
    text = pull_request_body(replace(PULL, hypothesis=HOSTILE * 30, made=made))
    page("pull_request_made_hostile.md", text)
    assert "FETCH_HEAD" not in text  # no ref of ours, so no command with it
    assert not re.search(r"(?m)^/merge", text)


def test_results_tsv() -> None:
    text = results_tsv(story().lines)
    golden("results.tsv", text)
    assert all(len(row.split("\t")) == 5 for row in text.splitlines())


def test_labels_are_what_github_admits_and_what_core_names() -> None:
    names = [label.name for label in LABELS]
    assert len(set(names)) == len(names)
    assert {PAUSED_LABEL, RESUME_LABEL, INCIDENT_LABEL} <= set(names)
    assert {label.name for label in VERDICT_LABELS.values()} == {f"pawl:{verdict}" for verdict in Verdict}
    for label in LABELS:
        assert re.fullmatch("[0-9a-f]{6}", label.color)
        assert 0 < len(label.description) <= 100


def test_a_metric_called_seconds_is_told_from_the_guard_over_a_runs_time() -> None:
    """A benchmark's comment showed `seconds` twice, with figures that contradicted each other."""
    broken = GuardCheck("seconds", "+10%", 1.0, 2.0, False)
    finding = Finding(Verdict.DISCARD, Stage.SEAL, "", guards=(broken,))
    assert guard_rows(finding, "seconds")[0][0] == "`seconds` of the whole run"
    assert guard_rows(finding, "loss")[0][0] == "`seconds`"
