"""The command line. A verb loads what it needs, calls one function, prints."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from actors.market.errors import CandlefleetError, ProviderRefusal, UsageError
from cluster.cli import care, fetching, jobs, keeping, reading, scheduling, screening
from cluster.cli.options import say
from cluster.cli.streams import outlive_readers
from cluster.exit import Exit
from cluster.interrupt import heed_signals, ignore_signals
from cluster.version import VERSION

app = typer.Typer(
    name="candlefleet",
    help="Gathers market candles for whole universes of symbols, inside the provider's request budget.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # it would print local variables
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
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


for verb in (
    fetching.demo,
    fetching.plan,
    fetching.scan,
    fetching.retry,
    fetching.universe,
    fetching.budget,
    fetching.doctor,
    reading.status,
    reading.export,
    screening.screen,
    care.verify,
    care.optimize,
    scheduling.schedule,
    jobs.submit,
    jobs.jobs,
    keeping.up,
    keeping.down,
):
    app.command()(verb)


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

    settings = read_argv(context.args, prog="candlefleet lookalike")
    try:
        serve(settings, typer.echo)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise UsageError(f"{settings.port} cannot be used ({reason})", "--port") from None
    except ValueError as error:  # a fault there is not
        raise UsageError(str(error), "lookalike") from None


def main() -> NoReturn:
    """The command `candlefleet`."""
    import actors.lean  # noqa: F401  # for its effect

    heed_signals()
    outlive_readers()
    # The table engine's own log; what concerns the user, it raises.
    os.environ.setdefault("RUST_LOG", "off")
    try:
        app()
    except UsageError as error:
        say([f"candlefleet: {error}"])
        sys.exit(Exit.USAGE)
    except ProviderRefusal as error:
        say([f"candlefleet: {error}"])
        sys.exit(Exit.REFUSED)
    except CandlefleetError as error:
        say([f"candlefleet: {error}"])
        sys.exit(Exit.INCOMPLETE)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    finally:
        ignore_signals()
    sys.exit(Exit.DONE)
