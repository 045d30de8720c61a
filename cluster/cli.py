"""The verbs. Each loads what it needs, calls one function, prints. Imports wait for their verb."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from actors.market.errors import CandlefleetError, ProviderRefusal, UsageError
from cluster.exit import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from cluster.config import RunConfig

app = typer.Typer(
    name="candlefleet",
    help="Gathers market candles for whole universes of symbols, inside the provider's request budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it would print local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML or JSON config file.")]
StoreOver = Annotated[
    str | None,
    typer.Option("--store", metavar="URI", help="Where the table lives, over the config's."),
]
BaseUrl = Annotated[
    str | None, typer.Option("--base-url", metavar="URL", help="The API's host, over the config's.")
]
AssetsUrl = Annotated[
    str | None,
    typer.Option("--assets-url", metavar="URL", help="The instrument master's host, likewise."),
]
FromOver = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day, YYYY-MM-DD, likewise.")
]
ToOver = Annotated[
    str | None, typer.Option("--to", metavar="DATE", help="Last day, included, likewise.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
StoreUri = Annotated[str, typer.Option("--store", metavar="URI", help="Where the table lives.")]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        envvar="RAY_ADDRESS",
        help="Join this Ray cluster; without, one is started for the run.",
    ),
]


class ExportFormat(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    ARROW = "arrow"
    JSONL = "jsonl"


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("candlefleet"))
        raise typer.Exit


@app.callback()
def candlefleet(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options that stand before any verb."""


@app.command()
def demo(store: StoreOver = None) -> None:
    """NIFTY 50 from the look-alike exchange, inside the real limits. The data is synthetic."""
    from cluster.demo import demonstrate

    raise typer.Exit(demonstrate(_console(), store))


@app.command()
def plan(
    config: ConfigFile,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    first: FromOver = None,
    last: ToOver = None,
    as_json: Json = False,
) -> None:
    """Show what a scan would fetch and how long the budget makes it. Fetches and writes nothing."""
    from cluster import forecast
    from cluster.provider import provider_of
    from cluster.scan import prepare

    settings = _load(config, store, base_url, assets_url, first, last)
    with provider_of(settings) as provider:
        prepared = prepare(settings, provider, datetime.now(UTC))
    _say(prepared.wants.warnings)
    if as_json:
        _print_json(forecast.as_dict(prepared))
    else:
        _console(stderr=False).print(forecast.table(prepared))
        _say(forecast.remarks(prepared))
    raise typer.Exit(Exit.INCOMPLETE if prepared.wants.unforgiven else Exit.DONE)


@app.command()
def scan(
    config: ConfigFile,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    first: FromOver = None,
    last: ToOver = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Fetch what is missing into the store. The same command again fetches only what is still missing."""
    from cluster.scan import scan as work

    settings = _load(config, store, base_url, assets_url, first, last)
    finished = work(settings, _console(), address)
    _say(finished.lines)
    if as_json:
        _print_json(finished.summary.as_dict())
    raise typer.Exit(finished.exit)


@app.command()
def universe(config: ConfigFile, assets_url: AssetsUrl = None, as_json: Json = False) -> None:
    """Show which instruments a config names, and which names no instrument answers to."""
    from cluster import roster
    from cluster.provider import provider_of
    from cluster.wants import wants_of

    settings = _load(config, None, None, assets_url, None, None)
    with provider_of(settings) as provider:
        wants = wants_of(settings, provider.assets_url, provider.state_dir, datetime.now(UTC))
    _say(wants.warnings)
    if as_json:
        _print_json(roster.as_dict(wants))
    else:
        _console(stderr=False).print(roster.table(wants))
        _say([*wants.notes, *(f"unresolved: {name}" for name in wants.unresolved)])
    raise typer.Exit(Exit.INCOMPLETE if wants.unforgiven else Exit.DONE)


@app.command()
def status(store: StoreUri, as_json: Json = False) -> None:
    """Show what a store holds, its dead letters and its runs."""
    from actors.writer.reading import Store
    from cluster.status import look, tables

    found = look(Store(store))
    if as_json:
        _print_json(found.as_dict())
        return
    console = _console(stderr=False)
    for table in tables(found):
        console.print(table)


@app.command()
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file there.")] = False,
) -> None:
    """Write candles from the store into one file that anything can read."""
    from actors.writer.reading import Store
    from cluster.export import Format
    from cluster.export import export as write

    rows = write(
        Store(store),
        symbols=symbol or None,
        timeframe=_timeframe(timeframe),
        first=_date(first, "--from"),
        last=_date(last, "--to"),
        format=Format(file_format),
        out=out,
        overwrite=overwrite,
    )
    _say([f"{rows:,} candles written to {out}"])


@app.command(
    context_settings={
        "ignore_unknown_options": True,
        "allow_extra_args": True,
        "help_option_names": [],
    },
    add_help_option=False,
)
def lookalike(context: typer.Context) -> None:
    """Run the look-alike exchange by itself, for trying things out; `--help` lists its switches."""
    from cluster.lookalike.launch import serve
    from cluster.lookalike.settings import read_argv

    try:
        serve(read_argv(context.args, prog="candlefleet lookalike"), typer.echo)
    except (OSError, OverflowError, ValueError) as error:  # a port taken, a fault there is not
        raise UsageError(str(error), "lookalike") from None


def main() -> NoReturn:
    """The command `candlefleet`."""
    try:
        app()
    except UsageError as error:
        _say([f"candlefleet: {error}"])
        sys.exit(Exit.USAGE)
    except ProviderRefusal as error:
        _say([f"candlefleet: {error}"])
        sys.exit(Exit.REFUSED)
    except CandlefleetError as error:
        _say([f"candlefleet: {error}"])
        sys.exit(Exit.INCOMPLETE)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    sys.exit(Exit.DONE)


def _load(
    config: Path,
    store: str | None,
    base_url: str | None,
    assets_url: str | None,
    first: str | None,
    last: str | None,
) -> RunConfig:
    from cluster.config import Overrides, load

    return load(
        config,
        Overrides(store=store, base_url=base_url, assets_url=assets_url, first=first, last=last),
    )


def _timeframe(label: str | None) -> Any:
    from actors.market.timeframe import Timeframe

    try:
        return None if label is None else Timeframe.parse(label)
    except ValueError as error:
        raise UsageError(str(error), "--timeframe") from None


def _date(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date; write one like 2024-01-31", option) from None


def _console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    return Console(stderr=stderr)


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line, err=True)


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False))
