"""What a run leaves in its folder: manifest, log and report."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actors.market.errors import StoreError, UsageError
from actors.market.sessions import IST
from actors.writer import object_store
from actors.writer.folder import Folder
from cluster.driver import this_process
from cluster.version import VERSION

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.scan import Finished, Prepared
    from cluster.screen.answer import Answer


def write_manifest(
    folder: Folder, prepared: Prepared, run_id: str, began: datetime, began_version: int | None
) -> None:
    """What the run set out to do, and from where: enough to repeat it."""
    content = {
        "run_id": run_id,
        "began": began.astimezone(IST).isoformat(),
        "candlefleet": VERSION,
        "config": prepared.config.describe(),
        "base_url": prepared.provider.base_url,
        "instruments": len(prepared.wants.instruments),
        "unresolved": [str(name) for name in prepared.wants.unresolved],
        "notes": [*prepared.wants.notes, *map(str, prepared.plan.notes)],
        "began_version": began_version,
        "driver": this_process(),
        "chunks": [chunk.id for chunk in prepared.plan.chunks],
        **_occasion(prepared),
    }
    _write(folder, "manifest.json", content)


def write_report(folder: Folder, prepared: Prepared, finished: Finished, began: datetime) -> None:
    content = {
        **finished.summary.as_dict(),
        "began": began.astimezone(IST).isoformat(),
        "ended": prepared.clock.now().astimezone(IST).isoformat(),
        "outcome": finished.exit.name.lower(),
        "exit": int(finished.exit),
        **_occasion(prepared),
    }
    _write(folder, "report.json", content)


def write_answer(folder: Folder, answer: Answer) -> None:
    """What the screen that came with the run has found, and how to ask the same again."""
    _write(folder, "answer.json", answer.as_dict())


def _occasion(prepared: Prepared) -> dict[str, str]:
    """Of the schedule that the run is for, if it is for one."""
    if (occasion := prepared.occasion) is None:
        return {}
    return {"job": occasion.job, "occasion": occasion.at.astimezone(IST).isoformat()}


@contextmanager
def log_file(folder: Folder, console: Console) -> Iterator[Path]:
    """Where to write the log line by line: in the run's folder, or on its way to an object store."""
    if folder.local_path is not None:
        yield folder.local_path / "log.jsonl"
        return
    path = Path(tempfile.mkdtemp(prefix="candlefleet-log-")) / "log.jsonl"
    try:
        yield path
    finally:
        try:
            object_store.reach(folder.uri)
            folder.write("log.jsonl", path.read_bytes())
            shutil.rmtree(path.parent)
        except (StoreError, UsageError):
            console.print(f"The run's log stays at {path}.", style="yellow", highlight=False)


def _write(folder: Folder, name: str, content: dict[str, Any]) -> None:
    folder.write(name, json.dumps(content, indent=1, ensure_ascii=False).encode())
