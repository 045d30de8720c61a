"""A service and a timer for each job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.config import RunConfig
from cluster.config.schedule import JobSettings
from cluster.exit import Exit
from cluster.schedule.daemon import DRAINED_WITHIN_S, RUN_ENDS_WITHIN_S
from cluster.schedule.emit.place import Place
from cluster.schedule.when import When

#: Between a run that failed and the next try.
RETRY_AFTER_S = 600

#: Of systemd's days, by cron's numbers.
_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_EVERY_WEEKDAY = len(_WEEKDAYS)

#: What a run can do without. Not PrivateTmp: a cluster that `candlefleet up` keeps has its files in /tmp.
_HARDENING = """\
NoNewPrivileges=yes
ProtectSystem=full
ProtectControlGroups=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
"""

_ABOUT = """\
# Jobs of {config}, a service and a timer each. As root, in /etc/systemd/system:
#   awk '/^# file: /{{name = $3}} name {{print >name}}' THIS
#   systemctl daemon-reload
#   systemctl enable --now {timers}
# The token, and what webhooks are named by a variable, belong in /etc/candlefleet.env, one NAME=value a
# line, after `install -m 600 /dev/null /etc/candlefleet.env`.
"""


def units(place: Place, settings: RunConfig) -> dict[str, str]:
    """By the name of the file."""
    return {
        name: text
        for job in settings.schedule.jobs
        for name, text in (
            (f"{place.name(job.name)}.service", service(place, job)),
            (f"{place.name(job.name)}.timer", timer(place, job)),
        )
    }


def in_one(place: Place, settings: RunConfig) -> str:
    """All of them, each after a line that names its file."""
    found = units(place, settings)
    timers = " ".join(name for name in found if name.endswith(".timer"))
    about = _ABOUT.format(config=place.config, timers=timers)
    return about + "".join(f"\n# file: {name}\n{text}" for name, text in found.items())


def service(place: Place, job: JobSettings) -> str:
    """Runs a job once; a failed run is tried again while its time lasts.

    What systemd counts is starts: runs that take long to fail may be tried for longer.
    """
    return "".join(f"{line}\n" for line in _service(place, job)) + _HARDENING


def timer(place: Place, job: JobSettings) -> str:
    """Starts it; what was missed while the machine was off, once at the next start."""
    return f"""\
[Unit]
Description={_plain(f"{job.name} of {place.config}, {job.when}")}

[Timer]
OnCalendar={on_calendar(job.when)}
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def on_calendar(when: When) -> str:
    """The same moments, in the words of systemd.time(7)."""
    weekdays = ",".join(_WEEKDAYS[day] for day in when.weekdays)
    days = "" if len(when.weekdays) == _EVERY_WEEKDAY else f"{weekdays} "
    dated = f"*-{_listed(when.months, 12)}-{_listed(when.days, 31)}"
    timed = f"{_listed(when.hours, 24)}:{_listed(when.minutes, 60)}:00"
    return f"{days}{dated} {timed} Asia/Kolkata"


def _service(place: Place, job: JobSettings) -> Iterator[str]:
    tries = int(job.retry_for_s // RETRY_AFTER_S)
    yield "[Unit]"
    yield f"Description={_plain(f'{job.name} ({job.what}) of {place.config}')}"
    yield "Wants=network-online.target"
    yield "After=network-online.target"
    if tries:
        yield f"StartLimitIntervalSec={job.retry_for_s:.0f}"
        yield f"StartLimitBurst={tries + _most_within(job.when, job.retry_for_s)}"
    yield ""
    yield "[Service]"
    yield "Type=oneshot"
    yield f"User={_plain(place.user)}"
    yield f"WorkingDirectory={_plain(str(place.folder))}"
    if place.state_dir is not None:
        yield f"Environment={_quoted(f'CANDLEFLEET_STATE_DIR={place.state_dir}')}"
    yield "EnvironmentFile=-/etc/candlefleet.env"
    # By `env`, for systemd itself starts no program with a quote in its path.
    yield f"ExecStart=/usr/bin/env {' '.join(_argument(word) for word in place.argv(job))}"
    yield "# Interrupted, it can be resumed: no failure."
    yield f"SuccessExitStatus={Exit.INTERRUPTED}"
    if tries:
        yield "Restart=on-failure"
        yield f"RestartSec={RETRY_AFTER_S}"
    yield "# It stops its own children once what they have fetched is stored."
    yield "KillMode=mixed"
    yield f"TimeoutStartSec={RUN_ENDS_WITHIN_S:.0f}"
    yield f"TimeoutStopSec={DRAINED_WITHIN_S:.0f}"


def _most_within(when: When, seconds: float) -> int:
    """No more occasions than this are in any such time, a day at the most."""
    return min(len(when.minutes) * len(when.hours), int(seconds // 60)) + 1


def _listed(values: Sequence[int], whole: int) -> str:
    return "*" if len(values) == whole else ",".join(f"{value:02}" for value in values)


def _plain(text: str) -> str:
    """A value that is taken as it stands, but for specifiers."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a line that is split into words."""
    return '"' + _plain(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _argument(word: str) -> str:
    """In a command, where a dollar names a variable too."""
    return _quoted(word.replace("$", "$$"))
