"""Verbs for runs that a cluster does as jobs of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from actors.market.errors import UsageError
from cluster.cli.options import (
    AssetsUrl,
    BaseUrl,
    ConfigFile,
    FromOver,
    Json,
    StoreOver,
    ToOver,
    print_json,
    say,
)
from cluster.exit import Exit
from cluster.wording import printable

if TYPE_CHECKING:
    from cluster.jobs import Job, Jobs
    from cluster.packing import Order

#: It becomes part of an address: no slash, and more than the dots that would lead out of a folder.
_JOB_ID = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]+")

Dashboard = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        envvar=["RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"],
        show_envvar=False,  # a list in brackets
        help="The cluster's dashboard, such as http://127.0.0.1:8265; default: RAY_API_SERVER_ADDRESS, "
        "or RAY_ADDRESS.",
    ),
]


TokenFile = Annotated[
    str | None,
    typer.Option(
        "--token-file",
        metavar="PATH",
        help="Where the cluster has the token; default: its UPSTOX_ACCESS_TOKEN.",
    ),
]
Install = Annotated[
    bool, typer.Option("--install", help="Let the cluster install the packages we need.")
]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Show its log, and end with its exit code.")
]


def submit(
    config: ConfigFile,
    address: Dashboard,
    store: StoreOver = None,
    base_url: BaseUrl = None,
    assets_url: AssetsUrl = None,
    first: FromOver = None,
    last: ToOver = None,
    token_file: TokenFile = None,
    install: Install = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Let a Ray cluster do a scan as a job, and wait for it. Ctrl-C stops the waiting, not the job."""
    from cluster.config import Overrides
    from cluster.packing import Order

    over = Overrides(store=store, base_url=base_url, assets_url=assets_url, first=first, last=last)
    order = Order(
        config=config, overrides=over, token_file=token_file, install=install, as_json=as_json
    )
    there, job_id = _handed_over(order, address)
    stop = f"To stop it: candlefleet jobs --address {address} --stop {job_id}"
    say([f"Submitted {job_id}. {stop}"])
    if wait:
        try:
            raise typer.Exit(_followed(there, job_id, as_json=as_json))
        except KeyboardInterrupt:
            say([f"It goes on. {stop}"])
            raise typer.Exit(Exit.INTERRUPTED) from None
    if as_json:
        print_json(there.look(job_id).as_dict())


def _handed_over(order: Order, address: str) -> tuple[Jobs, str]:
    """Those who have it now, and the id by which they know it."""
    from cluster.jobs import Jobs
    from cluster.packing import packed

    with packed(order) as package:
        there = Jobs(address)
        return there, there.submit(package, order.config.name)


def _followed(there: Jobs, job_id: str, *, as_json: bool) -> int:
    """Show the job's log to its end; the summary in it, for a machine, once more by itself."""
    from cluster.jobs import summary_in

    shown: list[str] = []

    def show(text: str) -> None:
        shown.append(text)
        typer.echo(text, nl=False, err=True)

    job = there.follow(job_id, show, lambda line: say([line]))
    if job.trouble:
        say([f"candlefleet: {job_id} {job.state}: {job.trouble}"])
    if as_json and (summary := summary_in("".join(shown))) is not None:
        typer.echo(summary)
    return job.exit or Exit.DONE


def jobs(
    address: Dashboard,
    stop: Annotated[
        str | None, typer.Option("--stop", metavar="ID", help="Stop this one; it can be resumed.")
    ] = None,
    logs: Annotated[
        str | None, typer.Option("--logs", metavar="ID", help="Print what this one wrote.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the jobs of ours that a Ray cluster does or did, or stop one."""
    from cluster.jobs import Jobs

    if stop is not None and logs is not None:
        raise UsageError("say --stop or --logs, not both", "--stop")
    for job_id, option in ((stop, "--stop"), (logs, "--logs")):
        _refuse_no_id(job_id, option)
    there = Jobs(address)
    if logs is not None:
        typer.echo(there.log(logs), nl=False)
        return
    found = [_stopped(there, stop)] if stop is not None else there.ours()
    if as_json:
        print_json({"jobs": [job.as_dict() for job in found]})
        return
    if not found:
        say([f"The cluster at {address} knows no job of ours."])
    for job in found:
        typer.echo(printable(job.in_words()))


def _refuse_no_id(job_id: str | None, option: str) -> None:
    if job_id is not None and _JOB_ID.fullmatch(job_id) is None:
        raise UsageError(f"{job_id!r} is no job's id; `candlefleet jobs` lists them", option)


def _stopped(there: Jobs, job_id: str) -> Job:
    job = there.look(job_id)
    if not job.is_over:
        return there.stop(job_id)
    say([f"{job_id} had ended before."])
    return job
