"""Memory of processes, by what /proc says."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def resident(pids: list[int]) -> int:
    """Bytes of memory resident in these processes, shared pages counted once for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{pid}/statm").read_bytes().split()[1])
    return total * os.sysconf("SC_PAGESIZE")


def proportional(pids: list[int]) -> int:
    """Bytes of memory of these processes, shared pages divided among those who share them. Slow, and exact."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError, StopIteration):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += int(next(line for line in lines if line.startswith("Pss:")).split()[1]) * 1024
    return total
