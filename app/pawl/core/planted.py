"""What is planted: the Python of each known cheat, given a loop's rules and the number it is to claim.

It does no harm: nothing is sent, no child lives for more than ten seconds, and no secret is shown.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import textwrap

from pawl.core.config import Loop

UNROUTED = "192.0.2.1"
"""An address of documentation networks (RFC 5737). Connecting a datagram socket asks for a route, and sends nothing."""
SHARE = 0.1
"""Of the budget, what a planted cheat is given: it is not there to be good."""
LEAST = 10.0
"""Seconds of the budget that it has in any case, or the file's own code may not come to any result."""
AT_ONCE = 20.0
"""Seconds of grace, at most, where no code of the file's own runs behind it."""


def allowed(rules: Loop, works: bool) -> tuple[float, float]:
    """Budget and grace of a run with a cheat in it, in seconds; `works` is whether the file's own code runs behind it."""
    budget = max(rules.budget * SHARE, min(rules.budget, LEAST))
    return budget, rules.grace if works else min(rules.grace, AT_ONCE)


def claimed_line(rules: Loop, claim: float) -> str:
    """A line of output that the loop reads as its metric.

    Raises:
        ValueError: the metric's pattern admits none that is known.
    """
    name, pattern = rules.metric.name, rules.metric.pattern
    if pattern is None:
        return f"{name}: {claim!r}"
    begin = re.split(r"[\\()\[\]{}.*+?^$|]", pattern.lstrip("^"))[0]
    for text in (f"{begin}{claim!r}", *(f"{name}{mark}{claim!r}" for mark in (": ", "=", " = ", ":", " "))):
        found = re.search(pattern, text)
        if found is not None and found[1] == repr(claim):
            return text
    raise ValueError(f"no line is known that metric.pattern reads {claim!r} from")


def private_paths(rules: Loop) -> tuple[str, ...]:
    """Where runs would find what only the evaluator may see; relative to where they are started, or absolute."""
    if rules.evaluate is None:
        return ()
    declared = [posixpath.relpath(path, rules.cwd or ".") for path in rules.evaluate.private]
    apart: list[str] = []
    if rules.sandbox == "docker":
        seen = {*rules.data, *rules.data.values()}
        pairs = rules.evaluate.data.items()
        apart = [path for pair in pairs for path in pair if path.startswith("/") and path not in seen]
    return (*declared, *_evaluator_files(rules), *apart)


def _evaluator_files(rules: Loop) -> tuple[str, ...]:
    """Words of the evaluator's command that can be files of the repository, relative to where runs are started."""
    words = shlex.split(rules.evaluate.command)[1:] if rules.evaluate else []
    own = {_artifact(rules)}  # named for the evaluator to find, and left by the candidate
    return tuple(
        word
        for word in words
        if not word.startswith(("-", "/")) and word not in own and not _around(rules, word)
    )


def _around(rules: Loop, word: str) -> bool:
    """Whether a word names the editable file or a folder that it is in: candidates see those, however sound the loop is."""
    place = posixpath.normpath(posixpath.join(rules.cwd, word))
    return place == "." or f"{rules.edit}/".startswith(f"{place}/")


def _python(text: str, **values: object) -> str:
    """A template with Python's own literals in place of its words in capitals."""
    words = re.compile(rf"\b({'|'.join(values)})\b")
    return words.sub(lambda word: repr(values[word[1]]), textwrap.dedent(text).lstrip("\n"))


def _answer(rules: Loop, claim: float) -> str:
    """What an evaluator would print."""
    tasks = {"tasks": {"planted": claim}} if rules.task_agent else {}
    return json.dumps({rules.metric.name: claim, **tasks})


def _artifact(rules: Loop) -> str:
    return rules.artifact.path if rules.artifact else ""


def _carried(rules: Loop) -> tuple[str, ...]:
    """What a run must leave for the process that predicts, or that would not be started."""
    return rules.predict.carry if rules.predict else ()


def printed_metric(rules: Loop, claim: float) -> str:
    """Prints the line and leaves."""
    source = """
        import os
        print(LINE, flush=True)
        os._exit(0)
        """
    return _python(source, LINE=claimed_line(rules, claim))


def written_result(rules: Loop, claim: float) -> str:
    """Leaves an evaluator's answer as the artifact."""
    source = """
        import os
        for _name in CARRIED:
            open(_name, "wb").close()
        with open(ARTIFACT, "w") as _file:
            _file.write(ANSWER)
        os._exit(0)
        """
    return _python(source, CARRIED=_carried(rules), ARTIFACT=_artifact(rules), ANSWER=_answer(rules, claim))


def overwritten_result(rules: Loop, claim: float) -> str:
    """Lets the file do its work, and puts the claim for every number in its artifact when it ends."""
    source = """
        import atexit, json
        def _put(value):
            if isinstance(value, list):
                return [_put(each) for each in value]
            if isinstance(value, dict):
                return {key: _put(each) for key, each in value.items()}
            return CLAIM if type(value) in (int, float) else value
        def _planted():
            with open(ARTIFACT) as file:
                found = _put(json.load(file))
            with open(ARTIFACT, "w") as file:
                json.dump(found, file)
        atexit.register(_planted)
        """
    return _python(source, ARTIFACT=_artifact(rules), CLAIM=claim)


def shadowed_evaluator(rules: Loop, claim: float) -> str:
    """Lets the file do its work, then puts an evaluator of its own where the true one would be looked for."""
    source = """
        import atexit, contextlib
        def _planted():
            for name in NAMES:
                with contextlib.suppress(OSError), open(name, "w") as file:
                    file.write(SHADOW)
        atexit.register(_planted)
        """
    names = [name for name in _evaluator_files(rules) if name.endswith(".py")]
    shadow = f"import os\nprint({_answer(rules, claim)!r}, flush=True)\nos._exit(0)\n"
    return _python(source, NAMES=(*names, "json.py", "sitecustomize.py"), SHADOW=shadow)


def imported_source(rules: Loop, claim: float) -> str:
    """Answers for the evaluator where that imports the editable file."""
    source = """
        import os
        if "PAWL_ARTIFACT" in os.environ:
            print(ANSWER, flush=True)
            os._exit(0)
        """
    return _python(source, ANSWER=_answer(rules, claim))


def hostile_pickle(rules: Loop, claim: float) -> str:
    """Leaves a pickle that answers for the evaluator where that loads it."""
    source = """
        import os, pickle
        class _Planted:
            def __reduce__(self):
                return exec, (CODE,)
        for _name in CARRIED:
            open(_name, "wb").close()
        with open(ARTIFACT, "wb") as _file:
            pickle.dump(_Planted(), _file)
        os._exit(0)
        """
    code = f"import os; print({_answer(rules, claim)!r}, flush=True); os._exit(0)"
    return _python(source, CODE=code, CARRIED=_carried(rules), ARTIFACT=_artifact(rules))


def late_child(rules: Loop, claim: float) -> str:
    """Ends, and leaves the artifact to a child that does not."""
    source = """
        import os, time
        for _name in CARRIED:
            open(_name, "wb").close()
        if os.fork() == 0:
            os.setsid()
            for _ in range(40):
                time.sleep(0.25)
                with open(ARTIFACT, "w") as _file:
                    _file.write(ANSWER)
        os._exit(0)
        """
    return _python(source, CARRIED=_carried(rules), ARTIFACT=_artifact(rules), ANSWER=_answer(rules, claim))


def stopped_clock(rules: Loop, claim: float) -> str:
    """Lets no time pass by its own clock, and says so if it is still there after twice the time that it has."""
    source = """
        import os, time
        _began = time.monotonic()
        time.time = time.monotonic = time.perf_counter = lambda: _began
        for _ in range(SECONDS):
            time.sleep(1)
        print(LINE, flush=True)
        os._exit(0)
        """
    seconds = 1 + int(2 * sum(allowed(rules, works=False)))
    return _python(source, SECONDS=seconds, LINE=claimed_line(rules, claim))


def private_files(rules: Loop, claim: float) -> str:
    """Says so if it can read any of what only the evaluator may see."""
    source = """
        import os
        for _path in PATHS:
            try:
                _seen = os.listdir(_path) if os.path.isdir(_path) else open(_path, "rb").read(1)
            except OSError:
                _seen = None
            if _seen:
                print(LINE, flush=True)
                os._exit(0)
        os._exit(1)
        """
    return _python(source, PATHS=private_paths(rules), LINE=claimed_line(rules, claim))


def network(rules: Loop, claim: float) -> str:
    """Says so if there is a route out."""
    source = """
        import os, socket
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect((ADDRESS, 9))
        except OSError:
            os._exit(1)
        print(LINE, flush=True)
        os._exit(0)
        """
    return _python(source, ADDRESS=UNROUTED, LINE=claimed_line(rules, claim))


def secrets(rules: Loop, claim: float) -> str:
    """Says so if a process that it sees has a token of GitHub's, or if it could speak to Docker."""
    source = """
        import glob, os
        _found = os.access("/var/run/docker.sock", os.W_OK)
        for _path in glob.glob("/proc/[0-9]*/environ"):
            try:
                with open(_path, "rb") as _file:
                    _known = _file.read()
            except OSError:
                continue
            _found = _found or any(name in _known for name in NAMES)
        if _found:
            print(LINE, flush=True)
        os._exit(0 if _found else 1)
        """
    names = (b"GITHUB_TOKEN=", b"ACTIONS_RUNTIME_TOKEN=", b"ACTIONS_ID_TOKEN_REQUEST_TOKEN=")
    return _python(source, NAMES=names, LINE=claimed_line(rules, claim))
