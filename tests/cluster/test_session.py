from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actors.market.errors import CandlefleetError, UsageError
from cluster import session
from cluster.interrupt import interruptible
from cluster.local_cluster import Cluster
from cluster.session import ray_session


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
    with pytest.raises(error, match=said):
        enter(Cluster("its own", lambda _: address, is_joined=is_joined))


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
