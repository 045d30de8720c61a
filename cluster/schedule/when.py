"""When a job is due, as a user writes it. Times are India's, whatever the machine's zone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from actors.market.sessions import IST

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")  # cron writes Sunday as 0 or 7
_FULL_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")

_TIME = r"(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)"
_DAILY = re.compile(rf"daily {_TIME}")
_WEEKLY = re.compile(rf"weekly (?P<day>[a-z]+) {_TIME}")
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>\d{1,2}))?")
_NUMBER = re.compile(r"[0-9]{1,2}")
_FORMS = "write `daily 18:00`, `weekly sunday 20:00` or the five fields of cron"
_A_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    least: int
    most: int
    words: Sequence[str] = ()  # of the values from `least` on

    def values(self, text: str) -> tuple[int, ...]:
        """The values a field of cron stands for, ascending. Raises ValueError."""
        found: set[int] = set()
        for part in text.split(","):
            found.update(self._part(part))
        return tuple(sorted(found))

    def _part(self, text: str) -> range:
        match = _PART.fullmatch(text)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{text!r} is no {self.name} of cron's")
        if match["first"] == "*":
            first, last = self.least, self.most
        else:
            first = self._value(match["first"])
            last = first if match["last"] is None else self._value(match["last"])
        if match["step"] and match["first"] != "*" and match["last"] is None:
            raise ValueError(f"{text!r}: a step needs a range before it")
        step = int(match["step"] or 1)
        if step == 0 or first > last:
            raise ValueError(f"{text!r} is no {self.name} of cron's: it goes backwards or nowhere")
        return range(first, last + 1, step)

    def _value(self, word: str) -> int:
        if word in self.words:
            return self.least + self.words.index(word)
        value = int(word) if _NUMBER.fullmatch(word) else -1
        if not self.least <= value <= self.most:
            raise ValueError(f"{word!r} is no {self.name}: {self.least} to {self.most}")
        return value


_FIELDS = (
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _WEEKDAYS),
)


@dataclass(frozen=True, slots=True)
class When:
    """Moments that come again and again, a whole minute each."""

    text: str  # as it was written
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]  # 0 is Sunday, as cron has it

    @classmethod
    def parse(cls, text: str) -> When:
        """Raises ValueError, in words, for what is no time or never comes."""
        fields = _cron_of(" ".join(text.lower().split())).split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"{text!r} is no time; {_FORMS}")
        if fields[2] != "*" and fields[4] != "*":
            # Cron would take either, many take it for both.
            raise ValueError(f"{text!r} names days of the month and of the week; name one of them")
        minutes, hours, days, months, weekdays = (
            field.values(part) for field, part in zip(_FIELDS, fields, strict=True)
        )
        weekdays = tuple(sorted({day % 7 for day in weekdays}))
        when = cls(text, minutes, hours, days, months, weekdays)
        if min(days) > max(_LONGEST[month - 1] for month in months):
            raise ValueError(f"{text!r} never comes")
        return when

    def __str__(self) -> str:
        return self.text

    @property
    def cron(self) -> str:
        """As cron's five fields, in numbers."""
        values = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        whole = (range(60), range(24), range(1, 32), range(1, 13), range(7))
        return " ".join(
            "*" if mine == tuple(all_of) else ",".join(map(str, mine))
            for mine, all_of in zip(values, whole, strict=True)
        )

    def after(self, moment: datetime) -> datetime:
        """The first one later than `moment`, which must carry a zone; in India's."""
        found: datetime | None = _trigger(self).get_next_fire_time(
            None, moment.astimezone(IST) + _A_MOMENT
        )
        assert found is not None, "parse refuses what never comes"
        return found

    def passed(self, moment: datetime, until: datetime) -> tuple[datetime, int] | None:
        """The last one later than `moment`, up to `until`, and how many those are; None if there is none.

        Of years that a machine has slept, too, it takes no time to speak of.
        """
        begin, end = moment.astimezone(IST), until.astimezone(IST)
        last, count = None, 0
        for number in range(begin.toordinal(), end.toordinal() + 1):
            day = date.fromordinal(number)
            if not self._falls_on(day):
                continue
            if begin.date() < day < end.date():
                last = datetime.combine(day, time(self.hours[-1], self.minutes[-1], tzinfo=IST))
                count += len(self.hours) * len(self.minutes)
            elif fitting := [at for at in self._times(day) if begin < at <= end]:
                last = fitting[-1]
                count += len(fitting)
        return None if last is None else (last, count)

    def _falls_on(self, day: date) -> bool:
        weekday = day.isoweekday() % len(_WEEKDAYS)
        return day.month in self.months and day.day in self.days and weekday in self.weekdays

    def _times(self, day: date) -> Iterator[datetime]:
        for hour in self.hours:
            for minute in self.minutes:
                yield datetime.combine(day, time(hour, minute, tzinfo=IST))


def _cron_of(text: str) -> str:
    if match := _DAILY.fullmatch(text):
        return f"{int(match['minute'])} {int(match['hour'])} * * *"
    if match := _WEEKLY.fullmatch(text):
        if match["day"] not in (*_FULL_WEEKDAYS, *_WEEKDAYS):
            raise ValueError(f"{match['day']!r} is no day of the week")
        day = _WEEKDAYS.index(match["day"][:3])
        return f"{int(match['minute'])} {int(match['hour'])} * * {day}"
    return text


@lru_cache(64)
def _trigger(when: When) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger

    def listed(values: Sequence[int]) -> str:
        return ",".join(map(str, values))

    return CronTrigger(
        minute=listed(when.minutes),
        hour=listed(when.hours),
        day=listed(when.days),
        month=listed(when.months),
        # By name: the library's numbers begin on Monday.
        day_of_week=",".join(_WEEKDAYS[day] for day in when.weekdays),
        timezone=IST,
    )
