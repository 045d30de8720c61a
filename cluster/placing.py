"""Where a store may be when a run does not work on a machine of its own."""

from __future__ import annotations

from pathlib import Path

from actors.market.errors import UsageError
from actors.writer import object_store
from cluster.inside import in_job


def refuse_adrift(store: str, *, on_cluster: bool) -> None:
    """Raise UsageError for a store that a cluster would not keep, or that its nodes understand otherwise.

    A job's own folder is deleted some time after it; and what is relative to a folder of one machine
    names nothing on another.
    """
    if not on_cluster or object_store.is_remote(store):
        return
    path = Path(store).expanduser()
    if not path.is_absolute():
        problem = "a relative path is no place on a cluster"
    elif in_job() and path.is_relative_to(Path.cwd()):
        problem = "it lies in the job's folder, which Ray deletes"
    else:
        return
    advice = "write s3://bucket/prefix, or an absolute path on the disk of the node the run is started on"
    raise UsageError(f"{problem}; {advice}, such as /data/{path.name}", f"store {store}")
