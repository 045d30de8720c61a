from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from actors.market.errors import UsageError
from cluster import kept, local_cluster
from cluster.address import place_of, reach, silence
from cluster.inside import in_job
from cluster.local_cluster import Cluster
from cluster.placing import refuse_adrift
from cluster.state import state_dir

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.provider import Provider

#: Words for --address: a cluster of the run's own, whatever else there is.
OWN = ("local", "none")


def joins(address: str | None) -> bool:
    """Whether a run with this --address works on a cluster that others have started.

    The one that `up` keeps is used as without an address: Ray would look for it at this machine's own, where
    it is not heard. A job there is given it as any other's, and brings its own code.
    """
    address = _named(address)
    if address is None or _is_own(address):
        return False
    return in_job() or not _is_kept(address)


def _is_own(address: str | None) -> bool:
    return address is not None and address.lower() in OWN


def _named(address: str | None) -> str | None:
    # Ray's word: what the variable says, or else the cluster on this machine.
    return (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address


def _is_kept(address: str) -> bool:
    found = kept.find(state_dir())
    if found is None:
        return False
    if address == "auto":
        return not _ray_knows_another()
    host, port = place_of(address) or ("", 0)
    there = place_of(found.address)
    try:
        places = {info[4][:2] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False  # whoever joins it is told
    return there in places


def _ray_knows_another() -> bool:
    """Whether `ray start` has left word of a cluster that is there: before any other, Ray means that."""
    word = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / "ray" / "ray_current_cluster"  # noqa: S108
    try:
        return silence(word.read_text(encoding="utf-8").strip()) is None
    except (OSError, UnicodeError, UsageError):  # or it is no address
        return False


def refuse_hopeless(store: str, address: str | None) -> None:
    """Raise UsageError if a run could not join the cluster at its --address, or keep the store there."""
    is_joined = joins(address)
    refuse_adrift(store, on_cluster=is_joined)
    if address is not None and is_joined:
        reach(address)


@contextmanager
def cluster_for(provider: Provider, address: str | None, console: Console) -> Iterator[Cluster]:
    """The cluster a run is to work on: the one at `address`, the one that is kept, or one of its own.

    That at `address` is joined at once: if it does not let us in, nothing else need be done. One of its own
    starts once the run has something to fetch, and ends with the block. To be called before Ray is imported.
    """
    os.environ.update({n: v for n, v in local_cluster.QUIET.items() if n not in os.environ})
    address = _named(address)
    if joins(address):
        from cluster.session import joined_early

        theirs = Cluster(f"the cluster at {address}", lambda _is_over: address, is_joined=True)
        with joined_early(theirs):
            yield theirs
        return
    os.environ.update(local_cluster.environment(state_dir()))
    found = None if _is_own(address) else _usable(provider, console)
    if found is not None:
        yield found.as_cluster()
    else:
        with local_cluster.own() as cluster:
            yield cluster


def _usable(provider: Provider, console: Console) -> kept.Kept | None:
    # The limiter outlives its runs on a cluster that is kept, and with it the ledger it writes.
    if provider.state_dir != state_dir():
        return None
    found = kept.find(state_dir())
    if found is None or (reason := found.differs()) is None:
        return found
    said = (
        f"Not using the cluster that is up, for {reason}: `candlefleet down`, then `up`, renews it."
    )
    console.print(said, style="yellow", markup=False, highlight=False, soft_wrap=True)
    return None
