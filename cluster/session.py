"""The way into a Ray cluster. `python -m cluster.session ADDRESS SECONDS` says whether there is one."""

from __future__ import annotations

import io
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from pathlib import Path
from time import monotonic

import ray
from ray.exceptions import AuthenticationError

from actors.market.errors import CandlefleetError, UsageError
from cluster import own_code
from cluster.address import place_of, reach, silence
from cluster.interrupt import Interrupt, interruptible
from cluster.joining import bring_token, check_nodes, known_nodes, refusal
from cluster.local_cluster import Cluster
from cluster.packing import fleet_env

#: Actors of every run on a cluster share one namespace, so that all runs find the one limiter.
NAMESPACE = "candlefleet"

#: Ray lets all workers import from the folder its driver stands in, before any other. Here is nothing that
#: a user could have put there.
NOWHERE = "/"

NEWS_CHARS = 500  # of one of Ray's paragraphs

#: By a cluster's head, and by the process that asks it: on a busy machine it takes long to import Ray.
ANSWERED_WITHIN_S = 6.0
TOLD_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1

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
    return sum(node["Alive"] for node in known_nodes())


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
    return address is not None and not interrupt


class _RayNews(io.TextIOBase):
    """Takes what Ray prints into the run's log."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("ray.said", extra={"text": text.strip()[:NEWS_CHARS]})
        return len(text)


def _join(address: str, cluster: Cluster, interrupt: Interrupt) -> None:
    if cluster.is_joined:
        place = place_of(address)
        if place is not None:
            bring_token(*place)
        reach(address)
        _knock(address, interrupt)
        if interrupt:
            return
    elif (reason := silence(address)) is not None:
        problem = f"{cluster.where} has died ({reason}); the same command goes on from here"
        raise CandlefleetError(problem)
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


def _knock(address: str, interrupt: Interrupt) -> None:
    """Raise UsageError if no cluster is there, unless we are interrupted.

    Ray itself would try for minutes, and hear no signal. So it is asked in a process that can be given up.
    """
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "cluster.session", address, str(ANSWERED_WITHIN_S)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=own_code.environment(),
        start_new_session=True,  # Ctrl-C is for us
    ) as asked:
        assert asked.stdout is not None
        until_s = monotonic() + TOLD_WITHIN_S
        while asked.poll() is None and not interrupt and monotonic() < until_s:
            with suppress(subprocess.TimeoutExpired):
                asked.wait(_LOOK_EVERY_S)
        asked.kill()
        told = asked.stdout.read().splitlines()
    if asked.returncode and not interrupt:  # also if a signal has ended it
        place = told[0] if told else address
        there = address if place == address else f"{address}, which Ray takes for {place}"
        reason = told[1] if told[1:] else "somebody listens, but not as one does"
        raise UsageError(f"no Ray cluster answers at {there}: {reason}", "--address")


def _answer(address: str, within_s: float) -> str | None:
    """Print where Ray looks for it. Returns why no cluster is there; who is silent ends this process."""
    try:
        from ray._private.services import canonicalize_bootstrap_address
        from ray._raylet import GcsClient  # type: ignore[attr-defined]
    except ImportError:
        return None  # inner names of Ray's, and gone: it will find out by itself
    place = canonicalize_bootstrap_address(address) or address
    print(place, flush=True)  # noqa: T201  # for who has asked
    reason = silence(place)
    if reason is None:
        signal.setitimer(signal.ITIMER_REAL, within_s)
        with suppress(AuthenticationError):  # there is one; who it lets in is another question
            GcsClient(address=place)
    return reason


if __name__ == "__main__":
    try:
        problem = _answer(sys.argv[1], float(sys.argv[2]))
    except ConnectionError as error:  # for `auto`
        problem = f"{sys.argv[1]}\n{error}"
    if problem is not None:
        print(problem)  # noqa: T201
    sys.exit(problem is not None)
