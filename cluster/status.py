"""What a store holds and how it came to be, for `candlefleet status`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import RenderableType
from rich.table import Table

from actors.market.sessions import IST
from actors.writer.reading import Holding, Store

#: So many runs and dead letters are listed for people; `--json` gives all.
LISTED = 15


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One look at a store."""

    store: str
    candles_version: int | None  # None: no store there yet
    holdings: list[Holding]
    not_final: int  # chunks asked before all their days had settled
    failed: list[dict[str, Any]]  # dead letters, as rows of the receipts table
    runs: list[dict[str, Any]]  # reports, or manifests of runs that have none; newest first

    def as_dict(self) -> dict[str, Any]:
        return {
            "store": self.store,
            "candles_version": self.candles_version,
            "timeframes": [
                {
                    "timeframe": h.timeframe,
                    "instruments": h.instruments,
                    "rows": h.rows,
                    "first": h.first.isoformat(),
                    "last": h.last.isoformat(),
                }
                for h in self.holdings
            ],
            "not_final": self.not_final,
            "failed": self.failed,
            "runs": self.runs,
        }


def look(store: Store) -> StoreStatus:
    latest = store.latest()
    provisional = pc.and_(pc.invert(latest["final"]), pc.not_equal(latest["status"], "failed"))
    return StoreStatus(
        store=store.uri,
        candles_version=store.candles_version(),
        holdings=store.holdings(),
        not_final=latest.filter(provisional).num_rows,
        failed=_plain(store.dead_letters()),
        runs=[_run(store, run_id) for run_id in reversed(store.runs())],
    )


def tables(status: StoreStatus) -> list[RenderableType]:
    """The same for people."""
    if status.candles_version is None and not status.runs:
        return [f"There is no store at {status.store} yet."]
    shown: list[RenderableType] = [
        f"Store {status.store}, candles version {status.candles_version}",
        _held(status.holdings),
    ]
    if status.not_final:
        shown.append(
            f"{status.not_final:,} chunks reach into unsettled days; a later run asks again."
        )
    if status.failed:
        shown.append(_dead_letters(status.failed))
    if status.runs:
        shown.append(_runs(status.runs))
    return shown


def _held(holdings: list[Holding]) -> Table:
    table = Table(
        "timeframe", "instruments", "candles", "from", "to", title="Held", title_justify="left"
    )
    for h in holdings:
        table.add_row(h.timeframe, f"{h.instruments:,}", f"{h.rows:,}", str(h.first), str(h.last))
    return table


def _dead_letters(failed: list[dict[str, Any]]) -> Table:
    title = f"Dead letters: {len(failed):,}"
    table = Table("chunk", "cause", "attempts", "error", title=title, title_justify="left")
    for row in failed[:LISTED]:
        table.add_row(row["chunk_id"], row["cause"], str(row["attempts"]), row["error"])
    if len(failed) > LISTED:
        table.add_row(f"… and {len(failed) - LISTED:,} more (--json lists all)")
    return table


def _runs(runs: list[dict[str, Any]]) -> Table:
    columns = ("run", "outcome", "stored", "empty", "failed", "pending", "candles", "requests")
    table = Table(*columns, title="Runs, newest first", title_justify="left")
    table.columns[0].overflow = "fold"  # a run's id is for copying
    for run in runs[:LISTED]:
        numbers = [
            run.get(name) for name in ("stored", "empty", "failed", "pending", "rows", "requests")
        ]
        table.add_row(
            run["run_id"], run["outcome"], *("" if n is None else f"{n:,}" for n in numbers)
        )
    return table


def _run(store: Store, run_id: str) -> dict[str, Any]:
    """Its report; of a run that was cut off before it could write one, only what is known."""
    report = store.run(run_id).read("report.json")
    if report is None:
        return {"run_id": run_id, "outcome": "cut off, or still running"}
    content: dict[str, Any] = json.loads(report)
    return content


def _plain(receipts: pa.Table) -> list[dict[str, Any]]:
    return [
        {
            k: v.astimezone(IST).isoformat() if isinstance(v, datetime) else _text(v)
            for k, v in row.items()
        }
        for row in receipts.to_pylist()
    ]


def _text(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
