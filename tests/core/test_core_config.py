"""The configuration: what it means, what is wrong with it and where, and that no text breaks its reader."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema
import pytest
from core_builders import evaluated, request, rules
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pawl.core.config import CONFIG_PATH, Loop, config_schema
from pawl.core.config_file import MAX_BYTES, ConfigError, Problem, parse_config
from pawl.core.measurement import Request

MINIMAL = """\
version: 1
loops:
  tune:
    edit: lab/train.py
    metric: {name: score, goal: maximize}
"""
FULL = """\
version: 1
loops:
  nanogpt:
    program: examples/nanogpt/program.md
    edit: examples/nanogpt/train.py
    metric: {name: val_bpb, goal: minimize, range: [0, 20]}
    budget: 5m
    grace: 2m
    run: {command: python train.py, cwd: examples/nanogpt, image: docker/experiment.Dockerfile, gpus: 1, memory: 16GiB}
    setup: pip install -r requirements.txt
    data: {/srv/corpus: /data}
    predict: {command: python train.py --predict, carry: [model.pt]}
    artifact: {path: logits.npy, format: npy, max_bytes: 200MB}
    evaluate:
      command: python evaluate.py --hard
      private: [examples/nanogpt/holdout/, examples/nanogpt/answers.json]
      data: {/srv/holdout: /holdout}
    guards: {peak_memory_mb: +10%, seconds: "<=400"}
    agent: {proposer: search}
    branch: research/nanogpt
    merge: auto
    accept: [unearned-auto, process-sandbox]
    limits: {experiments: 40, changed_lines: 100}
"""


def test_a_minimal_loop_and_its_defaults() -> None:
    loop = parse_config(MINIMAL).loops["tune"]
    assert loop.metric.sign == 1
    assert (loop.budget, loop.grace) == (300, 120)
    assert loop.program_path == "lab/program.md"
    assert (loop.folder, loop.cwd, loop.command) == ("lab", "lab", "python train.py")
    assert (loop.sandbox, loop.self_reported, loop.splits) == ("process", True, ("select",))
    assert loop.input_globs == ("lab/**",)
    assert loop.ignored_globs == ("lab/program.md", ".github/**")
    assert (loop.run.gpus, loop.run.cores, loop.run.memory) == (0, 1, 8 * 2**30)
    assert (loop.branch, loop.merge, loop.accept) == ("main", "review", ())
    assert (loop.limits.experiments, loop.limits.changed_lines) == (None, 300)
    assert loop.guards == {}


def test_a_full_loop() -> None:
    loop = parse_config(FULL).loops["nanogpt"]
    assert loop.metric.sign == -1
    assert (loop.sandbox, loop.self_reported, loop.splits) == ("docker", False, ("select", "seal"))
    assert loop.run.memory == 16 * 2**30
    assert loop.guards["peak_memory_mb"].ratio == pytest.approx(1.1)
    assert loop.input_globs == (
        "docker/experiment.Dockerfile",
        "examples/nanogpt/**",
        "examples/nanogpt/answers.json",
        "examples/nanogpt/answers.json/**",
        "examples/nanogpt/holdout",
        "examples/nanogpt/holdout/**",
    )
    paths = frozenset({"examples/nanogpt/evaluate.py", "examples/nanogpt/train.py"})
    assert loop.private_globs(paths) == (
        "examples/nanogpt/holdout/**",
        "examples/nanogpt/answers.json/**",
        "examples/nanogpt/holdout",
        "examples/nanogpt/answers.json",
        "examples/nanogpt/evaluate.py",
    )


def test_a_loop_at_the_top_of_a_repository() -> None:
    loop = rules(edit="train.py")
    assert (loop.folder, loop.cwd, loop.program_path, loop.command) == (
        "",
        "",
        "program.md",
        "python train.py",
    )
    assert loop.input_globs == ("**",)


def test_a_loop_whose_command_runs_elsewhere() -> None:
    loop = rules(edit="lab/a b.py", run={"cwd": "."})
    assert (loop.cwd, loop.command) == ("", "python 'lab/a b.py'")
    assert loop.input_globs == ("**", "lab/**")


def test_the_editable_file_is_always_an_input() -> None:
    """Without it a keep would not change the base's name, and verdicts on the old base would still count."""
    assert rules(inputs=["data/**"]).input_globs == ("data/**", "lab/train.py")


def test_the_rules_digest_is_of_what_a_measurement_depends_on() -> None:
    same = rules().rules_digest
    assert (
        rules(merge="auto", branch="dev", limits={"experiments": 3}, program="p.md", lanes=3).rules_digest
        == same
    )
    for change in ({"budget": "1m"}, {"run": {"cores": 2}}, {"guards": {"lines": "+5%"}}, {"setup": "make"}):
        assert rules(**change).rules_digest != same


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    said = [str(problem) for problem in caught.value.problems]
    assert str(caught.value) == "\n".join(said)
    return said


LOOP = "edit: lab/train.py\n    metric: {name: score, goal: maximize}"
MISTAKES: dict[str, tuple[str, str]] = {
    # name: what stands in the loop's place, and what is said about it
    "unknown key": (
        f"{LOOP}\n    budgte: 5m",
        "6:5: loops.tune.budgte: no such key; see docs/configuration.md for those there are (did you mean budget?)",
    ),
    "missing key": ("edit: lab/train.py", "3:3: loops.tune.metric: this key is missing"),
    "nested missing key": (
        "edit: a.py\n    metric: {name: x}",
        "5:5: loops.tune.metric.goal: this key is missing",
    ),
    "bad choice": (
        f"{LOOP}\n    merge: always",
        "6:5: loops.tune.merge: must be 'shadow', 'review' or 'auto', not 'always'",
    ),
    "duration": (
        f"{LOOP}\n    budget: 5 minutes",
        "6:5: loops.tune.budget: '5 minutes' is no duration; write for example 300s, 5m",
    ),
    "size": (
        f"{LOOP}\n    run: {{memory: lots}}",
        "6:11: loops.tune.run.memory: 'lots' is no size; write for example",
    ),
    "bound": (
        f"{LOOP}\n    guards: {{lines: 10}}",
        "6:14: loops.tune.guards.lines: 10 is no bound; write for example +10%",
    ),
    "guard's name": (
        f"{LOOP}\n    guards: {{'a b': +1%}}",
        "6:14: loops.tune.guards.a b: 'a b' is not allowed here",
    ),
    "leaves the repository": (
        "edit: ../x.py\n    metric: {name: s, goal: maximize}",
        "4:5: loops.tune.edit: '../x.py' is no path inside the repository",
    ),
    "absolute": (
        "edit: /etc/passwd\n    metric: {name: s, goal: maximize}",
        "4:5: loops.tune.edit: '/etc/passwd' is no path inside",
    ),
    "in .git": (
        "edit: .git/config\n    metric: {name: s, goal: maximize}",
        "4:5: loops.tune.edit: '.git/config' lies in .git",
    ),
    "workflow": (
        "edit: .github/workflows/x.yml\n    metric: {name: s, goal: maximize}",
        "3:3: loops.tune: edit lies in .github, which a candidate may never touch",
    ),
    "program is edit": (
        "edit: a.md\n    program: a.md\n    metric: {name: s, goal: maximize}",
        "3:3: loops.tune: edit and program are the same file",
    ),
    "empty command": (
        f"{LOOP}\n    setup: ''",
        "6:5: loops.tune.setup: a command is one line that is not empty",
    ),
    "quote": (
        f"{LOOP}\n    setup: echo 'oh",
        "6:5: loops.tune.setup: the command cannot be split into words",
    ),
    "pattern": (
        "edit: a.py\n    metric: {name: s, goal: maximize, pattern: '('}",
        "5:5: loops.tune.metric: pattern is no regular expression",
    ),
    "no group": (
        "edit: a.py\n    metric: {name: s, goal: maximize, pattern: 'x=1'}",
        "5:5: loops.tune.metric: pattern needs one group",
    ),
    "range": (
        "edit: a.py\n    metric: {name: s, goal: maximize, range: [1, 0]}",
        "5:5: loops.tune.metric: range is [smallest, largest]",
    ),
    "infinite": (
        "edit: a.py\n    metric: {name: s, goal: maximize, range: [0, .inf]}",
        "5:50: '.inf' is no float that can be used here",
    ),
    "own branch": (
        f"{LOOP}\n    branch: pawl/x",
        "6:5: loops.tune.branch: branches below pawl/ are Pawl's own",
    ),
    "branch": (
        f"{LOOP}\n    branch: 'a b'",
        "6:5: loops.tune.branch: 'a b' is not allowed here; it must match",
    ),
    "number": (
        f"{LOOP}\n    run: {{gpus: 2}}",
        "6:11: loops.tune.run.gpus: input should be less than or equal to 1, not 2",
    ),
    "yes for a number": (
        f"{LOOP}\n    run: {{gpus: true}}",
        "6:11: loops.tune.run.gpus: input should be a valid integer, not True",
    ),
    "text for a number": (
        f"{LOOP}\n    run: {{cores: '2'}}",
        "6:11: loops.tune.run.cores: input should be a valid integer, not '2'",
    ),
    "no list": (f"{LOOP}\n    inputs: lab/**", "6:5: loops.tune.inputs: must be a list, not 'lab/**'"),
    "item of a list": (
        f"{LOOP}\n    accept:\n    - process-sandbox\n    - all",
        "8:7: loops.tune.accept.1: must be 'process-sandbox', 'self-reported-metric', 'public-repository' or "
        "'unearned-auto', not 'all'",
    ),
    "artifact alone": (
        f"{LOOP}\n    artifact: {{path: x}}",
        "3:3: loops.tune: predict and artifact are for an evaluator",
    ),
    "evaluator alone": (
        f"{LOOP}\n    evaluate: {{command: python e.py}}",
        "3:3: loops.tune: evaluate needs artifact",
    ),
    "no lane": (f"{LOOP}\n    lanes: 0", "6:5: loops.tune.lanes: "),
    "lanes beside fleets": (
        f"{LOOP}\n    lanes: 2\n    fleets: {{a: {{labels: [gpu]}}}}",
        "3:3: loops.tune: where there are fleets, each of them says its own lanes",
    ),
    "fleet without labels": (
        f"{LOOP}\n    fleets: {{h100: {{lanes: 2}}}}",
        "6:14: loops.tune.fleets.h100.labels: this key is missing",
    ),
    "second time": (f"{LOOP}\n    edit: other.py", "6:5: the key 'edit' is here a second time"),
}


@pytest.mark.parametrize("mistake", sorted(MISTAKES))
def test_a_mistake_is_shown_where_it_is(mistake: str) -> None:
    body, said = MISTAKES[mistake]
    (only,) = wrong(f"version: 1\nloops:\n  tune:\n    {body}\n")
    assert only.startswith(f"{CONFIG_PATH}:{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "1:1: the file is empty; `pawl init` writes a first one"),
        ("# nothing\n", "1:1: the file is empty"),
        ("- a\n", "1:1: the file must be a mapping with the key `loops`"),
        ("hello", "1:1: the file must be a mapping"),
        ("loops: {}\n", "1:1: loops: it is empty; at least one is needed"),
        ("loops: [1]\n", "1:1: loops: must be a mapping of keys, not [1]"),
        (MINIMAL.replace("version: 1", "version: 2"), "1:1: version: must be 1, not 2"),
        (
            MINIMAL.replace("tune:", "Tune:"),
            "3:3: loops.Tune: 'Tune' is not allowed here; write lower-case letters, digits and dashes, 39 at most",
        ),
        (MINIMAL.replace("tune:", "ledger:"), "3:3: loops.ledger: 'ledger' is no name for a loop"),
        ("loops: [\n", "2:1: not YAML: "),
        ("a: b: c\n", "1:5: not YAML: mapping values are not allowed"),
        ("a:\n\t- b\n", "2:1: not YAML: found character '\\t'"),
        ("a: \x00", "1:1: not YAML: unacceptable character"),
        (MINIMAL + "---\na: 1\n", "6:1: not YAML: but found another document"),
        ("a: *b\n", "1:4: not YAML: found undefined alias"),
        (f"{MINIMAL}#{'x' * MAX_BYTES}", "1:1: the file is larger than 64 KiB"),
    ],
)
def test_a_file_that_is_no_configuration(text: str, said: str) -> None:
    assert said in f"{wrong(text)[0]}"[len(CONFIG_PATH) + 1 :]


def test_every_mistake_is_shown_at_once_from_the_top() -> None:
    said = wrong("loops:\n  tune:\n    budget: x\n    edit: /a\n    metric: {name: s, goal: up}\n")
    assert [line.split(": ")[0].split(":")[1] for line in said] == ["3", "4", "5"]


def test_an_alias_is_what_it_stands_for() -> None:
    config = parse_config(
        "loops:\n  a:\n    edit: a/t.py\n    metric: &m {name: s, goal: maximize}\n"
        "  b:\n    edit: b/t.py\n    metric: *m\n"
    )
    assert config.loops["a"].metric == config.loops["b"].metric


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(BOMB, "too much, or too deep", id="billion laughs"),
        pytest.param("loops: &a [*a]\n", "too much, or too deep", id="contains itself"),
        pytest.param("loops: &a {a: *a}\n", "too much, or too deep", id="contains itself, mapping"),
        pytest.param("[" * 40_000, "more than 50 brackets are open at once", id="brackets"),
        pytest.param("- " * 20_000, "lies too deep in itself", id="dashes"),
        pytest.param("? " * 20_000, "lies too deep in itself", id="questions"),
        pytest.param(MINIMAL + "    <<: {edit: b}\n", "merge keys (<<) are not supported", id="merge key"),
        pytest.param(
            "loops: !!python/object:os.system {}\n", "is not supported; write the value without", id="tag"
        ),
        pytest.param("loops: !!set {a, b}\n", "is not supported; write the value without it", id="set"),
        pytest.param("loops: !!omap [a: 1]\n", "is not supported; write the value without it", id="omap"),
        pytest.param("loops: !!binary abc\n", "is not supported; write the value without it", id="binary"),
        pytest.param("loops: !!int abc\n", "'abc' is no int that can be used here", id="tagged int"),
        pytest.param("? [a, b]\n: 1\n", "a key must be plain text", id="key that is a list"),
        pytest.param('loops: "\\ud800"\n', "half of a surrogate pair", id="surrogate"),
        pytest.param("loops: 0x" + "f" * 9000, "is no int that can be used here", id="long number"),
        pytest.param("%YAML 9.9\n---\na: 1\n", "incompatible YAML document", id="version of YAML"),
    ],
)
def test_what_yaml_can_do_to_a_reader_is_bounded(text: str, said: str) -> None:
    before = time.process_time()
    assert said in wrong(text)[0]
    assert time.process_time() - before < 5


PIECES = st.sampled_from(
    ["loops", "tune", "edit", ": ", ":", "\n", "  ", "- ", "{", "}", "[", "]", "&a ", "*a", "!!int ", "!x", "<<", "|",
     ">", "? ", "'", '"', "\\", "#", "%YAML 1.1\n", "---\n", "...\n", "1", "0x1", "1e5", ".nan", "2001-01-01", "~", "\t",
     "\ud800", "\x85", "\u2028", "é", "@", "`", ",", "metric", "goal", "range", "null",
     "true", "\x07", "0o17", "1:30", "=", "!<x> "]
)  # fmt: skip


@settings(deadline=None, max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(st.text(max_size=60), st.lists(PIECES, max_size=25).map("".join)))
@example("loops: \ud800")
@example("%TAG ! tag:x,2000:\n---\nloops: !x yes\n")
@example("%YAML 1.1\n---\na: 1e5\n")
@example("a: &x 1\nb: &x 2\n")
@example("? \n? a")
def test_any_text_is_read_or_refused(text: str) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        parse_config(text)
    except ConfigError as error:
        problems = error.problems
    assert all(problem.line >= 1 and problem.column >= 1 and problem.message for problem in problems)


SCHEMA = jsonschema.Draft202012Validator(config_schema())


def loops() -> st.SearchStrategy[dict[str, Any]]:
    """Loops as a user might write them, valid in every part."""
    path = st.from_regex(r"[a-z]{1,5}(/[a-z]{1,5}){0,2}\.py", fullmatch=True)
    word = st.from_regex(r"python [a-z]{1,8}\.py( --[a-z]{1,5})?", fullmatch=True)
    quantity = st.sampled_from(["5m", "90s", "1h30m", 45, 0.5])
    size = st.sampled_from(["200MB", "2GiB", 4096])
    low = st.floats(-1e6, 0, allow_nan=False)
    metric = st.fixed_dictionaries(
        {"name": st.sampled_from(["loss", "acc"]), "goal": st.sampled_from(["minimize", "maximize"])},
        optional={
            "pattern": st.just("loss=([0-9.]+)"),
            "range": st.tuples(low, st.floats(1, 1e300)).map(list),
        },
    )
    return st.fixed_dictionaries(
        {"edit": path, "metric": metric},
        optional={
            "budget": quantity,
            "grace": quantity,
            "setup": word,
            "run": st.fixed_dictionaries(
                {},
                optional={"command": word, "cwd": st.just("a/b"), "gpus": st.integers(0, 1), "memory": size},
            ),
            "data": st.just({"/srv/x": "/data"}),
            "guards": st.dictionaries(
                st.sampled_from(["memory", "lines"]), st.sampled_from(["+10%", "-5%", "<=4000", ">= -0.5"])
            ),
            "inputs": st.lists(st.sampled_from(["a/**", "*.py"])),
            "merge": st.sampled_from(["shadow", "review", "auto"]),
            "accept": st.lists(
                st.sampled_from(["process-sandbox", "self-reported-metric", "public-repository"])
            ),
            "limits": st.fixed_dictionaries({}, optional={"experiments": st.integers(1, 10**9)}),
            "branch": st.sampled_from(["main", "research/x"]),
        },
    )


@settings(deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(loops(), st.booleans())
def test_every_loop_survives_json(plain: dict[str, Any], with_evaluator: bool) -> None:
    """A loop crosses to the runner in a request and stays in the ledger; both times it must come back the same."""
    if with_evaluator:
        plain = {
            **plain,
            "artifact": {"path": "o.npy", "format": "npy", "max_bytes": "1MB"},
            "evaluate": {"command": "python e.py", "private": ["holdout/"], "data": {"/srv/h": "/h"}},
            "predict": {"command": "python p.py", "carry": ["m.pt"]},
        }
    SCHEMA.validate({"loops": {"x": plain}})
    loop = parse_config(json.dumps({"loops": {"x": plain}})).loops["x"]
    again = Loop.model_validate_json(loop.model_dump_json())
    assert again == loop
    assert again.rules_digest == loop.rules_digest
    assert Loop.model_validate(loop.model_dump(mode="json")) == loop


def test_the_schema_knows_the_example_and_its_mistakes() -> None:
    schema = config_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    loop = {"edit": "a.py", "metric": {"name": "s", "goal": "maximize"}}
    jsonschema.validate({"version": 1, "loops": {"x": loop}}, schema)
    mistakes: list[dict[str, Any]] = [
        {},
        {"loops": {}},
        {"loops": {"x": {}}},
        {"loops": {"x": {**loop, "typo": 1}}},
        {"loops": {"x": {**loop, "merge": "always"}}},
    ]
    for broken in mistakes:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


def test_a_loop_with_an_evaluator_survives_a_request() -> None:
    asked = request(rules=evaluated())
    assert Request.model_validate_json(asked.model_dump_json()) == asked
