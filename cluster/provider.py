from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from actors.market.window import Window
from actors.upstox.limits import API_URL, ASSETS_URL, PUBLISHED
from actors.upstox.token import TokenSource
from cluster.config import RunConfig
from cluster.state import state_dir


@dataclass(frozen=True, slots=True)
class Provider:
    """Whom a command speaks to, and from which budget it spends."""

    base_url: str
    assets_url: str
    token: TokenSource
    windows: tuple[Window, ...]
    budget: str  # one per host and account
    state_dir: Path


@contextmanager
def provider_of(config: RunConfig) -> Iterator[Provider]:
    """The provider a config names. A look-alike without an address is started, and stopped afterwards."""
    settings = config.provider
    token = TokenSource.find(settings.token_file)
    windows = _shared(config)
    if settings.name == "lookalike" and settings.base_url is None:
        from cluster.lookalike.launch import run_lookalike

        with (
            run_lookalike() as exchange,
            # Its budget and its instruments end with it.
            tempfile.TemporaryDirectory(prefix="candlefleet-") as folder,
        ):
            yield _provider(exchange.base_url, exchange.assets_url, token, windows, Path(folder))
    else:
        base_url = settings.base_url or API_URL
        assets_url = settings.assets_url or ASSETS_URL
        yield _provider(base_url, assets_url, token, windows, state_dir())


def _provider(
    base_url: str, assets_url: str, token: TokenSource, windows: tuple[Window, ...], folder: Path
) -> Provider:
    host = urlsplit(base_url).netloc
    return Provider(base_url, assets_url, token, windows, f"{host}/{token.account_label()}", folder)


def _shared(config: RunConfig) -> tuple[Window, ...]:
    """The windows this run may fill: the published ones or the user's own, times its share."""
    windows = config.budget.windows or PUBLISHED
    return tuple(Window(max(1, int(w.limit * config.budget.share)), w.span_ns) for w in windows)
