"""What a block of work takes: wall time, CPU time and memory."""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil
import pyarrow as pa

SAMPLING_SECONDS = 0.05


@dataclass
class ResourceUse:
    """Wall time and CPU time that a block took (s), and the peak resident memory of this process meanwhile (MB).

    The CPU time is that of all threads, and of the processes that this one started, such as the emulator.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0

    def add(self, other: ResourceUse) -> None:
        """Add another block's times; the peak is the higher one."""
        self.seconds += other.seconds
        self.cpu_seconds += other.cpu_seconds
        self.peak_mb = max(self.peak_mb, other.peak_mb)


@contextmanager
def measure_resources() -> Iterator[ResourceUse]:
    """Measure a block; the figures are complete when it has ended.

    Frees earlier allocations first, so that they are not counted here.
    """
    gc.collect()
    pa.default_memory_pool().release_unused()
    result, over, process = ResourceUse(), threading.Event(), psutil.Process()

    def sample() -> None:
        while True:
            result.peak_mb = max(result.peak_mb, process.memory_info().rss / 2**20)
            if over.wait(SAMPLING_SECONDS):
                return

    thread = threading.Thread(target=sample)
    thread.start()
    # Listing the children takes CPU time of its own, so it comes before and after the block.
    of_children = _cpu_seconds_of_children(process)
    began, worked = time.monotonic(), time.process_time()
    try:
        yield result
    finally:
        worked = time.process_time() - worked
        result.seconds = time.monotonic() - began
        result.cpu_seconds = worked + _cpu_seconds_of_children(process) - of_children
        over.set()
        thread.join()


def cpu_seconds_of(processes: Iterable[psutil.Process]) -> float:
    """Return the CPU seconds of processes and of their children that have ended and were waited for."""
    seconds = 0.0
    for process in processes:
        with suppress(psutil.Error):  # it has ended meanwhile
            seconds += sum(process.cpu_times()[:4])
    return seconds


def _cpu_seconds_of_children(process: psutil.Process) -> float:
    ended = os.times()
    return (
        ended.children_user
        + ended.children_system
        + cpu_seconds_of(process.children(recursive=True))
    )
