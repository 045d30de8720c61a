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
    parts = [(ask, resolve(ask.universe, masters)) for ask in config.asks]
    found = [resolution for _, resolution in parts]
    strict = [resolution for ask, resolution in parts if not ask.universe.allow_unresolved]
    wants = [
        Want(instrument, timeframe, ask.first, ask.last)
        for ask, resolution in parts
        for timeframe in ask.timeframes
        for instrument in resolution.instruments
    ]
    notes = [note for each in found for note in each.notes]
    if config.derive and not any(map(is_derived, wants)):
        notes.append("derive: no timeframe that is named here can be computed from 1-minute bars")
    return Wants(
        wants=tuple(to_ask(wants, now) if config.derive else wants),
        written=tuple(wants) if config.derive else (),
        instruments=tuple(
            {i.instrument_key: i for each in found for i in each.instruments}.values()
        ),
        unresolved=tuple({u.name: u for each in found for u in each.unresolved}.values()),
        unforgiven=len({u.name for each in strict for u in each.unresolved}),
        notes=tuple(dict.fromkeys(notes)),
        warnings=tuple(w for m in masters.values() for w in m.warnings),
    )
