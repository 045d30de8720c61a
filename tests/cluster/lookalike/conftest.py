from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.settings import Settings

SEED = 11
#: A Thursday, 11:02:30 IST: 107 minutes of the session are over and published.
NOW = datetime(2026, 2, 12, 11, 2, 30)  # noqa: DTZ001 - the look-alike takes it as IST


@pytest.fixture(scope="session")
def _shared() -> Iterator[Lookalike]:
    settings = Settings(
        seed=SEED, now=NOW, clock_rate=0, unlimited=True, stall_s=0.2, drip_s=0.4, log_arrivals=True
    )
    with run_lookalike(settings) as exchange:
        yield exchange


@pytest.fixture
def exchange(_shared: Lookalike) -> Lookalike:
    """One server for all tests, as good as new for each; it refuses nobody."""
    _shared.set_faults()
    _shared.set_now(NOW)
    _shared.set_latency(0)
    _shared.reset()
    return _shared
