from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class MemorySample:
    """What one process held when it was asked."""

    host: str
    pid: int
    private_bytes: (
        int  # resident memory that is not shared: the object store is not counted once a process
    )
    host_total_bytes: int
    host_free_bytes: int  # available without swapping


def sample() -> MemorySample:
    """Measure this process."""
    process = psutil.Process().memory_info()
    host = psutil.virtual_memory()
    # Only Linux tells how much of the resident memory is shared.
    shared_bytes = getattr(process, "shared", 0)
    return MemorySample(
        host=socket.gethostname(),
        pid=os.getpid(),
        private_bytes=max(0, process.rss - shared_bytes),
        host_total_bytes=host.total,
        host_free_bytes=host.available,
    )
