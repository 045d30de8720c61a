from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import ray

from actors.market.errors import CandlefleetError
from cluster.address import place_of, reach
from cluster.interrupt import Interrupt, interruptible
from cluster.joining import bring_token, check_nodes, refusal
from cluster.local_cluster import Cluster
from cluster.packing import fleet_env

#: Actors of every run on a cluster share one namespace, so that all runs find the one limiter.
NAMESPACE = "candlefleet"

#: Ray lets all workers import from the folder its driver stands in, before any other. Here is nothing that
#: a user could have put there.
NOWHERE = "/"

NEWS_CHARS = 500  # of one of Ray's paragraphs

log = logging.getLogger(__name__)


@contextmanager
def ray_session(cluster: Cluster, interrupt: Interrupt) -> Iterator[None]:
    """Join the cluster as soon as it is there, or not at all once interrupted; leave it cleanly."""
    # Ray prints its own news to stdout, which is for results.
    with redirect_stdout(_RayNews()):
        try:
            if _is_joined(cluster, interrupt) and cluster.is_joined:
                check_nodes(lambda: bool(interrupt))
            yield
        finally:
            ray.shutdown()


@contextmanager
def joined_early(cluster: Cluster) -> Iterator[None]:
    """For a session to come within the block. Raises UsageError where the cluster does not let us in."""
    try:
        with interruptible() as interrupt, redirect_stdout(_RayNews()):
            _is_joined(cluster, interrupt)
        if interrupt:
            raise KeyboardInterrupt
        yield
    finally:
        ray.shutdown()


def nodes_there() -> int:
    """How many nodes the cluster has that was joined."""
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return sum(node["Alive"] for node in known)


def _is_joined(cluster: Cluster, interrupt: Interrupt) -> bool:
    """Join it, unless that was done already; False: interrupted before it was there."""
    if ray.is_initialized():
        return True
    try:
        address = cluster.address(lambda: bool(interrupt))
        if address is not None:
            _join(address, cluster, interrupt)
    except SystemExit:
        # Ray's own answer to a SIGTERM that comes while it starts.
        interrupt.signal = interrupt.signal or "SIGTERM"
        return False
    return address is not None


class _RayNews(io.TextIOBase):
    """Takes what Ray prints into the run's log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("ray.said", extra={"text": text.strip()[:NEWS_CHARS]})
        return len(text)


def _join(address: str, cluster: Cluster, interrupt: Interrupt) -> None:
    place = place_of(address)
    if place is not None:
        bring_token(*place)
    reach(address)
    runtime_env = fleet_env() if cluster.is_joined else None
    token = os.environ.get("RAY_AUTH_TOKEN_PATH")
    if token is not None:
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(Path(token).absolute())  # not as seen from NOWHERE
    try:
        with chdir(NOWHERE):
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env=runtime_env,
            )
    except Exception as error:  # Ray raises just that when a node is slow
        if cluster.is_joined:
            raise refusal(address, error) from error
        reason = str(error).strip().partition("\n")[0] or repr(error)
        raise CandlefleetError(f"{cluster.where} does not let this run in: {reason}") from error
    finally:
        interrupt.arm()
