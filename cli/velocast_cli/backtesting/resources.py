"""How long a block of work takes and how much memory the process needs meanwhile."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import pyarrow as pa

SAMPLING_SECONDS = 0.05


@dataclass
class ResourceUse:
    """Seconds that a block took, and the peak resident memory of this process meanwhile (MB)."""

    seconds: float = 0.0
    peak_mb: float = 0.0


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
    began = time.monotonic()
    try:
        yield result
    finally:
        result.seconds = time.monotonic() - began
        over.set()
        thread.join()
