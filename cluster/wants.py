from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from actors.market.instrument import Instrument
from cluster.config import RunConfig
from cluster.derived import is_derived, to_ask
from cluster.master import load_masters
from cluster.plan import Want
from cluster.universe import Unresolved, exchanges, resolve


@dataclass(frozen=True, slots=True)
class Wants:
    """Everything a config asks for, its names resolved."""

    wants: tuple[Want, ...]  # to be asked of the provider
    instruments: tuple[Instrument, ...]  # each once, in the order named
    unresolved: tuple[Unresolved, ...]
    unforgiven: int  # of them, those whose part of the config does not allow it
    notes: tuple[str, ...]  # what was understood otherwise than written
    warnings: tuple[str, ...]  # about the instrument master itself
    written: tuple[Want, ...] = ()  # as the config has them, if some are to be derived

    @property
    def derived(self) -> tuple[Want, ...]:
        """To be computed, from minutes that are among `wants`."""
        return tuple(filter(is_derived, self.written))


def wants_of(config: RunConfig, assets_url: str, state_dir: Path, now: datetime) -> Wants:
    """Resolve every part of a config. Raises UsageError if a file or the master cannot be had."""
    needed = frozenset[str]().union(*(exchanges(ask.universe) for ask in config.asks))
    masters = load_masters(needed, assets_url, state_dir, now)
    wants: list[Want] = []
    instruments: dict[str, Instrument] = {}
    unresolved: dict[str, Unresolved] = {}
    notes: dict[str, None] = {}
    unforgiven: set[str] = set()
    for ask in config.asks:
        found = resolve(ask.universe, masters)
        wants += [
            Want(instrument, timeframe, ask.first, ask.last)
            for timeframe in ask.timeframes
            for instrument in found.instruments
        ]
        instruments |= {i.instrument_key: i for i in found.instruments}
        unresolved |= {u.name: u for u in found.unresolved}
        notes |= dict.fromkeys(found.notes)
        if not ask.universe.allow_unresolved:
            unforgiven |= {u.name for u in found.unresolved}
    if config.derive and not any(map(is_derived, wants)):
        notes["derive: no timeframe that is named here can be computed from 1-minute bars"] = None
    return Wants(
        wants=tuple(to_ask(wants, now) if config.derive else wants),
        written=tuple(wants) if config.derive else (),
        instruments=tuple(instruments.values()),
        unresolved=tuple(unresolved.values()),
        unforgiven=len(unforgiven),
        notes=tuple(notes),
        warnings=tuple(w for m in masters.values() for w in m.warnings),
    )
