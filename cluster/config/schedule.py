"""What is to be done again and again, and who is told of it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    model_validator,
)

from actors.market.address import checked_endpoint
from cluster.config.section import Section, Text, Texts, quoted
from cluster.schedule.when import When

#: It becomes part of the names of files, of units and of Kubernetes objects.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")

Event = Literal["failure", "stale", "matches", "token"]
EVENTS: tuple[Event, ...] = ("failure", "stale", "matches", "token")


def _when(value: object) -> When:
    if isinstance(value, When):
        return value
    if not isinstance(value, str):  # YAML takes a bare 18:00 for a number of seconds
        raise ValueError(f"{quoted(value)} is no time; write `daily 18:00`")  # noqa: TRY004
    return When.parse(value)


def _named(name: str) -> str:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"{quoted(name)} is no name: a to z, 0 to 9 and -, 40 at the most")
    return name


def _maybe_bare(value: object) -> object:
    """`golden_cross` is short for `{screen: golden_cross}`."""
    return {"screen": value} if isinstance(value, str) else value


#: What answers can be written as, by the ending of the file.
_ENDINGS = (".csv", ".json", ".parquet", ".html")


def _writable(out: str) -> str:
    """Found out before the daemon starts, not at its first occasion."""
    if not out.endswith(_ENDINGS):
        raise ValueError(f"{quoted(out)} ends in none of {', '.join(_ENDINGS)}")
    if unknown := re.search(r"\{[^}]*\}", out.replace("{date}", "")):
        raise ValueError(f"{quoted(unknown.group())} stands for nothing; there is {{date}}")
    return out


class ScreenSettings(Section):
    """A screen to be asked after a job."""

    screen: Text  # a ready one's name, or a file
    #: Where its answer goes, by the ending as csv, json, parquet or html; `{date}` is the day's.
    out: Annotated[Text, AfterValidator(_writable)] | None = None


class JobSettings(Section):
    name: Annotated[str, AfterValidator(_named)]
    when: Annotated[InstanceOf[When], BeforeValidator(_when), PlainSerializer(str)]
    #: `update`: what is missing; `full`: hold all of the range, mend it, and put the store in order.
    what: Literal["update", "full"] = "update"
    screens: Annotated[
        tuple[Annotated[ScreenSettings, BeforeValidator(_maybe_bare)], ...], Field(strict=False)
    ] = ()
    #: So long after its time a run that failed is tried again; 0: never.
    retry_for_s: Annotated[float, Field(ge=0, le=86_400)] = 10_800.0


#: `webhook: $NAME` says that it stands in the environment.
IN_ENVIRONMENT = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)")


def _webhook(value: object) -> str:
    """Not repeated in any error: who knows it may write there."""
    if not isinstance(value, str):
        raise ValueError("is no web address")  # noqa: TRY004  # pydantic wants it so
    return value if IN_ENVIRONMENT.fullmatch(value) else checked_endpoint(value)


def shown(webhook: str) -> str:
    """What may be shown and written into manifests: its path and its query are often a secret."""
    if IN_ENVIRONMENT.fullmatch(webhook):
        return webhook
    return f"{urlsplit(webhook).scheme}://{urlsplit(webhook).netloc}/…"


def _program_only(command: tuple[str, ...]) -> list[str]:
    """Likewise its arguments."""
    return [*command[:1], *(["…"] if command[1:] else [])]


Webhook = Annotated[str, BeforeValidator(_webhook), PlainSerializer(shown)]
Command = Annotated[Texts, PlainSerializer(_program_only)]


class NotifySettings(Section):
    """Who is told of events: a webhook, or a command that reads them on stdin."""

    webhook: Annotated[Webhook | None, Field(repr=False)] = None
    #: A program and its arguments; no shell.
    command: Annotated[Command, Field(repr=False)] = ()
    #: Not `on`, which YAML takes for a yes.
    events: Annotated[tuple[Event, ...], Field(strict=False)] = EVENTS

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.webhook is None) == (not self.command):
            raise ValueError("give one of webhook and command")
        return self

    def __str__(self) -> str:
        """As it may be shown."""
        return (
            f"command {self.command[0]}"
            if self.webhook is None
            else f"webhook {shown(self.webhook)}"
        )


_DAILY = JobSettings(name="daily", when=When.parse("daily 18:00"))
_WEEKLY = JobSettings(name="weekly", when=When.parse("weekly sunday 20:00"), what="full")


class ScheduleSettings(Section):
    jobs: Annotated[tuple[JobSettings, ...], Field(strict=False)] = (_DAILY, _WEEKLY)
    notify: Annotated[tuple[NotifySettings, ...], Field(strict=False)] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [job.name for job in self.jobs]
        if not names:
            raise ValueError("jobs is empty; leave it out for the daily and the weekly one")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two jobs are called {name}")
        return self
