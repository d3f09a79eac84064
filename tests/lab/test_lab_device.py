"""Jobs on one machine get cores of their own, and give them back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pawl.core.config import Loop
from pawl.lab.device import take_device


def rules(cores: int = 1) -> Loop:
    loop = {"edit": "train.py", "metric": {"name": "x", "goal": "minimize"}, "run": {"cores": cores}}
    return Loop.model_validate(loop)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_two_jobs_share_no_core_while_there_are_enough(tmp_path: Path) -> None:
    with take_device(rules(), tmp_path) as first:
        with take_device(rules(), tmp_path) as second:
            assert len(first.cores) == len(second.cores) == 1
            assert first.cores != second.cores
        with take_device(rules(), tmp_path) as third:
            assert third.cores == second.cores
    assert first.notes == ()


def test_a_crowded_machine_is_used_all_the_same_and_says_so(tmp_path: Path) -> None:
    every = len(os.sched_getaffinity(0))
    with take_device(rules(every), tmp_path) as first, take_device(rules(), tmp_path) as second:
        assert len(first.cores) == every
        assert len(second.cores) == 1
        assert "noisy" in second.notes[0]


def test_more_cores_than_there_are_is_said(tmp_path: Path) -> None:
    with take_device(rules(256), tmp_path) as device:
        assert len(device.cores) == len(os.sched_getaffinity(0))
        assert "256" in device.notes[0]
        assert device.name.endswith("256 cores")
