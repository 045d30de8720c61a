"""This computer, and the cluster that a scan would work on."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from actors.limiter.ledger import Ledger
from actors.requirements import NODES, lacking
from actors.writer import fence, object_store
from actors.writer.folder import Folder
from cluster.choice import cluster_for
from cluster.config.settings import LEAST_MB
from cluster.doctor.finding import Finding, Grade
from cluster.inside import DRIVER
from cluster.occupancy import locked
from cluster.state import made
from cluster.version import VERSION
from cluster.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.provider import Provider

_NAMED = ("ray", "deltalake", "pyarrow")  # whose versions explain most
_MB = 2**20
#: What replaces a file is written before that goes, and old versions stay for a while.
_FREE_MB = 1_024
_LEAST_FREE_MB = 100


def software() -> Finding:
    about = "software"
    if missing := lacking((*NODES, *DRIVER)):
        said = f"the Python of {sys.prefix} lacks {', '.join(missing)}"
        return Finding(about, said, Grade.PROBLEM, "install candlefleet into it anew")
    packages = ", ".join(f"{name} {version(name)}" for name in _NAMED)
    python = f"Python {platform.python_version()} on {platform.system()}"
    return Finding(about, f"candlefleet {VERSION}, {python}, {packages}")


def memory(limit_mb: int) -> Finding:
    return judge_memory(psutil.virtual_memory().available // _MB, limit_mb)


def judge_memory(available_mb: int, limit_mb: int) -> Finding:
    """`limit_mb`: what the fleet may take before it slows down."""
    said = f"{available_mb:,} MB are available; memory.limit_mb lets a run take {limit_mb:,}"
    if available_mb < LEAST_MB:
        least = f"the smallest fleet takes {LEAST_MB:,} MB"
        return Finding("memory", f"{said}, and {least}", Grade.PROBLEM, "end other programs")
    if available_mb < limit_mb:
        remedy = "lower it, so that a run slows down instead of swapping"
        return Finding("memory", said, Grade.NOTE, remedy)
    return Finding("memory", said)


def state(folder: Path) -> Finding:
    """Raises UsageError if budgets cannot be kept there."""
    with made(folder), tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"1")
    with closing(Ledger(folder)) as ledger:
        budgets = ledger.budgets()
    said = f"{folder} can be written; its ledger knows {counted(len(budgets), 'budget')}"
    return judge_room("state folder", said, _free_mb(folder))


def store(uri: str, state_dir: Path) -> Finding:
    """Raises UsageError if none can be there, or a run writes to it; StoreError if commits are not safe."""
    with locked(uri, state_dir):
        if object_store.is_remote(uri):
            fence.prove(uri)
            return Finding("store", f"{uri} can be written, and takes conditional writes")
    folder = Folder(uri).local_path
    assert folder is not None
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return judge_room("store", f"{folder} can be written", _free_mb(there))


def judge_room(about: str, said: str, free_mb: int) -> Finding:
    grade = Grade.OK
    if free_mb < _FREE_MB:
        grade = Grade.PROBLEM if free_mb < _LEAST_FREE_MB else Grade.NOTE
    remedy = "" if grade is Grade.OK else "make room on its disk"
    return Finding(about, f"{said}; {free_mb:,} MB are free", grade, remedy)


def ray_cluster(provider: Provider, address: str | None, console: Console) -> Finding:
    """Raises CandlefleetError if it does not start, UsageError if it does not let us in."""
    began_s = time.monotonic()
    with cluster_for(provider, address, console) as cluster:
        cluster.begin()
        from cluster.interrupt import interruptible
        from cluster.session import nodes_there, ray_session  # Ray takes a second to import

        with interruptible() as interrupt, ray_session(cluster, interrupt):
            if interrupt:
                raise KeyboardInterrupt
            nodes = counted(nodes_there(), "node")
    took_s = time.monotonic() - began_s
    return Finding("ray", f"{cluster.where} was there in {took_s:.1f} s, with {nodes}")


def _free_mb(place: Path) -> int:
    return shutil.disk_usage(place).free // _MB
