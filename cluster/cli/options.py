"""What verbs take on the command line, and how they print. Verbs load what they need when called."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from actors.market.errors import UsageError
from cluster.wording import printable

if TYPE_CHECKING:
    from rich.console import Console

    from actors.writer.reading import Store
    from cluster.config import RunConfig

Word = TypeVar("Word", bound=StrEnum)

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
AtVersion = Annotated[
    str | None,
    typer.Option("--version", metavar="N", help="As of this version of the candles table."),
]
AtTime = Annotated[
    str | None,
    typer.Option(
        "--as-of",
        metavar="TIME",
        help="As of this moment, ISO; India's, unless it names a zone. A day is its midnight.",
    ),
]
Symbols = Annotated[
    list[str] | None,
    typer.Option("--symbol", metavar="S", help="Only this symbol or key; repeatable."),
]
Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        envvar="RAY_ADDRESS",
        help="Join this Ray cluster; `local`: start one for the run, even if another is up.",
    ),
]


def load_config(
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


def opened(store: str, version: str | None, as_of: str | None) -> Store:
    """The store at its newest, or as it was."""
    from actors.writer.reading import Store

    if version is not None and as_of is not None:
        raise UsageError("say --version or --as-of, not both", "--version")
    moment = as_of if version is None else whole_number(version, "--version")
    newest = Store(store)
    if moment is None:
        return newest
    try:
        return newest.at(moment)
    except UsageError as error:
        raise UsageError(error.problem, "--as-of" if version is None else "--version") from None


def whole_number(text: str, option: str, most: int = 2**31) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"{text!r} is no whole number, 0 or more", option)
    if len(text) > len(str(most)) or int(text) > most:
        raise UsageError(f"{text} is more than {most:,}", option)
    return int(text)


def one_of(word: str, kind: type[Word], option: str) -> Word:
    """The member of `kind` that is written so."""
    try:
        return kind(word)
    except ValueError:
        raise UsageError(f"{word!r} is none of {', '.join(kind)}", option) from None


def timeframe_of(label: str | None) -> Any:
    from actors.market.timeframe import Timeframe

    try:
        return None if label is None else Timeframe.parse(label)
    except ValueError as error:
        raise UsageError(str(error), "--timeframe") from None


def day_of(text: str | None, option: str) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date; write one like 2024-01-31", option) from None


def console(*, stderr: bool = True) -> Console:
    from rich.console import Console

    # Names and messages that others wrote are shown as they are, be there brackets in them.
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def say(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(printable(line), err=True)


def print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False))
