"""What can go of what measuring jobs have left."""

from __future__ import annotations

import io
import os
import re
import time
from pathlib import Path

import docker
import pytest

from pawl.lab import kept
from pawl.lab.kept import prune_images, prune_setups
from pawl.lab.locks import try_lock


def setup(cache: Path, kind: str, digest: str, used: float, done: bool = True) -> Path:
    place = cache / kind / digest
    (place / "data").mkdir(parents=True)
    (place / "data" / "file").write_text("x")
    (place / "data").chmod(0o555)
    if done:
        (place / "done.json").write_text("{}")
        os.utime(place / "done.json", (used, used))
    os.utime(place, (used, used))
    return place


def test_setups_that_were_not_used_for_long_go(tmp_path: Path) -> None:
    old = setup(tmp_path, "setups", "a" * 64, 100.0)
    fresh = setup(tmp_path, "setups", "b" * 64, 300.0)
    hidden = setup(tmp_path, "evaluator-setups", "c" * 64, 100.0)
    broken = setup(tmp_path, "setups", "d" * 64, 100.0, done=False)
    assert set(prune_setups(tmp_path, 200.0)) == {"a" * 64, "c" * 64, "d" * 64}
    assert [place.exists() for place in (old, fresh, hidden, broken)] == [False, True, False, False]
    assert not (tmp_path / "locks").exists()  # one that root made would shut the jobs' user out
    assert list(prune_setups(tmp_path / "nowhere", 200.0)) == []


def test_a_setup_that_is_being_made_is_left_alone(tmp_path: Path) -> None:
    place = setup(tmp_path, "setups", "a" * 64, 100.0, done=False)
    handle = try_lock(tmp_path / "locks" / f"setup-{place.name}")
    assert handle is not None
    assert list(prune_setups(tmp_path, 200.0)) == []
    os.close(handle)
    assert list(prune_setups(tmp_path, 200.0)) == [place.name]


@pytest.mark.docker
def test_images_of_loops_go_by_when_they_were_last_named(
    docker_image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = docker.from_env(timeout=60)
    name, other = f"pawl-{'0a' * 16}", "pawl-kept-test"
    try:
        text = f"FROM {docker_image}\nLABEL made={time.time()}\n"
        for tag in (name, other):
            client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
        monkeypatch.setattr(
            kept, "BUILT", re.compile(f"{name}:latest")
        )  # others' stay, whoever uses them now
        assert list(prune_images(client, time.time() - 3600)) == []
        assert list(prune_images(client, time.time() + 3600)) == [name]
        assert not client.images.list(name)
        assert client.images.list(other)
    finally:
        client.images.remove(other, force=True)
        client.close()
