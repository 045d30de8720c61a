from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cluster.address import place_of
from cluster.choice import joins
from cluster.doctor import machine, provider
from cluster.doctor.finding import Check, Finding, carried_out
from cluster.provider import provider_of

if TYPE_CHECKING:
    from rich.console import Console

    from cluster.config import RunConfig


def examine(config: RunConfig, address: str | None, console: Console) -> Iterator[Finding]:
    """Look at all that a scan of this config depends on; each finding comes as soon as it is there.

    What is asked of the provider is counted in the budget; nothing is stored.
    """
    if address is not None and joins(address):
        place_of(address)  # what is no address at all is no finding
    with provider_of(config) as asked:
        now = datetime.now(UTC)
        checks: list[tuple[str, Check]] = [
            ("software", machine.software),
            ("memory", lambda: machine.memory(config.memory.limit_mb)),
            ("state folder", lambda: machine.state(asked.state_dir)),
            ("store", lambda: machine.store(config.store, asked.state_dir)),
            ("token", lambda: provider.token(asked.token, now)),
            ("clock", lambda: provider.clock(asked.assets_url, lambda: datetime.now(UTC))),
            ("universe", lambda: provider.instruments(config, asked, now)),
            ("candles", lambda: provider.candles(config, asked, now)),
            ("ray", lambda: machine.ray_cluster(asked, address, console)),
        ]
        for about, check in checks:
            yield from carried_out(about, check)
