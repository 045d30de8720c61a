from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

import ray

from actors.market.errors import CandlefleetError, UsageError
from cluster.interrupt import Interrupt
from cluster.joining import bring_token, check_nodes
from cluster.packing import fleet_env

#: Actors of every run on a cluster share one namespace, so that all runs find the one limiter.
NAMESPACE = "candlefleet"

#: Candles pass through here on their way from fetchers to the writer, never the whole of them at once.
OBJECT_STORE_BYTES = 300 * 2**20

REACHED_WITHIN_S = 5.0
NEWS_CHARS = 500  # of one of Ray's paragraphs

log = logging.getLogger(__name__)

# Set before Ray starts, because its processes inherit them.
_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` must not rebuild an environment for each worker
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # we use no accelerator; silences Ray's notice of it
    "RAY_enable_worker_prestart": "0",  # idle workers cost memory and start-up time
}


@contextmanager
def ray_session(address: str | None, interrupt: Interrupt) -> Iterator[str]:
    """Start Ray on this machine, or join the cluster at `address`; leave it cleanly. Yields which.

    Without an address nothing is joined, even where a cluster runs on this machine.
    """
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    # Ray prints its own news to stdout, which is for results.
    with redirect_stdout(_RayNews()):
        try:
            _init(address)
        except SystemExit:
            # Ray's own answer to a SIGTERM that comes while it starts.
            interrupt.signal = interrupt.signal or "SIGTERM"
        interrupt.arm()
        try:
            yield "a cluster of this run's own" if address is None else f"the cluster at {address}"
        finally:
            ray.shutdown()


class _RayNews(io.TextIOBase):
    """Takes what Ray prints into the run's log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("ray.said", extra={"text": text.strip()[:NEWS_CHARS]})
        return len(text)


def _init(address: str | None) -> None:
    if address is not None:
        _reach(address)
    local: dict[str, Any] = {
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    try:
        ray.init(
            address=address or "local",
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **(local if address is None else {"runtime_env": fleet_env()}),
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        if address is None:
            raise CandlefleetError(f"Ray does not start on this machine: {reason}") from error
        raise UsageError(f"no Ray cluster answers at {address}: {reason}", "--address") from error
    if address is not None:
        check_nodes()


def _reach(address: str) -> None:
    """Raise UsageError if nothing listens there: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # such as `auto`, which Ray resolves
    bring_token(host, int(port))
    try:
        socket.create_connection((host, int(port)), timeout=REACHED_WITHIN_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(f"no Ray cluster answers at {address}: {reason}", "--address") from error
