from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from actors.limiter.terms import reserved
from actors.limiter.turns import Priority
from actors.market.address import checked_url
from actors.market.errors import UsageError
from actors.market.window import NS_PER_S, Window
from actors.upstox.limits import PUBLISHED, Family
from actors.writer.folder import absolute
from cluster.config.schedule import ScheduleSettings
from cluster.config.section import ConfigPath, Section, quoted
from cluster.plan import Today

Url = Annotated[str, AfterValidator(checked_url)]
#: The driver, the actors and one fetcher, all idle, hold 390 MB; each fetcher more, 100 (measured
#: 2026-11, Linux).
LEAST_MB = 400

Seconds = Annotated[float, Field(gt=0, le=86_400)]


class ProviderSettings(Section):
    name: Literal["upstox", "lookalike"] = "upstox"
    base_url: Url | None = None  # none: Upstox has its own; a look-alike is started for the run
    assets_url: Annotated[Url | None, Field(validate_default=True)] = None  # likewise
    timeout_s: Annotated[float, Field(gt=0, le=600)] = 30.0  # one request, to its last byte
    token_file: ConfigPath = None  # none: the environment has the token, or there is none

    @field_validator("assets_url")
    @classmethod
    def _lookalike_serves_both(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None and info.data.get("name") == "lookalike":
            base_url: str | None = info.data.get("base_url")
            return base_url
        return url


class FleetSettings(Section):
    fetchers: Annotated[int, Field(gt=0, le=64)] = 2
    threads: Annotated[int, Field(gt=0, le=128)] = 8  # requests one fetcher has under way at once


class WindowSettings(Section):
    limit: Annotated[int, Field(gt=0, le=1_000_000)]
    seconds: Annotated[float, Field(ge=0.001, le=86_400)]

    @property
    def window(self) -> Window:
        return Window(self.limit, round(self.seconds * NS_PER_S))


def _not_none_at_all(windows: object) -> object:
    if windows in ([], ()):
        raise ValueError("is empty; leave it out for the provider's own")
    return windows


WindowsSettings = Annotated[tuple[WindowSettings, ...], Field(strict=False)]
OwnWindows = Annotated[WindowsSettings, BeforeValidator(_not_none_at_all), Field(alias="windows")]


class FamilySettings(Section):
    """A family of endpoints that has a budget of its own."""

    own_windows: OwnWindows = ()

    def windows(self, default: tuple[Window, ...]) -> tuple[Window, ...]:
        return tuple(w.window for w in self.own_windows) or default


def _family(value: object) -> object:
    if value is None:
        raise ValueError("must be a mapping, not nothing; {} gives it a budget of its own")
    return value


class FamiliesSettings(Section):
    """Those that are named have budgets of their own. History is always the account's own one."""

    intraday: Annotated[FamilySettings | None, BeforeValidator(_family)] = None

    def of(self, family: Family) -> FamilySettings | None:
        return self.intraday if family is Family.INTRADAY else None


class BudgetSettings(Section):
    share: Annotated[float, Field(gt=0, le=1)] = (
        1.0  # of each window; while more is in use, we wait
    )
    own_windows: OwnWindows = ()
    own_reserve: Annotated[WindowsSettings, Field(alias="reserve")] = ()
    priority: Annotated[Priority, Field(strict=False)] = Priority.INTERACTIVE
    families: FamiliesSettings = FamiliesSettings()

    @property
    def windows(self) -> tuple[Window, ...]:
        """The account's windows: the user's own, or the provider's published ones."""
        return tuple(w.window for w in self.own_windows) or PUBLISHED

    @property
    def reserve(self) -> tuple[Window, ...]:
        """What other programs of the account send at the most."""
        return tuple(w.window for w in self.own_reserve)

    @model_validator(mode="after")
    def _leaves_something(self) -> Self:
        own = [family.windows(()) for f in Family if (family := self.families.of(f)) is not None]
        for window in {w for windows in (self.windows, *own) for w in windows}:
            kept = reserved(window, self.reserve)
            if kept >= window.limit:
                raise ValueError(
                    f"reserve leaves nothing of {window}: what others may send comes to {kept} in that "
                    f"time; say how many they send in {window.span_s:g} s at the most"
                )
        return self


class RetrySettings(Section):
    attempts: Annotated[int, Field(gt=0, le=50)] = 5  # requests one chunk may cost in a run
    base_s: Seconds = 0.5
    cap_s: Seconds = 30.0
    outage_s: Seconds = 1_800.0  # so long a provider that fails altogether is waited for

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.base_s > self.cap_s:
            raise ValueError(f"base_s, {self.base_s:g}, is over cap_s, {self.cap_s:g}")
        return self


def _holds_a_fleet(limit_mb: int) -> int:
    if limit_mb < LEAST_MB:
        raise ValueError(
            f"must be at least {LEAST_MB}, which the smallest fleet holds before its first request"
        )
    return limit_mb


class MemorySettings(Section):
    limit_mb: Annotated[int, AfterValidator(_holds_a_fleet)] = 2048


class WriterSettings(Section):
    commit_every_s: Seconds = 5.0
    commit_bytes_mb: Annotated[int, Field(gt=0, le=4096)] = 64


def _place(store: str) -> str:
    try:
        absolute(store)
    except UsageError as error:
        raise ValueError(error.problem) from None
    return store


def _today(value: object) -> object:
    if not isinstance(value, bool) and value != "forming":
        raise ValueError(f"must be true, false or forming, not {quoted(value)}")
    return value


class Settings(Section):
    """What every form of config may say beside what is to be fetched."""

    #: A local path is relative to the current folder, as on any command line; or s3://bucket/prefix.
    store: Annotated[str, AfterValidator(_place)] = "data"
    #: The bars of the running day too, as far as they are over; `forming`: and the ones that are not.
    today: Annotated[Today, BeforeValidator(_today)] = False
    #: What to do where the provider has rewritten history, as for a split: fetch it again, or only say so.
    on_revision: Literal["refetch", "warn"] = "refetch"
    #: Compute longer intraday bars from 1-minute bars instead of asking for them.
    derive: bool = False
    provider: ProviderSettings = ProviderSettings()
    fleet: FleetSettings = FleetSettings()
    budget: BudgetSettings = BudgetSettings()
    retry: RetrySettings = RetrySettings()
    memory: MemorySettings = MemorySettings()
    writer: WriterSettings = WriterSettings()
    schedule: ScheduleSettings = ScheduleSettings()
