"""The verb that keeps a store fresh."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    Address,
    AssetsUrl,
    BaseUrl,
    ConfigFile,
    Json,
    StoreOver,
    console,
    load_config,
    one_of,
    print_json,
    say,
)
from cluster.exit import Exit

if TYPE_CHECKING:
    from cluster.config import RunConfig
    from cluster.config.schedule import JobSettings

Once = Annotated[
    str | None, typer.Option("--once", metavar="JOB", help="Do this job now, and end.")
]
#: Of a daemon that lets a process of its own heed an occasion.
OccasionOf = Annotated[str | None, typer.Option("--occasion", metavar="TIME", hidden=True)]
Listed = Annotated[
    bool, typer.Option("--list", help="Show next and last runs. Exit code 1 if any is not well.")
]


Emit = Annotated[
    str | None,
    typer.Option(
        "--emit",
        metavar="cron|systemd|k8s",
        help="Print the jobs for somebody else to start, and end.",
    ),
]


def schedule(
    config: ConfigFile,
    once: Once = None,
    listed: Listed = False,
    emit: Emit = None,
    occasion: OccasionOf = None,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    address: Address = None,
    as_json: Json = False,
) -> None:
    """Keep a config's store fresh by its jobs, until SIGTERM; or do one now, or show how they stand."""

    def load() -> RunConfig:
        return load_config(config, store, base_url, assets_url, None, None)

    if sum(map(bool, (listed, once, emit))) > 1:
        raise UsageError("choose one of --once, --list and --emit")
    if as_json and not (listed or once):
        raise UsageError("goes with --list or --once", "--json")
    if emit is not None:
        _emit(load(), config, emit)
        return
    if listed:
        raise typer.Exit(_list(load(), as_json=as_json))
    if once is not None:
        raise typer.Exit(_heed(load(), once, occasion, address, as_json=as_json))
    from cluster.schedule.daemon import Daemon, own_command, stamped

    options = {"--store": store, "--base-url": base_url, "--assets-url": assets_url}
    given = {name: value for name, value in {**options, "--address": address}.items() if value}
    words = ["schedule", *(word for pair in given.items() for word in pair), str(config)]
    daemon = Daemon(load, [*own_command(), *words], lambda line: say([stamped(line)]))
    raise typer.Exit(daemon.run())


def _list(config: RunConfig, *, as_json: bool) -> int:
    from cluster.schedule.listing import lines, look, table

    found = look(config, datetime.now(UTC))
    if as_json:
        print_json(found.as_dict())
    else:
        screen = console(stderr=False)
        for each in (table(found), *lines(found)):
            screen.print(each)
    return found.exit


def _heed(
    config: RunConfig, name: str, occasion: str | None, address: str | None, *, as_json: bool
) -> int:
    job = _job(config, name)
    from cluster.schedule.agenda import occasion_now
    from cluster.schedule.daemon import end_with_parent
    from cluster.schedule.heed import heed
    from cluster.schedule.record import Journal, as_dict

    if occasion is not None:
        end_with_parent()
        at = datetime.fromisoformat(occasion)
    else:
        now = datetime.now(UTC).replace(microsecond=0)
        at = occasion_now(job, Journal(config.store).newest(now).get(name), now)
    is_retried = occasion is not None
    record = heed(job, config, at, console(), address=address, is_retried=is_retried)
    if occasion is None:  # or a daemon says it
        say([f"{name}: {', '.join(filter(None, (record.outcome, record.reason)))}"])
    if as_json:
        print_json(as_dict(record))
    return (record.attempts[-1].exit or Exit.DONE) if record.attempts else Exit.DONE


def _emit(settings: RunConfig, config: Path, kind: str) -> None:
    from cluster.schedule.emit.emission import Kind, text
    from cluster.schedule.emit.place import Place

    typer.echo(text(one_of(kind, Kind, "--emit"), Place.here(config), settings).rstrip())


def _job(config: RunConfig, name: str) -> JobSettings:
    for job in config.schedule.jobs:
        if job.name == name:
            return job
    known = ", ".join(job.name for job in config.schedule.jobs)
    raise UsageError(f"there is no job {name!r}; there are {known}", "--once")
