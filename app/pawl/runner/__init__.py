"""What makes a machine a runner: registers runners just in time, keeps them apart, and says how they are.

`plan` decides, as values; `supervisor` acts; `enclosure` is the wall between the supervisor, GitHub's program and jobs.
"""

from pathlib import Path

TOKEN_FILE = Path("/etc/pawl/runner-token")
STATE = Path("/var/lib/pawl-runner")
PROGRAM = STATE / "program"
RUNNER_USER, JOB_USER = "pawl-runner", "pawl-job"
"""What a machine is set up with where its owner says nothing else."""
