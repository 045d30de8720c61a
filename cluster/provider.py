from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from actors.limiter.terms import Terms
from actors.upstox.limits import API_URL, ASSETS_URL, Family
from actors.upstox.token import TokenSource
from cluster.config import RunConfig
from cluster.state import state_dir

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom a command speaks to."""

    base_url: str
    assets_url: str
    token: TokenSource
    state_dir: Path


@contextmanager
def provider_of(config: RunConfig) -> Iterator[Provider]:
    """The provider a config names. A look-alike without an address is started, and stopped afterwards."""
    settings = config.provider
    token = TokenSource.find(settings.token_file)
    if settings.name == "lookalike" and settings.base_url is None:
        from cluster.lookalike.launch import run_lookalike

        with (
            run_lookalike() as exchange,
            # Its budget and its instruments end with it.
            tempfile.TemporaryDirectory(prefix="candlefleet-") as folder,
        ):
            yield Provider(exchange.base_url, exchange.assets_url, token, Path(folder))
    else:
        base_url = settings.base_url or API_URL
        assets_url = settings.assets_url or ASSETS_URL
        yield Provider(base_url, assets_url, token, state_dir())


def terms_of(config: RunConfig, provider: Provider) -> dict[Family, Terms]:
    """From which budget a run spends, by family of endpoints: one per provider and account.

    A family that the config names has one of its own.
    """
    host = _host(provider.base_url)
    account = provider.token.account()
    budget = config.budget

    def terms(family: Family) -> Terms:
        own = budget.families.of(family)
        return Terms(
            budget=host if own is None else f"{host}/{family}",
            windows=budget.windows if own is None else own.windows(budget.windows),
            timeout_s=config.provider.timeout_s,
            account=account,
            share=budget.share,
            reserve=budget.reserve,
            priority=budget.priority,
        )

    return {family: terms(family) for family in Family}


def _host(url: str) -> str:
    """One name for one server, however its address is written."""
    parts = urlsplit(url)
    port = None if parts.port == _PORTS.get(parts.scheme) else parts.port
    return (parts.hostname or "") + (f":{port}" if port else "")
