"""Verbs that read a store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.options import (
    AtTime,
    AtVersion,
    Json,
    StoreUri,
    console,
    day_of,
    opened,
    print_json,
    say,
    timeframe_of,
)
from cluster.wording import counted


class ExportFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    JSONL = "jsonl"


def status(
    store: StoreUri, version: AtVersion = None, as_of: AtTime = None, as_json: Json = False
) -> None:
    """Show what a store holds, its dead letters and its runs."""
    from cluster.status import look, tables

    found = look(opened(store, version, as_of))
    if as_json:
        print_json(found.as_dict())
        return
    screen = console(stderr=False)
    for table in tables(found):
        screen.print(table)


def export(
    store: StoreUri,
    out: Annotated[Path, typer.Option("--out", metavar="PATH", help="The file to write.")],
    file_format: Annotated[ExportFormat, typer.Option("--format", help="What kind of file.")],
    symbol: Annotated[
        list[str] | None, typer.Option("--symbol", metavar="S", help="Only this one; repeatable.")
    ] = None,
    timeframe: Annotated[
        str | None,
        typer.Option("--timeframe", metavar="T", help="Only this one: 1day, 5minute ..."),
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")
    ] = None,
    version: AtVersion = None,
    as_of: AtTime = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file there.")] = False,
    as_json: Json = False,
) -> None:
    """Write candles from the store into one file that anything can read."""
    from cluster.export import Format
    from cluster.export import export as write

    done = write(
        opened(store, version, as_of),
        symbols=symbol or None,
        timeframe=timeframe_of(timeframe),
        first=day_of(first, "--from"),
        last=day_of(last, "--to"),
        format=Format(file_format),
        out=out,
        overwrite=overwrite,
    )
    say([f"{counted(done.rows, 'candle')} of version {done.candles_version} written to {done.out}"])
    if as_json:
        print_json(done.as_dict())
