"""The machine: which cores and which GPU one measuring job gets, their names, and what the GPU did meanwhile."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from types import TracebackType
from typing import Any, Self

from pawl.core.config import Loop
from pawl.lab.errors import Refused
from pawl.lab.locks import try_lock

SAMPLE_SECONDS = 0.2
_IDLE_OR_CHOSEN = 0x1 | 0x2
"""Reasons for lower clocks that are no throttling: an idle GPU, and clocks that somebody set (nvml.h)."""


@dataclass(frozen=True)
class Device:
    """What one measuring job may use, the same for both arms."""

    name: str
    """The kind of machine, as records compare it."""
    cores: tuple[int, ...]
    """Empty where the system cannot bind processes to cores."""
    gpu: str = ""
    """UUID."""
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def take_device(rules: Loop, locks: Path) -> Iterator[Device]:
    """Choose cores, and a GPU if one is wanted, that no other measuring job of this user holds.

    Raises:
        Refused: a GPU is wanted and there is none to be had.
    """
    held: list[int] = []
    try:
        cores, notes = _take_cores(rules.run.cores, locks, held)
        if rules.run.gpus:
            uuid, name = _take_gpu(locks, held)
            yield Device(name, cores, uuid, notes)
        else:
            count = rules.run.cores
            yield Device(f"{processor()}, {count} core{'s' if count > 1 else ''}", cores, "", notes)
    finally:
        for handle in held:
            os.close(handle)


def _take_cores(count: int, locks: Path, held: list[int]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """From the top down: the machine's own work tends to sit on the first cores."""
    if not hasattr(os, "sched_getaffinity"):
        return (), ("this system cannot bind a process to a core",)
    there = sorted(os.sched_getaffinity(0), reverse=True)
    free: list[int] = []
    for core in there:
        if len(free) < count and (handle := try_lock(locks / f"core-{core}")) is not None:
            held.append(handle)
            free.append(core)
    if len(free) == count:
        return tuple(sorted(free)), ()
    chosen = tuple(sorted([*free, *(core for core in there if core not in free)][:count]))
    if len(there) < count:
        return chosen, (f"run.cores is {count}, but this process may use {len(there)} only",)
    return chosen, ("other measuring jobs hold cores of this machine: times will be noisy",)


def processor() -> str:
    """Model name of the CPU."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _nvml() -> Any:
    """NVIDIA's library, started; None where there is no driver."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


@dataclass(frozen=True)
class Gpu:
    """One GPU of this machine."""

    index: int
    uuid: str
    name: str


def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine, as NVIDIA's driver numbers them; none where there is no driver."""
    nvml = _nvml()
    if nvml is None:
        return ()
    handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
    return tuple(
        Gpu(index, str(nvml.nvmlDeviceGetUUID(handle)), str(nvml.nvmlDeviceGetName(handle)))
        for index, handle in enumerate(handles)
    )


def crowded_gpus() -> tuple[tuple[str, bool, bool, int], ...]:
    """Of each GPU its name, whether it stays set up between processes, whether heat or power slows it, and who uses it."""
    nvml, found = _nvml(), []
    for gpu in gpus():
        handle = nvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
        persistent, slowed, users = True, False, 0
        with contextlib.suppress(nvml.NVMLError):  # not every kind of GPU tells everything
            persistent = bool(nvml.nvmlDeviceGetPersistenceMode(handle))
            slowed = bool(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) & ~_IDLE_OR_CHOSEN)
            users = len(nvml.nvmlDeviceGetComputeRunningProcesses(handle))
        found.append((gpu.name, persistent, slowed, users))
    return tuple(found)


def _take_gpu(locks: Path, held: list[int]) -> tuple[str, str]:
    nvml = _nvml()
    if nvml is None:
        raise Refused(
            "run.gpus is 1, but this machine has no NVIDIA driver; register a runner that has a GPU, or set gpus: 0."
        )
    allowed = [word for word in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if word]
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        uuid, name = str(nvml.nvmlDeviceGetUUID(handle)), str(nvml.nvmlDeviceGetName(handle))
        if allowed and str(index) not in allowed and uuid not in allowed:
            continue
        lock = try_lock(locks / f"gpu-{uuid}")
        if lock is not None:
            held.append(lock)
            return uuid, name
    raise Refused(
        "run.gpus is 1, but every GPU of this machine is held by another measuring job; let fewer jobs run here."
    )


@dataclass
class GpuMeter:
    """Samples one GPU while it is entered; does nothing without one."""

    uuid: str
    telemetry: dict[str, float] = field(default_factory=dict)
    _samples: list[tuple[float, ...]] = field(default_factory=list)
    _end: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        nvml = _nvml() if self.uuid else None
        if nvml is not None:
            handle = nvml.nvmlDeviceGetHandleByUUID(self.uuid)
            before = nvml.nvmlDeviceGetMemoryInfo(handle).used
            self._thread = threading.Thread(target=self._sample, args=(nvml, handle, before), daemon=True)
            self._thread.start()
        return self

    def _sample(self, nvml: Any, handle: Any, before: int) -> None:
        while not self._end.wait(SAMPLE_SECONDS):
            with contextlib.suppress(nvml.NVMLError):
                reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
                self._samples.append(
                    (
                        (nvml.nvmlDeviceGetMemoryInfo(handle).used - before) / 1e6,
                        nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
                        nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
                        nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
                        float(bool(reasons & ~_IDLE_OR_CHOSEN)),
                    )
                )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        if self._thread is None:
            return
        self._thread.join()
        if self._samples:
            memory, use, clock, temperature, throttled = zip(*self._samples, strict=True)
            self.telemetry |= {
                "gpu_memory_mb": max(0.0, max(memory)),
                "gpu_utilization": fmean(use),
                "gpu_clock_mhz": fmean(clock),
                "gpu_temperature": max(temperature),
                "gpu_throttled": fmean(throttled),
            }
