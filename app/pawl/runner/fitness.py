"""Whether a machine is fit to be a runner: facts about it, judged as values. `facts` gathers them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]
FREE = 20 * 10**9
"""Bytes that should be free: an image with torch has 8 GB and more, and a build needs room beside it."""
SKEW = 30.0
"""Seconds. GitHub refuses tokens of a machine whose clock is minutes off; logs are hard to read long before."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    level: Level
    about: str
    message: str


@dataclass(frozen=True)
class GpuFacts:
    """One GPU."""

    name: str
    persistent: bool
    """Whether the driver keeps it set up between two processes."""
    slowed: bool
    """Whether heat or power holds its clocks down now."""
    shared: int
    """Processes that compute on it now."""


@dataclass(frozen=True)
class EngineFacts:
    """The Docker Engine."""

    trouble: str = ""
    """Why it cannot be used; then nothing else is known."""
    rootless: bool = False
    gpus: bool = False
    """Whether it can hand a GPU to a container."""
    members: bool = False
    """Whether the jobs' user may use its socket."""


@dataclass(frozen=True)
class Facts:
    """What is known of a machine. Texts say why something is not as it must be; empty: it is."""

    gpus: tuple[GpuFacts, ...]
    missing_gpus: str
    engine: EngineFacts
    skew: float | None
    """The machine's clock less GitHub's, in seconds; None where GitHub does not answer."""
    free: int
    """Bytes where runners live."""
    root: bool
    users: str
    program: str
    credential: str
    walls: str
    readable: str
    """What a process of the runner's users could read that it must not."""
    repository: str
    private: bool | None
    accepted: bool
    """Whether a public repository was accepted in so many words."""


def judge(facts: Facts) -> tuple[Finding, ...]:
    """Everything that was looked at, in the order in which it is mended best."""
    return tuple(_findings(facts))


def _findings(facts: Facts) -> Iterator[Finding]:
    yield from _gpus(facts)
    yield from _engine(facts)
    yield _clock(facts)
    yield Finding(
        "warning" if facts.free < FREE else "ok",
        "disk",
        f"{facts.free / 1e9:.0f} GB are free"
        + (
            "; images and setups want 20 GB: `pawl runner prune` removes old ones"
            if facts.free < FREE
            else ""
        ),
    )
    yield from _isolation(facts)


def _gpus(facts: Facts) -> Iterator[Finding]:
    if facts.missing_gpus:
        yield Finding("problem", "driver", facts.missing_gpus)
    elif not facts.gpus:
        yield Finding("ok", "driver", "no NVIDIA driver: this is a runner without GPU")
    for gpu in facts.gpus:
        yield Finding("ok", "driver", f"{gpu.name} answers")
        if not gpu.persistent:
            yield Finding(
                "warning",
                "clocks",
                f"{gpu.name}: persistence mode is off, so the first run of a job is slower: "
                "nvidia-smi -pm 1, and after each boot again (nvidia-persistenced)",
            )
        if gpu.slowed:
            yield Finding(
                "warning",
                "clocks",
                f"{gpu.name}: heat or power holds its clocks down, so runs differ: cool it, or "
                "lock the clocks lower with nvidia-smi -lgc",
            )
        if gpu.shared:
            yield Finding(
                "warning",
                "driver",
                f"{gpu.name}: {gpu.shared} other processes compute on it, and every "
                "measurement would feel them: end them",
            )


def _engine(facts: Facts) -> Iterator[Finding]:
    engine = facts.engine
    if engine.trouble:
        yield Finding(
            "warning",
            "engine",
            f"no Docker Engine answers ({engine.trouble}), so loops with run.image cannot be "
            "measured here, and the others only in the weaker process sandbox",
        )
        return
    yield Finding("ok", "engine", "a Docker Engine answers" + (", rootless" if engine.rootless else ""))
    if facts.gpus and not engine.gpus:
        yield Finding(
            "problem",
            "container toolkit",
            "the engine cannot hand a GPU to a container: install NVIDIA's container "
            "toolkit, then nvidia-ctk runtime configure, and restart Docker",
        )
    elif facts.gpus:
        yield Finding("ok", "container toolkit", "the engine hands GPUs to containers")
    if not engine.members:
        yield Finding(
            "warning",
            "engine",
            "the jobs' user may not use the engine: use a rootless one of its own, or add it to "
            "the group docker, which gives its jobs root's rights on this machine",
        )
    elif not engine.rootless:
        yield Finding(
            "warning",
            "isolation",
            "the jobs' user is in the group docker. Candidates never reach the socket, but a "
            "workflow of the repository that does is root here: a rootless engine is better",
        )


def _clock(facts: Facts) -> Finding:
    if facts.skew is None:
        return Finding("problem", "time", "GitHub's API does not answer: check the network, and --api")
    if abs(facts.skew) > SKEW:
        way = "ahead of" if facts.skew > 0 else "behind"
        return Finding(
            "problem",
            "time",
            f"this machine's clock is {abs(facts.skew):.0f} s {way} GitHub's: switch on NTP "
            "(timedatectl set-ntp true)",
        )
    return Finding("ok", "time", "the clock agrees with GitHub's")


def _isolation(facts: Facts) -> Iterator[Finding]:
    yield Finding(
        "ok" if facts.root else "problem",
        "isolation",
        "the supervisor is root, and starts runners as others"
        if facts.root
        else "the supervisor must be root, to start runners and jobs as two other users",
    )
    for trouble, good in (
        (facts.users, "runner and jobs have users of their own"),
        (facts.program, "GitHub's runner program is there, and belongs to the supervisor"),
        (facts.credential, "the token's file is the supervisor's alone"),
        (facts.walls, "namespaces can be made"),
        (facts.readable, "neither of them can read the token"),
    ):
        yield Finding("problem" if trouble else "ok", "isolation", trouble or good)
    if facts.private is None:
        yield Finding(
            "problem",
            "repository",
            f"{facts.repository} cannot be read with the token: it needs metadata (read), "
            "administration (write) and issues (write) there",
        )
    elif not facts.private:
        level: Level = "warning" if facts.accepted else "problem"
        yield Finding(
            level,
            "repository",
            f"{facts.repository} is public: anybody can open a pull request from a fork that runs "
            "on this machine. Make it private, or accept that with --accept-public",
        )
    else:
        yield Finding("ok", "repository", f"{facts.repository} is private")
