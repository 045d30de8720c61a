from __future__ import annotations

import os
import subprocess
import sys

import psutil
import pytest

from actors.market.errors import UsageError
from cluster import joining
from cluster.joining import claim_of, claimed


def test_a_store_has_one_claim_however_it_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert claim_of("store") == claim_of(f"{tmp_path}/store")
    assert len({claim_of(name) for name in ("store", "other", "s3://store/a", "s3://store/b")}) == 4


def test_a_claim_that_its_dead_holder_still_has_is_waited_for_and_a_held_one_refused(
    monkeypatch,
) -> None:
    answers = iter([ValueError("taken"), ValueError("taken"), "writer"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(joining, "ASK_AGAIN_S", 0.0)
    assert claimed(make, "s3://store") == "writer"
    answers = iter([ValueError("taken")] * 9)
    monkeypatch.setattr(joining, "NAME_FREE_WITHIN_S", -1.0)
    with pytest.raises(UsageError, match="s3://store: another run of this cluster"):
        claimed(make, "s3://store")


@pytest.mark.parametrize(
    ("port", "mode", "told"),
    [
        (41_007, "token", {"RAY_AUTH_TOKEN_PATH": "/its/token"}),
        (41_007, "disabled", None),
        (41_008, "token", None),
    ],
)
def test_a_server_is_known_by_its_port_and_tells_where_its_token_is(
    port: int, mode: str, told: dict[str, str] | None
) -> None:
    """A process as Ray's are: told its port on its command line."""
    command = [sys.executable, "-c", "input()", "--gcs_server_port=41007"]
    own = {"RAY_AUTH_MODE": mode, "RAY_AUTH_TOKEN_PATH": "/its/token"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ | own) as server:
        assert joining._token_of(port, psutil.Process(server.pid)) == told
        server.kill()
