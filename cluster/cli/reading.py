"""Verbs that read a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    AtTime,
    AtVersion,
    Json,
    StoreUri,
    Symbols,
    console,
    day_of,
    one_of,
    opened,
    print_json,
    say,
    timeframe_of,
)
from cluster.wording import counted

Out = Annotated[str, typer.Option("--out", metavar="PATH", help="The file to write; - is stdout.")]
FileFormat = Annotated[
    str, typer.Option("--format", metavar="csv|parquet|arrow|jsonl", help="What kind of file.")
]
OneTimeframe = Annotated[
    str | None, typer.Option("--timeframe", metavar="T", help="Only this one: 1day, 5minute ...")
]
First = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day.")]
Last = Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file there.")]

#: What the arguments of a reading call are on the command line.
_OPTIONS = {"symbols": "--symbol", "timeframe": "--timeframe", "first": "--from"}


def status(
    store: StoreUri, version: AtVersion = None, as_of: AtTime = None, as_json: Json = False
) -> None:
    """Show what a store holds, its dead letters and its runs."""
    from cluster.status import look, tables

    found = look(opened(store, version, as_of))
    if found.candles_version is None and not found.runs:
        raise UsageError(f"there is no store at {found.store} yet", "--store")
    if as_json:
        print_json(found.as_dict())
        return
    screen = console(stderr=False)
    for table in tables(found):
        screen.print(table)


def export(
    store: StoreUri,
    out: Out,
    file_format: FileFormat,
    symbol: Symbols = None,
    timeframe: OneTimeframe = None,
    first: First = None,
    last: Last = None,
    version: AtVersion = None,
    as_of: AtTime = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write candles from the store into one file that anything can read."""
    from cluster.export import Format
    from cluster.export import export as write

    to_stdout = out == "-"
    if to_stdout and as_json:
        raise UsageError("stdout is taken by --out -", "--json")
    try:
        done = write(
            opened(store, version, as_of),
            symbols=symbol or None,
            timeframe=timeframe_of(timeframe),
            first=day_of(first, "--from"),
            last=day_of(last, "--to"),
            format=one_of(file_format, Format, "--format"),
            out=None if to_stdout else Path(out),
            overwrite=overwrite,
        )
    except BrokenPipeError:
        return  # whoever reads has seen enough
    except UsageError as error:
        raise UsageError(error.problem, _OPTIONS.get(error.where, error.where)) from None
    say([f"{counted(done.rows, 'candle')} of version {done.candles_version} written to {done.out}"])
    if as_json:
        print_json(done.as_dict())
