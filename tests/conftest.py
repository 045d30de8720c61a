from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import ray
from hypothesis import settings

from cluster import local_cluster
from tests.bucket import Bucket, run_bucket

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _ray_only_together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray may start only in tests/together: everything else must be testable without it.

    Not in a process that a test starts either: there, Ray finds no place for its files.
    """

    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("only tests in tests/together may start Ray")

    if "together" not in request.path.parts:
        monkeypatch.setattr(ray, "init", refuse)
        monkeypatch.setattr(local_cluster, "start_head", refuse)
        monkeypatch.setenv("RAY_TMPDIR", os.devnull)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and budgets of the user's account are none of a test's business."""
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    monkeypatch.delenv("UPSTOX_ACCESS_TOKEN", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture(scope="session")
def _running_bucket() -> Iterator[Bucket]:
    with run_bucket() as running:
        yield running


@pytest.fixture
def bucket(_running_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket, and an environment that leads there and to nothing of the user's own."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv(
        "AWS_EC2_METADATA_DISABLED", "true"
    )  # or it would ask the network for a role
    for name, value in _running_bucket.environment.items():
        monkeypatch.setenv(name, value)
    return _running_bucket
