"""One attempt at an occasion: runs like any others, and then the job's screens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from actors.limiter.turns import Priority
from actors.market.clock import Clock
from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.writer.reading import Store
from cluster.config import RunConfig
from cluster.config.schedule import JobSettings, ScreenSettings
from cluster.exit import Exit
from cluster.optimize import lines as care_lines
from cluster.optimize import optimize
from cluster.report import Summary
from cluster.scan import Finished, Occasion, scan
from cluster.schedule.update import Update
from cluster.screen import files
from cluster.screen.screen import Screen
from cluster.verify import report
from cluster.verify.job import repair_config

if TYPE_CHECKING:
    from rich.console import Console

KEEP = timedelta(days=7)  # versions of the last days can still be read after a `full` job

_SAID_CHARS = 500


@dataclass(frozen=True, slots=True)
class Came:
    """What an attempt came to."""

    exit: Exit
    reason: str  # in words
    skipped: bool = False  # nothing was to be had
    is_closed: bool = False  # for the exchange was closed
    screened: int | None = None  # the version of the candles whose screens were asked
    runs: tuple[Summary, ...] = ()  # those that have asked, or computed, anything
    found: dict[str, int] = field(default_factory=dict)  # matches, by screen


@dataclass(frozen=True, slots=True)
class _Asked:
    """A screen, and where its answer goes; None: it is only counted."""

    name: str
    screen: Screen
    form: files.Form
    out: Path | None

    @classmethod
    def of(cls, settings: ScreenSettings, occasion: datetime, store: Store) -> Self:
        name, screen = settings.screen, Screen.load(settings.screen)
        if settings.out is None:
            return cls(name, screen, files.Form.JSON, None)
        day = f"{occasion.astimezone(IST):%Y-%m-%d}"
        out = Path(settings.out.replace("{date}", day)).expanduser()
        form = files.Form(out.suffix.removeprefix("."))
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{out.parent} cannot be made: {error.strerror}", "out") from None
        files.refuse(form, out, store, overwrite=True)
        return cls(name, screen, form, out)

    def ask(self, store: Store, clock: Clock) -> int:
        """How many match."""
        answer = self.screen.run(store, now=clock.now())
        if self.out is not None:
            is_page = self.form is files.Form.HTML
            drawings = self.screen.drawings(store, answer) if is_page else []
            files.save(answer, self.form, self.out, drawings)
        return answer.found


def attempt(
    job: JobSettings,
    config: RunConfig,
    occasion: datetime,
    *,
    clock: Clock,
    console: Console,
    address: str | None = None,
    is_resumed: bool = False,
    screened: int | None = None,
) -> Came:
    """Do what the job says. Raises CandlefleetError as a run does.

    Where there is nothing to fetch, its screens are asked if an earlier attempt, which this one resumes,
    may not have come to them; or if somebody else has brought what they were not asked of: `screened` is
    the version that they were asked of last. A screen that cannot be asked, or whose answer cannot be
    written, is refused before anything is fetched.
    """
    config, store = _giving_way(config), Store(config.store)
    asked = [_Asked.of(screen, occasion, store) for screen in job.screens]
    at = Occasion(job.name, occasion)
    do = _update if job.what == "update" else _full
    came = do(config, at, clock, console, address)
    if not asked or not came.exit.is_of_a_whole_run:
        return came
    version = store.candles_version()
    has_news = is_resumed or not (came.is_closed or version == screened)
    if came.skipped and not has_news:
        return came
    found = {each.name: each.ask(store, clock) for each in asked}
    return replace(came, skipped=False, found=found, screened=version)


def _giving_way(config: RunConfig) -> RunConfig:
    """Whoever waits for a run of theirs goes first."""
    if config.budget.priority is not Priority.INTERACTIVE:
        return config
    budget = config.budget.model_copy(update={"priority": Priority.UPDATE})
    return config.model_copy(update={"budget": budget})


def _update(
    config: RunConfig, at: Occasion, clock: Clock, console: Console, address: str | None
) -> Came:
    update = Update()
    runs = [scan(config, console, address, update.plan, clock=clock, occasion=at)]
    if update.learns and _is_whole(runs[0]):
        runs.append(scan(config, console, address, update.plan, clock=clock, occasion=at))
    last = runs[-1]
    told = tuple(run.summary for run in runs if run.summary.planned or run.summary.derived)
    is_skipped = not (update.learns or last.summary.planned or last.summary.derived)
    if is_skipped and update.need is not None and last.exit.is_of_a_whole_run:
        is_closed = bool(update.need.closed)
        return Came(Exit.DONE, update.need.reason, skipped=True, is_closed=is_closed, runs=told)
    return Came(last.exit, _said(last.lines), runs=told)


def _is_whole(run: Finished) -> bool:
    return run.exit.is_of_a_whole_run and not (run.summary.failed or run.summary.pending)


def _full(
    config: RunConfig, at: Occasion, clock: Clock, console: Console, address: str | None
) -> Came:
    verified = repair_config(config, console, address, clock=clock, occasion=at)
    runs = () if verified.summary is None else (verified.summary,)
    said = [*(verified.lines if verified.exit() else ()), report.sum_of(verified.found)]
    if verified.run.is_of_a_whole_run and Store(config.store).candles_version() is not None:
        done = optimize(config.store, KEEP, clock.now(), console.print, dry_run=False)
        said += care_lines(done)[:1]
    return Came(verified.exit(), _said(said), runs=runs)


def _said(lines: Iterable[str]) -> str:
    text = " ".join(line.strip() for line in lines)
    return text if len(text) <= _SAID_CHARS else f"{text[: _SAID_CHARS - 1]}…"
