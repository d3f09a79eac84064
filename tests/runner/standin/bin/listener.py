"""Takes one job and starts bin/Runner.Worker for it, as GitHub's listener does."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any


def ask(path: str, body: Any, key: str = "") -> Any:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "X-Runner-Key": key}
    request = urllib.request.Request(server + path, data, headers, method="POST")
    with urllib.request.urlopen(request, timeout=70) as answer:
        text = answer.read()
    return json.loads(text) if text else None


here = Path(sys.argv[1])
files = json.loads(base64.b64decode(os.environ["ACTIONS_RUNNER_INPUT_JITCONFIG"]))
for name, content in files.items():
    (here / name).write_bytes(base64.b64decode(content))
told = json.loads((here / ".runner").read_text())
server, name = told["serverUrl"] + "/_hub", told["agentName"]
key = json.loads((here / ".credentials_rsaparams").read_text())["key"]
if (here / "refuse").exists():
    sys.exit("the runner's version is too old")
(here / "_diag" / "Runner.log").write_text("listening\n")
ask(f"/runners/{name}/connect", {"key": key})
while (job := ask(f"/runners/{name}/acquire?timeout=20", {}, key)) is None:
    pass
ask(f"/jobs/{job['job_id']}/start", {})
worker = [str(here / "bin" / "Runner.Worker"), "spawnclient", "3", "4"]
done = subprocess.run(
    worker, input=json.dumps(job).encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
)
ask(f"/jobs/{job['job_id']}/log", done.stdout)
ask(f"/jobs/{job['job_id']}/complete", {"conclusion": "success" if done.returncode == 0 else "failure"})
