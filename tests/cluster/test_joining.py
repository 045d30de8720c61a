from __future__ import annotations

import importlib
import os
import subprocess
import sys

import psutil
import pytest
from ray.exceptions import ActorAlreadyExistsError, AuthenticationError
from ray.runtime_env import RuntimeEnv

from actors.market.errors import UsageError
from cluster import joining
from cluster.joining import answers_within_s, claim_of, claimed, refusal


def test_a_store_has_one_claim_however_it_is_named(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert claim_of("store") == claim_of(f"{tmp_path}/store")
    assert len({claim_of(name) for name in ("store", "other", "s3://store/a", "s3://store/b")}) == 4


def test_a_claim_that_its_dead_holder_still_has_is_waited_for_and_a_held_one_refused(
    monkeypatch,
) -> None:
    answers = iter([ActorAlreadyExistsError("taken"), ActorAlreadyExistsError("taken"), "writer"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(joining, "ASK_AGAIN_S", 0.0)
    assert claimed(make, "s3://store") == "writer"
    answers = iter([ActorAlreadyExistsError("taken")] * 9)
    monkeypatch.setattr(joining, "NAME_FREE_WITHIN_S", -1.0)
    with pytest.raises(UsageError, match="s3://store: another run of this cluster"):
        claimed(make, "s3://store")
    answers = iter([ValueError("no such resource")])
    with pytest.raises(ValueError, match="no such resource"):
        claimed(make, "s3://store")


@pytest.mark.parametrize(
    ("runtime_env", "waited_s"),
    [
        ({}, 60),
        ({"py_modules": ["gcs://actors.zip"], "working_dir": "gcs://job.zip"}, 60),
        ({"py_modules": ["gcs://actors.zip"], "pip": {"packages": ["numpy>=2"]}}, 660),
        ({"uv": ["numpy>=2"]}, 660),
    ],
)
def test_nodes_that_must_install_first_are_given_the_time(runtime_env, waited_s) -> None:
    """Longer than Ray's own ten minutes: it is to say why an installation failed."""
    assert answers_within_s(RuntimeEnv(**runtime_env)) == waited_s


CONFLICT = """Failed to merge the Job's runtime env {'py_modules': ['gcs://theirs.zip']} with a ray.init's \
runtime env {'py_modules': ['gcs://ours.zip']} because of a conflict."""
MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.59.0
    Python: 3.12.1
This process on node 10.0.0.7 was started with:
    Ray: 2.60.0
    Python: 3.11.9
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Not yet\nup"), "no Ray cluster answers at h:1: Not yet"),
        (RuntimeError(""), "no Ray cluster answers at h:1"),
        (
            ConnectionError("Failed to connect to Ray cluster at 10.0.0.7:6379"),
            "h:1 does not let us in. If its cluster wants a token, set RAY_AUTH_MODE",
        ),
        (
            RuntimeError(MISMATCH),
            "h:1 has another Ray or Python than .* Ray: 2.59.0 Python: 3.12.1 This process",
        ),
        (
            AuthenticationError("InvalidAuthToken"),
            "h:1 does not let us in. If its cluster wants a token, set RAY_AUTH_MODE",
        ),
        (ValueError(CONFLICT), "the job's runtime environment has py_modules of its own"),
    ],
)
def test_who_is_not_let_in_is_told_why(error: Exception, said: str) -> None:
    """The words are Ray's."""
    with pytest.raises(UsageError, match=f"--address: {said}"):
        raise refusal("h:1", error)


def test_a_token_is_brought_without_rays_inner_name_too(monkeypatch) -> None:
    for name in [name for name in sys.modules if name.startswith("ray._private.authentication")]:
        monkeypatch.setitem(sys.modules, name, None)
    importlib.reload(joining)
    joining._take_token()


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


def test_who_is_interrupted_waits_for_no_node() -> None:
    assert joining._waited(["node"], float("inf"), lambda: True) == ([], ["node"])
