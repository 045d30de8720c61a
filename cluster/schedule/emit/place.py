from __future__ import annotations

import hashlib
import os
import pwd
import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from actors.market.errors import UsageError
from cluster.config.schedule import JobSettings
from cluster.state import STATE_VARIABLE, state_dir

_WEEK = timedelta(days=7)
_WEEKS = 110  # two years: a zone that is steady for so long is taken for steady
_ODD = re.compile(r"[\x00-\x1f\x7f\\]")
_DIGEST_CHARS = 6


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job's command is to be run: on this machine, as if it had been typed here."""

    config: Path  # absolute
    folder: Path  # likewise: a store's path is relative to it
    program: tuple[str, ...]  # what `candlefleet` is called from anywhere
    user: str
    state_dir: Path | None  # None: the platform's own
    offset: timedelta | None  # of the machine's zone from UTC; None: it changes with the seasons

    @classmethod
    def here(cls, config: Path, now: datetime | None = None) -> Place:
        """Raises UsageError for paths that the formats cannot hold."""
        script = Path(sysconfig.get_path("scripts")) / "candlefleet"
        named = STATE_VARIABLE in os.environ
        place = cls(
            config=config.absolute(),
            folder=Path.cwd(),
            program=(str(script),) if script.is_file() else (sys.executable, "-m", "cluster"),
            user=_user(),
            state_dir=state_dir() if named else None,
            offset=_steady(now or datetime.now(UTC)),
        )
        for path in (place.config, place.folder, *place.program, place.state_dir or ""):
            if _ODD.search(str(path)):
                problem = "has characters that a crontab or a unit cannot hold"
                raise UsageError(problem, repr(str(path)))
        return place

    def argv(self, job: JobSettings) -> list[str]:
        return [*self.program, "schedule", str(self.config), "--once", job.name]

    def name(self, what: str, most: int = 200) -> str:
        """Of a unit or an object: other configs' have others. At most `most` characters."""
        stem = re.sub(r"[^a-z0-9]+", "-", self.config.stem.lower()).strip("-")
        name = "-".join(filter(None, ("candlefleet", stem, what)))
        if len(name) <= most:
            return name
        digest = hashlib.blake2b(name.encode()).hexdigest()[:_DIGEST_CHARS]
        return f"{name[: most - _DIGEST_CHARS - 1].rstrip('-')}-{digest}"


def _user() -> str:
    """By number, as systemd takes it too, where the machine has no name for it."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _steady(now: datetime) -> timedelta | None:
    """The machine's offset, if it is the same all year."""
    offsets = set(_offsets(now))
    return offsets.pop() if len(offsets) == 1 else None


def _offsets(now: datetime) -> Iterator[timedelta]:
    for week in range(_WEEKS):
        offset = (now + week * _WEEK).astimezone().utcoffset()
        assert offset is not None, "a local time has one"
        yield offset
