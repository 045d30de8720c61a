"""Lines of a crontab."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from actors.market.sessions import IST
from cluster.config import RunConfig
from cluster.config.schedule import JobSettings
from cluster.schedule.emit.place import Place
from cluster.schedule.when import When

_HOUR, _DAY = 60, 1_440  # minutes
_ALL_DAYS = tuple(range(1, 32))
_ALL_MONTHS = tuple(range(1, 13))
#: Every month has so many.
_LEAST_DAYS = 28

_ABOUT = """\
# Jobs of {config}. Add these lines by `crontab -e`.
# What a machine that was off has missed, cron does not start again; the next run fetches it all the same.
# A run that fails waits for the next one: `candlefleet schedule` tries again by itself, cron does not.
"""
_ADVICE = """\
# Cron has no UPSTOX_ACCESS_TOKEN: let provider.token_file name a file of mode 600 that holds the token.
"""
_OWN_ZONE = """\
# The times are those of this machine's zone, whose offset is the same all year; in India they are
# {times}.
"""
_INDIAN = """\
# The times are India's. CRON_TZ is known to cronie (Fedora, RHEL, Arch, SUSE), but not to the cron of Debian
# and Ubuntu, where the machine must be set to Asia/Kolkata; or use `--emit systemd`.
CRON_TZ=Asia/Kolkata
"""


def crontab(place: Place, settings: RunConfig) -> str:
    """A line or more for each job, in the machine's own zone where that can be said."""
    jobs = settings.schedule.jobs
    own = [_in_zone(job.when, place.offset) for job in jobs]
    times = "; ".join(f"{job.name}: {job.when}" for job in jobs)
    if all(own):
        zone = _OWN_ZONE.format(times=times)
        fields = [whens for whens in own if whens is not None]
    else:
        zone, fields = _INDIAN, [[job.when] for job in jobs]
    lines = [
        f"{when.cron} {_command(place, job)}\n"
        for job, whens in zip(jobs, fields, strict=True)
        for when in whens
    ]
    advice = "" if settings.provider.token_file else _ADVICE
    return _ABOUT.format(config=place.config) + advice + zone + "".join(lines)


def _command(place: Place, job: JobSettings) -> str:
    """For a shell, and through cron, to which a percent sign is the end of the line."""
    argv = shlex.join(place.argv(job))
    if place.state_dir is not None:
        argv = f"CANDLEFLEET_STATE_DIR={shlex.quote(str(place.state_dir))} {argv}"
    return f"cd {shlex.quote(str(place.folder))} && {argv}".replace("%", "\\%")


def _in_zone(when: When, offset: timedelta | None) -> list[When] | None:
    """The same moments as the clocks of another zone show them; None if cron cannot say that.

    Where a day moves, the first or last of a month would have to be known by the month's length.
    """
    if offset is None:
        return None
    shift = offset - IST.utcoffset(None)
    shifted = []
    for days_on, minutes, hours in _shifted(when, round(shift.total_seconds() / 60)):
        days, weekdays = when.days, tuple(sorted((day + days_on) % 7 for day in when.weekdays))
        if days_on and (days, when.months) != (_ALL_DAYS, _ALL_MONTHS):
            days = tuple(day + days_on for day in days)
            if days[0] < 1 or max(days[-1], when.days[-1]) > _LEAST_DAYS:
                return None
        fields = replace(when, minutes=minutes, hours=hours, days=days, weekdays=weekdays)
        shifted.append(fields)
    return shifted


def _shifted(when: When, by_minutes: int) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """Minutes and hours that combine freely, and how many days later they are."""
    by_day: dict[tuple[int, int], list[int]] = defaultdict(list)
    for hour in when.hours:
        for minute in when.minutes:
            days_on, in_day = divmod(hour * _HOUR + minute + by_minutes, _DAY)
            by_day[days_on, in_day // _HOUR].append(in_day % _HOUR)
    alike: dict[tuple[int, tuple[int, ...]], list[int]] = defaultdict(list)
    for (days_on, hour), minutes in by_day.items():
        alike[days_on, tuple(sorted(minutes))].append(hour)
    for (days_on, minutes_of), hours in alike.items():
        yield days_on, minutes_of, tuple(sorted(hours))
