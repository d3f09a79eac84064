"""What Screen, Confirm, Seal takes and finds on average, as docs/decision.md derives it."""

from __future__ import annotations

SMALLEST_SIGMA = 2.75
"""The gain, in sigma, that Screen, Confirm, Seal keeps in 80 of 100 cases (docs/decision.md)."""
REAL_GAINS = 0.03
"""Share of proposals that are real gains, as the estimate of the time to a first keep assumes."""
RUNS_PER_KEEP = 1082 / 13.2
"""Runs for each keep under that assumption, with gains between 0.5 and 5 sigma (docs/decision.md)."""
RUNS_PER_KEEP_DETERMINISTIC = 1 / REAL_GAINS + 2
"""Likewise where one run says everything: one for each proposal, and two more for the keep."""
