"""`pawl demo --proposer llm` against scripted servers of both languages that do everything real ones have done."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from world_kit import LOOP, NAME, run_pawl, world

from meta.model_servers import MODEL, Call, Language, Reply, model_server, submit, use
from pawl.core.chain import LEDGER_BRANCH, parse_lines
from pawl.core.ledger import IncidentLine, SpendLine, VerdictLine
from pawl.meta.means import Means

BETTER = submit({"STEP = 0.12": "STEP = 0.3"}, "Larger steps settle sooner.", 0.3)
WORSE = submit({"FRICTION = 0.4": "FRICTION = 0.95"}, "More friction calms.", 0.2)

FIRST: dict[Language, list[Reply]] = {
    "openai": [
        Reply(status=429, headers={"Retry-After": "1"}),
        Reply(status=429),
        Reply(cut=True, text="I am about to say something important"),
        Reply(text="I would rather talk about it."),
        Reply(calls=(Call("submit", "{not json"),)),
        use("no_such_tool", path="/etc/passwd"),
        use("read_file", path="../../etc/passwd"),
        submit({"this is not in the file": "x"}),
        submit({"import time": "import time\nimport ("}),
        BETTER,
    ],
    "anthropic": [
        Reply(status=529),
        Reply(status=429, headers={"Retry-After": "1"}),
        Reply(finish="refusal", text="I cannot help with circles."),
        Reply(cut=True, text="half a thought"),
        Reply(calls=(Call("submit", {"blocks": "all of them"}),)),
        Reply(thinking="Steps look small.", calls=(Call("read_file", {}), Call("search_ledger", {"query": "step"}))),
        BETTER,
    ],
}  # fmt: skip
OVERFLOW: dict[Language, str] = {
    "openai": "This model's maximum context length is 8192 tokens (context_length_exceeded)",
    "anthropic": "prompt is too long: 210000 tokens > 200000 maximum",
}


class Script:
    """Faults before the first edit, a dead proposal before the second, and plain edits ever after."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self.replies = iter(
            [*FIRST[language], Reply(status=400, error=OVERFLOW[language]), Reply(status=401), WORSE]
        )
        self.number = 0

    def __call__(self, body: dict[str, Any], count: int) -> Reply:
        self.number += 1
        more = submit({"PRESSURE_FIRST = 0.03": f"PRESSURE_FIRST = 0.0{self.number}"}, "Other pressure.")
        return next(self.replies, more)


def stored(home: Path, *words: str) -> str:
    (folder,) = (home / "packing" / "github" / "git").iterdir()
    return subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.timeout(400)
@pytest.mark.parametrize("language", ["openai", "anthropic"])
def test_the_loop_closes_through_everything_that_a_model_does(tmp_path: Path, language: Language) -> None:
    with model_server(language, Script(language)) as server:
        done = run_pawl(
            "demo", "--loop", "packing", "--experiments", "2", "--home", str(tmp_path), "--proposer", "llm",
            "--model", server.model, "--base-url", server.base_url, timeout=380,
            OPENAI_API_KEY="", ANTHROPIC_API_KEY="",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        assert all("ghs_" not in json.dumps(heard.body) for heard in server.heard), (
            "no token of GitHub's is sent"
        )

    lines = parse_lines(
        stored(tmp_path, "cat-file", "blob", f"{LEDGER_BRANCH}:packing/ledger-0001.jsonl"), "ledger"
    )
    verdicts = {line.experiment: line for line in lines if isinstance(line, VerdictLine)}
    assert set(verdicts) == {1, 2}
    assert verdicts[1].hypothesis.startswith("Larger steps")
    assert verdicts[1].predicted == 0.3
    spends = [line for line in lines if isinstance(line, SpendLine)]
    assert len(spends) >= 2, "a proposal that came to nothing has its line too"
    assert any(not line.proposed for line in spends)
    assert {model for line in spends for model in line.models} == {MODEL}
    assert all(line.tokens_in > 0 for line in spends if line.proposed)
    trace = json.loads(stored(tmp_path, "cat-file", "blob", "refs/pawl/traces/packing/1:proposal.json"))
    assert trace["schema_version"] == "ATIF-v1.8"
    assert any(step.get("tool_calls") for step in trace["steps"])


def test_another_model_than_the_pinned_one_stops_the_loop_until_a_person_resumes_it(tmp_path: Path) -> None:
    """The provider has quietly moved the name to a newer model; scores would no longer compare."""
    edits = iter(range(2, 99))
    seen = {"model": "scripted-2-20261201"}

    def script(body: dict[str, Any], count: int) -> Reply:
        made = submit({"SPREAD = 0.05": f"SPREAD = 0.0{next(edits)}"}, "Another spread.")
        return replace(made, model=seen["model"])

    with model_server("openai", script) as server, world(tmp_path, experiments=1) as here:
        agent = {"proposer": "llm", "model": server.model, "base_url": server.base_url, "pin": MODEL}
        here.town.configure(NAME, LOOP, 1, "main", agent)
        here.town.runner.start()
        here.town.start_app(NAME, Means(addresses=frozenset({server.base_url})))

        def incident() -> IncidentLine | None:
            return next((line for line in here.lines() if isinstance(line, IncidentLine)), None)

        found = here.wait(incident)
        assert found.stops == "loop"
        assert MODEL in found.reason
        assert seen["model"] in found.reason
        here.wait(
            lambda: any("halted by an incident" in str(each["body"]) for each in here.hub.store.all("issue"))
        )
        issue = here.api("GET", f"/repos/{NAME}/issues?labels=pawl:incident")[0]
        assert not here.verdicts()

        seen["model"] = MODEL
        here.api("POST", f"/repos/{NAME}/issues/{issue['number']}/labels", {"labels": ["pawl:resume"]})
        here.wait(lambda: 1 in here.verdicts())
        assert here.verdicts()[1].models == (MODEL,)
