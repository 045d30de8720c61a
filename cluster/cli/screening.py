"""The verb that asks a store a question."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    AtTime,
    AtVersion,
    console,
    day_of,
    opened,
    print_json,
)

if TYPE_CHECKING:
    from cluster.screen.screen import Screen


class ScreenFormat(StrEnum):
    TABLE = "table"
    JSON = "json"


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
    symbol: Annotated[
        list[str] | None,
        typer.Option("--symbol", metavar="S", help="Only this symbol or key; repeatable."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="So many matches at most.")
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="As at the close of this day, by no later bar."),
    ] = None,
    version: AtVersion = None,
    as_of: AtTime = None,
    form: Annotated[
        ScreenFormat, typer.Option("--format", help="What is printed.")
    ] = ScreenFormat.TABLE,
    ready: Annotated[bool, typer.Option("--list", help="Name the ready screens and end.")] = False,
) -> None:
    """Ask every instrument in a store a question. Exit code 0 also where none matches."""
    if ready:
        _name_the_ready()
        return
    asked = _asked(name, where, timeframe)
    if store is None:
        raise UsageError("is needed: it says where the candles are", "--store")
    answer = asked.run(
        opened(store, version, as_of), on=day_of(on, "--on"), symbols=symbol or None, limit=limit
    )
    from cluster.screen import table

    if form is ScreenFormat.JSON:
        print_json(answer.as_dict())
    else:
        console(stderr=False).print(table.table(answer))
        for line in table.lines(answer):
            typer.echo(line)


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
    console(stderr=False).print(shown)
