"""What a reader's words mean to a store. A word that means nothing is a mistake, not an empty answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from actors.market.chunk import Status
from actors.market.errors import UsageError
from actors.market.sessions import ist_date
from actors.market.timeframe import Timeframe, Unit
from actors.writer.predicate import quoted
from actors.writer.receipts import RECEIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Of the receipts, what tells which series there are.
SERIES = pa.schema(
    [RECEIPTS.field(name) for name in ("instrument_key", "symbol", "timeframe", "status", "cause")]
)


def several(value: str | Iterable[str], name: str) -> tuple[str, ...]:
    """One word or many, each once."""
    if isinstance(value, str):
        return (value,)
    words = tuple(dict.fromkeys(value)) if isinstance(value, Iterable) else (value,)
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f"{value!r} is no name, and no list of names", name)
    return words


def day_of(value: date | str | None, name: str) -> date | None:
    """An IST day; of a moment, the day it falls on in India."""
    if isinstance(value, datetime):
        return ist_date(value) if value.tzinfo else value.date()
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{value!r} is no date; write one like 2024-01-31", name) from None


def days_of(first: date | str | None, last: date | str | None) -> tuple[date | None, date | None]:
    """The first IST day and the last. Raises UsageError if they are the other way round."""
    begin, end = day_of(first, "first"), day_of(last, "last")
    if begin is not None and end is not None and begin > end:
        raise UsageError(f"{begin} comes after the last day, {end}", "first")
    return begin, end


def timeframe_of(value: Timeframe | str | None) -> Timeframe | None:
    if value is None or isinstance(value, Timeframe):
        return value
    try:
        return Timeframe.parse(value if isinstance(value, str) else repr(value))
    except ValueError as error:
        raise UsageError(str(error), "timeframe") from None


def columns_of(
    names: str | Iterable[str] | None, usual: pa.Schema, possible: pa.Schema
) -> pa.Schema:
    if names is None:
        return usual
    for name in (wanted := several(names, "columns")):
        if name not in possible.names:
            raise UsageError(f"there is no column {name!r}{near(name, possible.names)}", "columns")
    return pa.schema([possible.field(name) for name in wanted])


def naming(names: Iterable[str]) -> str:
    """True for the receipts of what the names may mean, be they symbols or keys."""
    listed = ", ".join(map(quoted, names))
    return f"symbol IN ({listed}) OR instrument_key IN ({listed})" if listed else "FALSE"


def instruments_by_symbol(receipts: pa.Table) -> dict[str, list[str]]:
    pairs = receipts.group_by(["symbol", "instrument_key"]).aggregate([]).to_pylist()
    found: dict[str, list[str]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (pair["symbol"], pair["instrument_key"])):
        found[pair["symbol"]].append(pair["instrument_key"])
    return dict(found)


def keys_of(
    names: Iterable[str], receipts: pa.Table, known: Callable[[], Mapping[str, list[str]]]
) -> dict[str, str]:
    """The instrument key of each name, which may be one. `known`: all there is, for a hint.

    Raises UsageError for a name that nothing answers to, and for a symbol under which candles of
    several instruments are stored, as of one share at two exchanges: in one series they are nonsense.
    """
    symbols = instruments_by_symbol(receipts)
    keys = {key for found in symbols.values() for key in found}
    is_stored = pc.equal(receipts["status"], Status.STORED)
    stored = {*receipts.filter(is_stored)["instrument_key"].to_pylist()}
    meant: dict[str, str] = {}
    for name in names:
        found = [name] if name in keys else symbols.get(name, [])
        if not found:
            everything = known()
            words = [*everything, *(key for keys in everything.values() for key in keys)]
            raise UsageError(f"the store knows no {name!r}{near(name, words)}", "symbols")
        found = [key for key in found if key in stored] or found
        if len(found) > 1:
            problem = f"{name} names {len(found)} instruments, {' and '.join(found)}"
            raise UsageError(f"{problem}; ask by key for those you mean", "symbols")
        meant[name] = found[0]
    return meant


def unanswered(
    meant: Mapping[str, str], receipts: pa.Table, timeframe: Timeframe | None
) -> dict[str, str]:
    """Why there can be nothing of a name, for those of which nothing has ever been answered."""
    answered: dict[str, set[str]] = defaultdict(set)  # of a key, timeframes
    failures: dict[str, set[str]] = defaultdict(set)  # of a key in the timeframe, causes
    facts = ["instrument_key", "timeframe", "status", "cause"]
    for row in receipts.group_by(facts).aggregate([]).to_pylist():
        key, label = row["instrument_key"], row["timeframe"]
        if row["status"] != Status.FAILED:
            answered[key].add(label)
        elif timeframe is None or label == timeframe.label:
            failures[key].add(row["cause"])
    found: dict[str, str] = {}
    for name, key in meant.items():
        held = answered[key]
        if held and (timeframe is None or timeframe.label in held):
            continue
        what = f"{name} {timeframe}" if timeframe else name
        if failures[key]:
            causes = ", ".join(sorted(failures[key]))
            found[name] = (
                f"every request for {what} has failed ({causes}); `candlefleet retry` helps"
            )
        else:
            there = ", ".join(by_length(held)) or "nothing"
            found[name] = f"{what} was never fetched; of {name} there is {there}"
    return found


def by_length(labels: Iterable[str]) -> list[str]:
    """Timeframes, the shortest first."""
    units = list(Unit)

    def length(label: str) -> tuple[int, int]:
        timeframe = Timeframe.parse(label)
        return units.index(timeframe.unit), timeframe.interval

    return sorted(labels, key=length)


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no known word is near."""
    by_form = {each.casefold(): each for each in known}
    found = get_close_matches(word.casefold(), by_form, n=3)
    return f"; did you mean {' or '.join(by_form[form] for form in found)}?" if found else ""
