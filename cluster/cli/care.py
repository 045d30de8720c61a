"""Verbs that keep a store in order."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    Address,
    AssetsUrl,
    AtTime,
    AtVersion,
    BaseUrl,
    FromOver,
    Json,
    StoreOver,
    StoreUri,
    ToOver,
    console,
    day_of,
    load_config,
    opened,
    print_json,
    say,
    whole_number,
)

if TYPE_CHECKING:
    from cluster.verify.verification import Verification

MaybeConfig = Annotated[
    Path | None,
    typer.Argument(
        metavar="[CONFIG]",
        help="What the store should hold; without, --store is held against its own receipts.",
    ),
]

Fetch = Annotated[
    bool,
    typer.Option("--fetch", help="Ask for what is missing or unconfirmed, then verify once more."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 for what is unconfirmed, too.")]
Keep = Annotated[
    str,
    typer.Option(
        "--keep", metavar="DAYS", help="What versions of the last days need is not cleared away."
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")
]
Force = Annotated[
    bool, typer.Option("--force", help="Keep less than a day, whoever may be reading.")
]


def verify(
    config: MaybeConfig = None,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    first: FromOver = None,
    last: ToOver = None,
    version: AtVersion = None,
    as_of: AtTime = None,
    fetch: Fetch = False,
    strict: Strict = False,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Show which sessions are missing from a store, each with its reason. Exit code 1 if any is."""
    from cluster.verify.job import repair_config, verify_config, verify_store

    if fetch and not (version is None and as_of is None):
        raise UsageError("asks for what is missing now; --version and --as-of look back", "--fetch")
    if config is not None:
        settings = load_config(config, store, base_url, assets_url, first, last)
        if fetch:
            done = repair_config(settings, console(), address)
        else:
            done = verify_config(settings, opened(settings.store, version, as_of))
    elif fetch:
        raise UsageError("needs a CONFIG, which says from where to fetch and how fast", "--fetch")
    elif store is None:
        raise UsageError("give a CONFIG, or --store URI to hold it against its own receipts")
    else:
        days = day_of(first, "--from"), day_of(last, "--to")
        done = verify_store(opened(store, version, as_of), *days)
    say(done.lines)
    _show(done.found, as_json=as_json)
    raise typer.Exit(done.exit(strict=strict))


def _show(found: Verification, *, as_json: bool) -> None:
    from cluster.verify import report

    if as_json:
        print_json(report.as_dict(found))
        return
    screen = console(stderr=False)
    for each in report.screens(found):
        screen.print(each)


def optimize(
    store: StoreUri,
    keep: Keep = "7",
    dry_run: DryRun = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put a store in order for reading, and clear away what only old versions need."""
    from datetime import UTC, datetime, timedelta

    from cluster import optimize as care

    days = whole_number(keep, "--keep", most=36_500)
    care.refuse_haste(store, days, force)
    now = datetime.now(UTC)
    done = care.optimize(
        store, timedelta(days=days), now, lambda line: say([line]), dry_run=dry_run
    )
    say(care.lines(done))
    if as_json:
        print_json(done.as_dict())
    else:
        console(stderr=False).print(care.table(done))
