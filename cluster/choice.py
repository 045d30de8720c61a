from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cluster import kept, local_cluster
from cluster.address import reach
from cluster.local_cluster import Cluster
from cluster.placing import refuse_adrift
from cluster.state import state_dir

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.provider import Provider

#: Words for --address: a cluster of the run's own, whatever else there is.
OWN = ("local", "none")


def joins(address: str | None) -> bool:
    """Whether a run with this --address works on a cluster that others have started."""
    return address is not None and address.lower() not in OWN


def refuse_hopeless(store: str, address: str | None) -> None:
    """Raise UsageError if a run could not join the cluster at its --address, or keep the store there."""
    refuse_adrift(store, on_cluster=joins(address))
    if address is not None and joins(address):
        reach(address)


@contextmanager
def cluster_for(provider: Provider, address: str | None, console: Console) -> Iterator[Cluster]:
    """The cluster a run is to work on: the one at `address`, the one that is kept, or one of its own.

    That at `address` is joined at once: if it does not let us in, nothing else need be done. One of its own
    starts once the run has something to fetch, and ends with the block. To be called before Ray is imported.
    """
    os.environ.update({n: v for n, v in local_cluster.QUIET.items() if n not in os.environ})
    if address == "auto":  # Ray's word: what this says, or else the cluster on this machine
        address = os.environ.get("RAY_ADDRESS", address)
    if joins(address):
        from cluster.session import joined_early

        theirs = Cluster(f"the cluster at {address}", lambda _is_over: address, is_joined=True)
        with joined_early(theirs):
            yield theirs
        return
    os.environ.update(local_cluster.environment(state_dir()))
    found = _usable(provider, console) if address is None else None
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
