"""What a store holds and how it came to be, for `candlefleet status`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.console import RenderableType
from rich.table import Table

from actors.market.sessions import IST
from actors.writer import coverage
from actors.writer.naming import by_length
from actors.writer.reading import Holding, Store
from cluster.driver import is_running
from cluster.wording import counted, printable

#: So many runs and dead letters are listed for people; `--json` gives all.
LISTED = 15

_COUNTS = ("planned", "failed", "rows")
_OF_MANIFEST = frozenset({"began", "began_version", "job", "occasion"})
#: By whether the process that drives a run is still there.
_WITHOUT_REPORT = {True: "still running", False: "cut off", None: "cut off, or still running"}
_VERSIONS = ("began_version", "candles_version")  # of the candles; None: there was no table


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """One look at a store."""

    store: str
    candles_version: int | None  # None: no store there yet
    holdings: list[Holding]
    not_final: int  # chunks asked before all their days had settled
    rewritten: list[
        dict[str, Any]
    ]  # symbols whose history the provider has rewritten; newest first
    failed: list[dict[str, Any]]  # dead letters, as rows of the receipts table
    runs: list[dict[str, Any]]  # reports, or manifests of runs that have none; newest first

    @property
    def causes(self) -> dict[str, int]:
        """Dead letters by cause, most first."""
        return dict(Counter(row["cause"] for row in self.failed).most_common())

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
            "rewritten": self.rewritten,
            "causes": self.causes,
            "failed": self.failed,
            "runs": self.runs,
        }


def look(store: Store) -> StoreStatus:
    """At a store, or at what it was; runs that had not written yet are left out."""
    store = store.still()
    receipts, version = store.receipts(), store.candles_version()
    latest, wrote = coverage.latest(receipts), _newest_versions(receipts)
    runs = [_run(store, run_id, wrote.get(run_id)) for run_id in reversed(store.runs())]
    provisional = pc.and_(pc.invert(latest["final"]), pc.not_equal(latest["status"], "failed"))
    return StoreStatus(
        store=store.uri,
        candles_version=version,
        holdings=store.holdings(),
        not_final=latest.filter(provisional).num_rows,
        rewritten=_rewritten(receipts),
        failed=_plain(coverage.dead_letters(receipts)),
        runs=[run for run in runs if _version(run) <= (version or 0)],
    )


def tables(status: StoreStatus) -> list[RenderableType]:
    """The same for people."""
    shown: list[RenderableType] = [
        f"Store {status.store}, candles version {status.candles_version}",
        _held(status.holdings),
    ]
    if status.not_final:
        shown.append(
            f"Reaching into unsettled days: {counted(status.not_final, 'chunk')}; a later run asks again."
        )
    if status.rewritten:
        shown.append(_revisions(status.rewritten))
    if status.failed:
        shown += [_causes(status), _dead_letters(status.failed)]
        shown.append("`candlefleet retry CONFIG` asks for them again.")
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


def _causes(status: StoreStatus) -> Table:
    title = f"Dead letters: {len(status.failed):,}"
    table = Table("cause", "chunks", "instruments", "timeframes", title=title, title_justify="left")
    for cause, chunks in status.causes.items():
        rows = [row for row in status.failed if row["cause"] == cause]
        instruments = {row["instrument_key"] for row in rows}
        timeframes = by_length({row["timeframe"] for row in rows})
        table.add_row(cause, f"{chunks:,}", f"{len(instruments):,}", ", ".join(timeframes))
    return table


def _revisions(rewritten: list[dict[str, Any]]) -> str:
    named = []
    for row in rewritten[:LISTED]:
        prices = "" if row["ratio"] is None else f", prices x {row['ratio']:.4g}"
        named.append(f"{row['symbol']} (seen {row['seen_at'][:10]}{prices})")
    if len(rewritten) > LISTED:
        named.append(f"and {len(rewritten) - LISTED:,} more")
    return f"History rewritten by the provider: {', '.join(named)}."


def _dead_letters(failed: list[dict[str, Any]]) -> Table:
    table = Table("chunk", "cause", "attempts", "error")
    for row in failed[:LISTED]:
        error = printable(row["error"] or "")
        table.add_row(row["chunk_id"], row["cause"], str(row["attempts"]), error)
    if len(failed) > LISTED:
        table.add_row(f"… and {len(failed) - LISTED:,} more (--json lists all)")
    return table


def _runs(runs: list[dict[str, Any]]) -> Table:
    """As many columns as 80 characters hold; `--json` has the rest."""
    jobs = ["job"] if any("job" in run for run in runs[:LISTED]) else []
    heads = ("run", *jobs, "outcome", "chunks", "failed", "candles", "versions")
    table = Table(*heads, title="Runs, newest first", title_justify="left")
    table.columns[0].no_wrap = True  # a run's id is for copying
    for run in runs[:LISTED]:
        counts = [f"{run[name]:,}" if name in run else "" for name in _COUNTS]
        ends = [run.get(name) for name in _VERSIONS]
        versions = "..".join("" if end is None else str(end) for end in ends)
        names = [printable(str(run.get(name, ""))) for name in ("run_id", *jobs, "outcome")]
        table.add_row(*names, *counts, versions)
    return table


def _newest_versions(receipts: pa.Table) -> dict[str, int]:
    """The last version of the candles that each run wrote, be it by a successor that found its answers."""
    newest = receipts.group_by("run_id").aggregate([("candles_version", "max")])
    columns = (newest[name].to_pylist() for name in ("run_id", "candles_version_max"))
    return {
        run_id: version for run_id, version in zip(*columns, strict=True) if version is not None
    }


def _run(store: Store, run_id: str, wrote: int | None) -> dict[str, Any]:
    """Its report; of a run that has not written one yet, or never will, only what is known."""
    folder = store.run(run_id)
    report = folder.read("report.json")
    if report is not None:
        told = _content(report)
        damaged = {"run_id": run_id, "outcome": "its report is damaged"}
        return {**damaged, **told, "run_id": run_id}
    manifest = _content(folder.read("manifest.json") or b"{}")
    known = {name: manifest[name] for name in manifest.keys() & _OF_MANIFEST}
    known |= {} if wrote is None else {"candles_version": wrote}
    return {
        "run_id": run_id,
        "outcome": _WITHOUT_REPORT[is_running(manifest.get("driver"))],
        **known,
    }


def _content(file: bytes) -> dict[str, Any]:
    """What a run wrote; nothing, if others have written there."""
    try:
        content = json.loads(file)
        json.dumps(content, ensure_ascii=False).encode()  # half a character could not be printed
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) and _is_sound(content) else {}


def _is_sound(content: dict[str, Any]) -> bool:
    """Whether what is read of it here is of its kind; the rest is only passed on."""
    return (
        isinstance(content.get("outcome", ""), str)
        and all(isinstance(content.get(name, 0), int) for name in _COUNTS)
        and all(isinstance(content.get(name), int | None) for name in _VERSIONS)
    )


def _version(run: dict[str, Any]) -> int:
    """The version it left behind, or began from if it left no word."""
    return int(run.get("candles_version") or run.get("began_version") or 0)


def _rewritten(receipts: pa.Table) -> list[dict[str, Any]]:
    told = receipts.filter(pc.is_valid(receipts["outdates"]))
    newest: dict[str, dict[str, Any]] = {}
    for row in told.sort_by([("fetched_at", "descending")]).to_pylist():
        newest.setdefault(row["symbol"], row)
    return [
        {
            "symbol": symbol,
            "ratio": row["ratio"],
            "revised": row["revised"],
            "seen_at": row["fetched_at"].astimezone(IST).isoformat(),
        }
        for symbol, row in newest.items()
    ]


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
