"""Reads names from a CSV file: an index's members as NSE publishes them, or a list of symbols."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from actors.market.errors import UsageError

WHERE = "universe.file"
MAX_BYTES = 16 * 2**20

_SYMBOL_HEADERS = frozenset(
    {"symbol", "symbols", "ticker", "trading symbol", "tradingsymbol", "instrument key"}
)
_BETWEEN = ",;\t"  # columns, as spreadsheets write them; the first line tells which
_ISIN_HEADERS = frozenset({"isin", "isin code", "isin number"})
_HEADERS = _SYMBOL_HEADERS | _ISIN_HEADERS


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing."""

    line: int
    symbol: str  # may be empty where the ISIN is not
    isin: str | None = None


def read_listing(path: Path) -> list[Entry]:
    """Every line that names something, or should. Raises UsageError for a file that is no listing.

    Lines that start with `#`, blank ones, and columns other than symbol and ISIN are passed over.
    """
    lines = [
        (number, line)
        for number, line in enumerate(_read(path).splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    try:
        between = _between(lines[0][1]) if lines else ","
        rows = [(n, cells) for n, line in lines if any(cells := _cells(line, between))]
    except csv.Error as error:
        raise UsageError(f"{path} is no CSV: {error}", WHERE) from None
    if not rows:
        raise UsageError(f"{path} names no symbol", WHERE)
    symbol_at, isin_at, has_header = _columns(path, rows)
    entries = [
        Entry(number, _cell(cells, symbol_at), _cell(cells, isin_at) or None)
        for number, cells in (rows[1:] if has_header else rows)
    ]
    if not entries:
        raise UsageError(f"{path} has a header and no symbol below it", WHERE)
    return entries


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", WHERE) from None
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path} is larger than {MAX_BYTES // 2**20} MB", WHERE)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: is not UTF-8 text", WHERE) from None


def _cells(line: str, between: str) -> list[str]:
    """The cells of one line, trimmed. A cell cannot go on over the next line."""
    return [cell.strip() for cell in next(csv.reader([line], delimiter=between), [])]


def _between(line: str) -> str:
    """The character under which the first line has most headers that are known, or most cells."""

    def fits(between: str) -> tuple[int, int]:
        cells = _cells(line, between)
        return sum(cell in _HEADERS for cell in _folded(cells)), len(cells)

    return max(_BETWEEN, key=fits)


def _folded(header: Iterable[str]) -> list[str]:
    return [" ".join(cell.casefold().replace("_", " ").split()) for cell in header]


def _columns(path: Path, rows: list[tuple[int, list[str]]]) -> tuple[int | None, int | None, bool]:
    """Where symbol and ISIN stand, and whether the first row is a header."""
    header = _folded(rows[0][1])
    symbol_at = next((at for at, cell in enumerate(header) if cell in _SYMBOL_HEADERS), None)
    isin_at = next((at for at, cell in enumerate(header) if cell in _ISIN_HEADERS), None)
    for at in (symbol_at, isin_at):
        if at is not None and header.count(header[at]) > 1:
            raise UsageError(f"{path} has several columns called {rows[0][1][at]}", WHERE)
    if symbol_at is not None or isin_at is not None:
        return symbol_at, isin_at, True
    if all(not any(cells[1:]) for _, cells in rows):
        return 0, None, False
    raise UsageError(f"{path} has several columns, but none is called Symbol or ISIN Code", WHERE)


def _cell(cells: list[str], at: int | None) -> str:
    return cells[at] if at is not None and at < len(cells) else ""
