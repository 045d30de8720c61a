"""From names to instruments. What names nothing is said by name and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from actors.market.instrument import Instrument
from cluster.config.ask import Filter, UniverseSpec
from cluster.master import Master
from cluster.segments import DEFAULT_EXCHANGE, SEGMENTS
from cluster.universe.directory import Directory, directory_of
from cluster.universe.finding import Found, find, nearest_to
from cluster.universe.listing import Entry, read_listing
from cluster.universe.name import Name, parse_name

#: So many near names are looked for; each costs some 15 ms, and a wrong file may hold thousands.
_SUGGESTED = 25


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A name that no instrument answers to."""

    name: str
    reason: str
    nearest: str | None = None  # what may have been meant

    def __str__(self) -> str:
        advice = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{self.name}: {self.reason}{advice}"


@dataclass(frozen=True, slots=True)
class Resolution:
    instruments: tuple[Instrument, ...]  # each once: in the order named, then the filter's
    unresolved: tuple[Unresolved, ...]
    notes: tuple[str, ...]  # what was understood otherwise than written


def exchanges(spec: UniverseSpec) -> frozenset[str]:
    """Whose masters are needed to resolve it."""
    named = {name.exchange for name in _names(spec) if name.exchange is not None}
    return frozenset(named | _filtered_exchanges(spec.filter))


def resolve(spec: UniverseSpec, masters: Mapping[str, Master]) -> Resolution:
    """Find every instrument that `spec` names. Raises UsageError if its file cannot be read."""
    directories = {exchange: directory_of(master) for exchange, master in masters.items()}
    names = list(_names(spec))
    notes = _notes_on_keys(names)
    times: Counter[Instrument] = Counter()  # in the order of first mention
    unresolved: dict[str, Unresolved] = {}
    for name in names:
        match find(name, directories):
            case Found(instrument=instrument, note=note):
                times[instrument] += 1
                notes += [note] if note else []
            case reason:
                near = nearest_to(name, directories) if len(unresolved) < _SUGGESTED else None
                unresolved.setdefault(name.text, Unresolved(name.text, reason, near))
    notes += [f"{i.symbol}: named {n} times, taken once" for i, n in times.items() if n > 1]
    selected = _selected(spec.filter, directories)
    if isinstance(selected, Unresolved):
        unresolved[selected.name] = selected
    else:
        times.update(selected)
    return Resolution(tuple(times), tuple(unresolved.values()), tuple(dict.fromkeys(notes)))


def _names(spec: UniverseSpec) -> Iterator[Name]:
    if spec.file is not None:
        for entry in read_listing(spec.file):
            yield _entry_name(entry, spec.file.name)
    for symbol in spec.symbols:
        yield parse_name(symbol)
    for labelled in spec.labelled:
        yield parse_name(labelled.instrument_key, label=labelled.symbol)


def _entry_name(entry: Entry, file: str) -> Name:
    if entry.symbol:
        return parse_name(entry.symbol, isin=entry.isin)
    if entry.isin is not None:
        return Name(entry.isin, isin=entry.isin.upper())
    return Name(f"line {entry.line} of {file}", fault="has neither a symbol nor an ISIN")


def _notes_on_keys(names: list[Name]) -> list[str]:
    """One for all, however many keys are written so."""
    shortened = [name for name in names if name.shortened]
    if not shortened:
        return []
    others = f" (and {len(shortened) - 1:,} more)" if len(shortened) > 1 else ""
    first = shortened[0]
    return [
        f"{first.text} is read as {first.key}{others}: a key has two parts, the third is a label"
    ]


def _filtered_exchanges(wanted: Filter | None) -> frozenset[str]:
    if wanted is None:
        return frozenset()
    return frozenset(SEGMENTS[s] for s in wanted.segment) or frozenset({DEFAULT_EXCHANGE})


def _selected(
    wanted: Filter | None, directories: Mapping[str, Directory]
) -> list[Instrument] | Unresolved:
    if wanted is None:
        return []
    consulted = [directories[exchange] for exchange in sorted(_filtered_exchanges(wanted))]
    found = [instrument for directory in consulted for instrument in directory.select(wanted)]
    lists = " and ".join(directory.as_of for directory in consulted)
    return found or Unresolved("universe.filter", f"no instrument of {lists} fits")
