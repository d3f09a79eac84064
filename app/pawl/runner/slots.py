"""Which runners a machine has: one for each GPU, or one without, with labels that name the kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pawl.lab.device import Gpu
from pawl.runner.errors import Unfit

_MAKERS = {"nvidia", "geforce", "tesla", "quadro", "graphics", "gpu", "device"}
_RANDOM = re.compile(r"[0-9a-f]{8}")


@dataclass(frozen=True)
class Slot:
    """A place for one runner at a time."""

    index: int
    prefix: str
    """How the names of its runners begin."""
    labels: tuple[str, ...]
    gpu: str = ""
    """UUID; empty for a runner without a GPU."""

    def name(self, random: str) -> str:
        """The next runner's name. GitHub knows a name once at a time, so each has one of its own."""
        return f"{self.prefix}-{random}"

    def owns(self, name: str) -> bool:
        """Whether a runner of that name was one of this slot."""
        return name.startswith(f"{self.prefix}-") and bool(_RANDOM.fullmatch(name[len(self.prefix) + 1 :]))


def kind_label(name: str) -> str:
    """The label of a kind of GPU: `NVIDIA H100 80GB HBM3` is `pawl-h100`, `NVIDIA GeForce RTX 4090` is `pawl-rtx-4090`."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word and word not in _MAKERS]
    known = words[:1] if words and any(letter.isdigit() for letter in words[0]) else words[:2]
    return "-".join(["pawl", *known]) if known else "pawl-gpu"


def host_name(name: str) -> str:
    """A machine's name as part of a runner's: letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.split(".")[0].lower()).strip("-")[:30] or "runner"


def slots_for(
    host: str, there: Sequence[Gpu], wanted: Sequence[int] | None, more: tuple[str, ...] = ()
) -> tuple[Slot, ...]:
    """The slots of a machine.

    Args:
        host: its name.
        there: its GPUs.
        wanted: indices of those to use, as the driver numbers them; all of them where it is None.
        more: further labels for each.

    Raises:
        Unfit: a GPU is wanted that is not there, or twice.
    """
    own = host_name(host)
    if wanted is None and not there:
        return (Slot(0, f"pawl-{own}-0", _labels("pawl-cpu", *more)),)
    by_index = {gpu.index: gpu for gpu in there}
    chosen = list(by_index) if wanted is None else list(wanted)
    for index in chosen:
        if index not in by_index:
            seen = ", ".join(str(number) for number in by_index) or "none"
            raise Unfit(
                f"--gpus names GPU {index}, but the driver sees {seen}; nvidia-smi -L lists them, and without --gpus "
                "all of them are used"
            )
    if len(set(chosen)) != len(chosen):
        raise Unfit("--gpus names a GPU twice; each has one runner")
    return tuple(
        Slot(
            index,
            f"pawl-{own}-{index}",
            _labels("gpu", kind_label(by_index[index].name), *more),
            by_index[index].uuid,
        )
        for index in chosen
    )


def _labels(*own: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("self-hosted", "pawl", *own)))
