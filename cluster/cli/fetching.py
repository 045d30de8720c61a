"""Verbs that ask the provider for something, or say what they would ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from actors.market.chunk import Cause
from cluster.cli.options import (
    Address,
    AssetsUrl,
    BaseUrl,
    ConfigFile,
    FromOver,
    Json,
    StoreOver,
    Symbols,
    ToOver,
    console,
    load_config,
    one_of,
    print_json,
    say,
    timeframe_of,
)
from cluster.cli.screening import show
from cluster.exit import Exit

if TYPE_CHECKING:
    from cluster.scan import Finished
    from cluster.screen.screen import Screen

Causes = Annotated[
    list[str] | None,
    typer.Option("--cause", metavar="C", help="Only this one: timeout ...; repeatable."),
]
Timeframes = Annotated[
    list[str] | None,
    typer.Option("--timeframe", metavar="T", help="Only this one: 1day ...; repeatable."),
]
Runs = Annotated[
    list[str] | None,
    typer.Option("--run", metavar="ID", help="Only what this run left; repeatable."),
]
ScreenName = Annotated[
    str | None,
    typer.Option(
        "--screen",
        metavar="SCREEN",
        help="Show who matches this screen while the rest is being fetched, and its answer at the end.",
    ),
]


def demo(store: StoreOver = None) -> None:
    """NIFTY 50 from the look-alike exchange, inside the real limits. The data is synthetic."""
    from cluster.demo import demonstrate

    raise typer.Exit(demonstrate(console(), store))


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
    from cluster import forecast, occupancy
    from cluster.provider import provider_of
    from cluster.scan import prepare

    settings = load_config(config, store, base_url, assets_url, first, last)
    occupancy.check(settings.store)
    with provider_of(settings) as provider:
        now = datetime.now(UTC)
        prepared = prepare(settings, provider, now)
    say(prepared.wants.warnings)
    if as_json:
        print_json(forecast.as_dict(prepared, now))
    else:
        console(stderr=False).print(forecast.table(prepared))
        say(forecast.remarks(prepared, now))
    raise typer.Exit(Exit.INCOMPLETE if prepared.wants.unforgiven else Exit.DONE)


def scan(
    config: ConfigFile,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    first: FromOver = None,
    last: ToOver = None,
    screen: ScreenName = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Fetch what is missing into the store. The same command again fetches only what is still missing."""
    from cluster.scan import scan as work

    settings = load_config(config, store, base_url, assets_url, first, last)
    _tell(work(settings, console(), address, screen=_screen(screen)), screen, as_json=as_json)


def retry(
    config: ConfigFile,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    cause: Causes = None,
    symbol: Symbols = None,
    timeframe: Timeframes = None,
    run: Runs = None,
    screen: ScreenName = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Ask again for the dead letters of a store, with a config's provider, budget and fleet."""
    from cluster.retry import Filters
    from cluster.retry import retry as work

    filters = Filters(
        causes=[one_of(word, Cause, "--cause") for word in cause or ()],
        symbols=symbol or (),
        timeframes=[timeframe_of(label) for label in timeframe or ()],
        runs=run or (),
    )
    settings = load_config(config, store, base_url, None, None, None)
    finished = work(settings, filters, console(), address, _screen(screen))
    _tell(finished, screen, as_json=as_json)


def _screen(name: str | None) -> Screen | None:
    if name is None:
        return None
    from cluster.screen.screen import Screen

    return Screen.load(name)


def _tell(finished: Finished, screen: str | None, *, as_json: bool) -> NoReturn:
    """Print what a run came to, and end with its exit code."""
    say(finished.lines)
    answer = finished.answer
    if as_json:
        asked = {} if screen is None else {"answer": answer and answer.as_dict()}
        print_json(finished.summary.as_dict() | asked)
    elif answer is not None:
        show(answer)
    raise typer.Exit(finished.exit)


def universe(config: ConfigFile, assets_url: AssetsUrl = None, as_json: Json = False) -> None:
    """Show which instruments a config names, and which names no instrument answers to."""
    from cluster import roster
    from cluster.provider import provider_of
    from cluster.wants import wants_of

    settings = load_config(config, None, None, assets_url, None, None)
    with provider_of(settings) as provider:
        wants = wants_of(settings, provider.assets_url, provider.state_dir, datetime.now(UTC))
    say(wants.warnings)
    if as_json:
        print_json(roster.as_dict(wants))
    else:
        console(stderr=False).print(roster.table(wants))
        say([*wants.notes, *(f"unresolved: {name}" for name in wants.unresolved)])
    raise typer.Exit(Exit.INCOMPLETE if wants.unforgiven else Exit.DONE)


def doctor(
    config: ConfigFile,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Look at all that a scan depends on; two requests are sent. Exit code 1 if it would not work."""
    from cluster.doctor.examination import examine
    from cluster.doctor.finding import Grade

    settings = load_config(config, store, base_url, assets_url, None, None)
    found = []
    for finding in examine(settings, address, console()):
        found.append(finding)
        if not as_json:
            console(stderr=False).print(finding.in_words(), soft_wrap=True)
    fit = all(finding.grade is not Grade.PROBLEM for finding in found)
    if as_json:
        print_json({"fit": fit, "findings": [finding.as_dict() for finding in found]})
    raise typer.Exit(Exit.DONE if fit else Exit.INCOMPLETE)


def budget(as_json: Json = False) -> None:
    """Show what is spent of each request budget now, by which run, and when it frees."""
    from cluster.spending import look, tables
    from cluster.state import state_dir

    found = look(state_dir())
    if as_json:
        print_json({"budgets": [status.as_dict() for status in found]})
        return
    screen = console(stderr=False)
    for status in found:
        for table in tables(status):
            screen.print(table)
    if not found:
        say(["Nothing was spent from any budget lately."])
