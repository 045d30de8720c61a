"""The verb that asks a store a question."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    AtTime,
    AtVersion,
    Symbols,
    console,
    day_of,
    one_of,
    opened,
    say,
    whole_number,
)
from cluster.wording import printable

if TYPE_CHECKING:
    from cluster.screen.answer import Answer
    from cluster.screen.screen import Screen


#: A table takes what it needs, however narrow the terminal: a price that is cut off is none.
_ANY_WIDTH = 10_000
#: What the arguments of asking are on the command line.
_OPTIONS = {"symbols": "--symbol", "on": "--on", "limit": "--limit"}


def screen(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SCREEN]", help="A screen's file, or the name of a ready one."),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", metavar="URI", help="Where the table lives.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", metavar="EXPR", help="A condition, instead of a SCREEN."),
    ] = None,
    timeframe: Annotated[
        str | None, typer.Option("--timeframe", metavar="T", help="Of --where: 1day if not given.")
    ] = None,
    symbol: Symbols = None,
    limit: Annotated[
        str | None, typer.Option("--limit", metavar="N", help="So many matches at most.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="As at the close of this day, by no later bar."),
    ] = None,
    version: AtVersion = None,
    as_of: AtTime = None,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="table|json|csv|parquet|html",
            help="What is printed, or written to --out.",
        ),
    ] = "table",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PATH", help="A file for the answer; `-` is stdout."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file there.")] = False,
    ready: Annotated[bool, typer.Option("--list", help="Name the ready screens and end.")] = False,
) -> None:
    """Ask every instrument in a store a question. Exit code 0 also where none matches."""
    if ready:
        _name_the_ready()
        return
    asked = _asked(name, where, timeframe)
    if store is None:
        raise UsageError("is needed: it says where the candles are", "--store")
    from cluster.screen import files

    wanted = one_of(form, files.Form, "--format")
    out = None if out == Path("-") else out
    most = None if limit is None else whole_number(limit, "--limit")
    seen = opened(store, version, as_of)
    files.refuse(wanted, out, seen, overwrite=overwrite)
    try:
        answer = asked.run(seen, on=day_of(on, "--on"), symbols=symbol or None, limit=most)
    except UsageError as error:
        raise UsageError(error.problem, _OPTIONS.get(error.where, error.where)) from None
    if out is not None:
        drawings = asked.drawings(seen, answer) if wanted is files.Form.HTML else []
        files.save(answer, wanted, out, drawings)
        say([answer.sum(), f"written to {out}"])
    elif wanted is files.Form.TABLE:
        show(answer)
    else:
        typer.echo(files.text(answer, wanted))


def show(answer: Answer) -> None:
    from cluster.screen import table

    out = console(stderr=False)
    out.width = _ANY_WIDTH
    out.print(table.table(answer))
    for line in table.lines(answer):
        typer.echo(printable(line))


def _asked(name: str | None, where: str | None, timeframe: str | None) -> Screen:
    from cluster.screen.screen import Screen

    if (name is None) == (where is None):
        raise UsageError("give a SCREEN or --where; `--list` names the ready ones", "screen")
    if where is not None:
        try:
            return Screen(where, timeframe=timeframe or "1day")
        except UsageError as error:
            raise UsageError(f"--{error}") from None
    if timeframe is not None:
        raise UsageError("goes with --where; a screen names its own", "--timeframe")
    assert name is not None
    return Screen.load(name)


def _name_the_ready() -> None:
    from rich.table import Table

    from cluster.screen import ready

    shown = Table("screen", "what it means")
    for name in ready.names():
        shown.add_row(name, ready.meaning(name))
    out = console(stderr=False)
    if not out.is_terminal:
        out.width = _ANY_WIDTH  # a line each, for `grep`
    out.print(shown)
