from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray

from actors.market.errors import UsageError

#: Actors of every run on a cluster share one namespace, so that all runs find the one limiter.
NAMESPACE = "candlefleet"

#: Candles pass through here on their way from fetchers to the writer, never the whole of them at once.
OBJECT_STORE_BYTES = 300 * 2**20

# Set before Ray starts, because its processes inherit them.
_RAY_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` must not rebuild an environment for each worker
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # we use no accelerator; silences Ray's notice of it
    "RAY_enable_worker_prestart": "0",  # idle workers cost memory and start-up time
}


@contextmanager
def ray_session(address: str | None) -> Iterator[str]:
    """Start Ray on this machine, or join the cluster at `address`; leave it cleanly. Yields which.

    Without an address nothing is joined, even where a cluster runs on this machine.
    """
    for name, value in _RAY_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        if address is None:
            ray.init(
                address="local",
                namespace=NAMESPACE,
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        else:
            ray.init(
                address=address,
                namespace=NAMESPACE,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
    except (ConnectionError, ValueError) as error:
        raise UsageError(f"no Ray cluster answers at {address}: {error}", "--address") from error
    try:
        yield "a cluster of this run's own" if address is None else f"the cluster at {address}"
    finally:
        ray.shutdown()
