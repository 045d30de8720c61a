"""What a run came to: one object for machines, a few lines for people, one exit code for both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from actors.fetcher.outcome import Halted
from actors.market.chunk import Receipt, Status
from actors.market.errors import UsageError
from cluster.derive import Derived
from cluster.display import duration
from cluster.exit import Exit
from cluster.fleet import Worked
from cluster.standing import NAMED_FAILURES
from cluster.wording import counted


@dataclass(frozen=True, slots=True)
class Summary:
    """The object `scan --json` prints. Counts are chunks unless named otherwise."""

    run_id: str
    planned: int
    stored: int
    empty: int
    failed: int
    pending: int
    rows: int  # candles committed by this run
    requests: int  # sent by this run, retries and probes included
    seconds: float
    store: str
    began_version: int | None  # of the candles table before this run; None: there was no table
    candles_version: int | None  # after it; every version in between is its own
    derived: int = 0  # candles computed from 1-minute ones, beside `rows`
    underivable: int = 0  # chunks that stand though their minutes say nothing
    underived: bool = False  # the run ended before it had computed what is wanted of the minutes
    quarantined: int = 0  # rows put aside as insane
    revised: int = 0  # candles that had been final and were changed
    rewritten: dict[str, float | None] = field(
        default_factory=dict
    )  # symbols whose history the provider has rewritten: new price to old
    outages: int = 0  # in which the provider failed altogether
    outage_seconds: float = 0.0  # of all of them together
    probes: int = 0  # requests sent only to see whether it answers
    unresolved: int = 0  # names of the universe that no instrument answers to
    causes: dict[str, int] = field(default_factory=dict)  # of the failures
    notes: list[str] = field(
        default_factory=list
    )  # what of the wanted days was not asked for, and why

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def summarise(
    run_id: str,
    worked: Worked,
    *,
    seconds: float,
    store: str,
    began_version: int | None,
    candles_version: int | None,
    unresolved: int,
    notes: list[str],
    derives: bool,
) -> Summary:
    """`derives`: whether longer bars are wanted of the minutes."""
    totals, strain, derived = worked.totals, worked.strain, worked.derived or Derived()
    return Summary(
        run_id=run_id,
        planned=worked.planned,
        stored=totals.statuses[Status.STORED],
        empty=totals.statuses[Status.EMPTY],
        failed=totals.statuses[Status.FAILED],
        pending=worked.planned - totals.statuses.total(),
        rows=totals.rows,
        requests=worked.requests,
        seconds=round(seconds, 3),
        store=store,
        began_version=began_version,
        candles_version=candles_version,
        derived=derived.bars,
        underivable=len(derived.failed),
        underived=derives and worked.derived is None,
        quarantined=totals.quarantined,
        revised=totals.revised,
        rewritten=totals.rewritten,
        outages=strain.outages,
        outage_seconds=round(strain.seconds, 1),
        probes=strain.probes,
        unresolved=unresolved,
        causes={str(cause): n for cause, n in totals.causes.items()},
        notes=notes,
    )


def exit_code(summary: Summary, worked: Worked, unforgiven: int) -> Exit:
    """`unforgiven`: names of the universe that had to be resolved, and were not."""
    is_cut_off = bool(summary.pending or summary.underived)
    if worked.halted is not None:
        return Exit.REFUSED
    if isinstance(worked.broken, UsageError) and not summary.requests:
        return Exit.USAGE
    if worked.interrupted and worked.broken is None and is_cut_off:
        return Exit.INTERRUPTED
    if worked.broken or summary.failed or summary.underivable or is_cut_off or unforgiven:
        return Exit.INCOMPLETE
    return Exit.DONE


def lines(summary: Summary, failures: list[Receipt], halted: Halted | None) -> list[str]:
    """The closing lines for people."""
    said = [*_fetched(summary), *_remarkable(summary)]
    said += [f"  failed: {r.chunk.id}: {r.error or r.cause}" for r in failures]
    failed = summary.failed + summary.underivable
    if failed > len(failures):
        said.append(f"  … and {failed - len(failures):,} more; see: candlefleet status")
    if halted is not None:
        code = f" ({halted.error_code})" if halted.error_code else ""
        said.append(f"The provider refused us: {halted.reason}{code}.")
    if summary.underived:
        said.append("Longer bars were not computed of the minutes; the next run does it.")
    if summary.pending and halted is None:
        said.append("The same command fetches the rest.")
    return said


def _fetched(summary: Summary) -> list[str]:
    if not summary.planned and summary.notes:
        return ["Nothing to fetch of what can be asked for."]
    if not summary.planned:
        return [f"Nothing to fetch: {summary.store} already holds all of it."]
    chunks, candles = counted(summary.stored, "chunk"), counted(summary.rows, "candle")
    others = f"{summary.empty:,} empty, {summary.failed:,} failed, {summary.pending:,} pending"
    spent = f"{counted(summary.requests, 'request')} in {duration(summary.seconds)}"
    return [
        f"{chunks} stored, {others}, of {summary.planned:,}.",
        f"{candles} by {spent}, run {summary.run_id}.",
    ]


def _remarkable(summary: Summary) -> Iterator[str]:
    if summary.outages:
        lasted = duration(summary.outage_seconds)
        asked = f"{summary.probes:,} of the requests asked whether it was over"
        yield f"The provider failed altogether for {lasted}; {asked}."
    if summary.derived:
        yield f"{counted(summary.derived, 'candle')} computed from 1-minute ones."
    if summary.quarantined:
        rows = counted(summary.quarantined, "insane row")
        yield f"Put aside in {summary.store}/quarantine: {rows}."
    if summary.rewritten:
        yield _rewritten(summary.rewritten)


def _rewritten(symbols: dict[str, float | None]) -> str:
    named = [
        symbol if ratio is None else f"{symbol} (prices x {ratio:.4g})"
        for symbol, ratio in list(symbols.items())[:NAMED_FAILURES]
    ]
    more = f" and {len(symbols) - len(named):,} more" if len(symbols) > len(named) else ""
    return f"The provider has rewritten the history of {', '.join(named)}{more}."
