from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private import services

from actors.market.errors import CandlefleetError, UsageError
from cluster import session
from cluster.interrupt import interruptible
from cluster.local_cluster import Cluster
from cluster.session import joined_early, ray_session


@pytest.fixture
def address() -> Iterator[str]:
    """Where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield "127.0.0.1:{1}".format(*listening.getsockname())


def enter(cluster: Cluster) -> None:
    with interruptible() as interrupt, ray_session(cluster, interrupt):
        pytest.fail("it was let in")


def refuse(**_asked: object) -> None:
    raise Exception("The current node timed out during startup.\nSee the logs.")  # noqa: TRY002


def test_whoever_listens_and_is_no_cluster_is_refused_in_words(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWERED_WITHIN_S", 1.0)
    # Ray, too, takes it for what it is here.
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was let wait for it"))
    with pytest.raises(UsageError, match=f"^--address: no Ray cluster answers at {address}: "):
        enter(Cluster("theirs", lambda _: address, is_joined=True))


def test_where_ray_would_look_for_it_is_told_if_nobody_listens_there(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the loopback for this machine's own address, where there is one."""
    monkeypatch.delenv(
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False
    )  # as another test has set it
    port = address.rpartition(":")[2]
    place = f"{services.resolve_ip_for_localhost('127.0.0.1')}:{port}"
    if place == address:
        pytest.skip("this machine has no other address")
    with interruptible() as interrupt:
        refused = f"{address}, which Ray takes for {place}: Connection refused"
        with pytest.raises(UsageError, match=refused):
            session._knock(address, interrupt)


def test_a_signal_ends_the_wait_for_who_is_silent(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ANSWERED_WITHIN_S", 60.0)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("Ray was let wait for it"))
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    theirs = Cluster("theirs", lambda _: address, is_joined=True)
    signalled = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
    signalled.start()
    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt), joined_early(theirs):
        pytest.fail("it was let in")
    assert time.monotonic() - began_s < 10
    signalled.join()


@pytest.mark.parametrize(
    ("is_joined", "error", "said"),
    [
        (False, CandlefleetError, "^its own does not let this run in: The current .* startup.$"),
        (True, UsageError, "no Ray cluster answers at .*: The current node timed out"),
    ],
)
def test_whatever_ray_raises_is_told_in_a_line(
    address: str,
    is_joined: bool,
    error: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(session, "_knock", lambda *_: None)
    with pytest.raises(error, match=said):
        enter(Cluster("its own", lambda _: address, is_joined=is_joined))


def test_a_cluster_of_ours_that_has_gone_meanwhile_blames_no_option() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = "127.0.0.1:{1}".format(*listening.getsockname())
    with pytest.raises(CandlefleetError, match="^the kept one has died .*the same command") as told:
        enter(Cluster("the kept one", lambda _: address))
    assert not isinstance(told.value, UsageError)


def test_a_cluster_whose_nodes_are_unfit_is_left_and_signals_are_ours_before_they_are_asked(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def check(_interrupted: object) -> None:
        seen.append(signal.getsignal(signal.SIGTERM))
        raise UsageError("nodes of the cluster lack packages", "--address")

    def take_over(**_asked: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        seen.append(Path.cwd())

    monkeypatch.setattr(session, "_knock", lambda *_: None)
    monkeypatch.setattr(ray, "init", take_over)
    monkeypatch.setattr(ray, "shutdown", lambda: seen.append("left"))
    monkeypatch.setattr(session, "check_nodes", check)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "token")
    before = Path.cwd()
    with pytest.raises(UsageError, match="lack packages"):
        enter(Cluster("theirs", lambda _: address, is_joined=True))
    stood, handler, left = seen
    assert (stood, left) == (Path("/"), "left")
    assert getattr(handler, "__name__", None) == "_heed"
    assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(before / "token")
    assert Path.cwd() == before
