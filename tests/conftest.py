from __future__ import annotations

import pytest
import ray
from hypothesis import settings

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _ray_only_together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray may start only in tests/together: everything else must be testable without it."""

    def refuse(*_args: object, **_kwargs: object) -> None:
        pytest.fail("only tests in tests/together may start Ray")

    if "together" not in request.path.parts:
        monkeypatch.setattr(ray, "init", refuse)


@pytest.fixture(autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Caches and budgets of the user's account are none of a test's business."""
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path_factory.mktemp("state")))
    monkeypatch.delenv("UPSTOX_ACCESS_TOKEN", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
