"""The instruments a config names, for `candlefleet universe`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from cluster.wants import Wants
from cluster.wording import counted


def as_dict(wants: Wants) -> dict[str, Any]:
    return {
        "instruments": [asdict(instrument) for instrument in wants.instruments],
        "unresolved": [asdict(name) for name in wants.unresolved],
        "notes": list(wants.notes),
    }


def table(wants: Wants) -> Table:
    shown = Table("symbol", "instrument key", "type", "name", caption=_count(wants))
    for instrument in wants.instruments:
        shown.add_row(
            instrument.symbol,
            instrument.instrument_key,
            instrument.instrument_type,
            instrument.name,
        )
    return shown


def _count(wants: Wants) -> str:
    instruments, unresolved = len(wants.instruments), len(wants.unresolved)
    return f"{counted(instruments, 'instrument')}, {counted(unresolved, 'name')} unresolved"
