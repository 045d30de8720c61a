"""What is written for cron, systemd and Kubernetes is read by their own rules, and names our moments."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cluster
from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.requirements import NODES
from cluster.config import RunConfig, load
from cluster.inside import DRIVER
from cluster.schedule.emit import cron, k8s, systemd
from cluster.schedule.emit.emission import Kind, text
from cluster.schedule.emit.place import Place
from cluster.schedule.when import When
from tests.cluster.kuberay import closed, definition
from tests.cluster.schedule.one_by_one import between

ROOT = Path(cluster.__file__).parents[1]
DAY = timedelta(days=1)
START = datetime(2027, 1, 1, tzinfo=IST)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="the machine has no systemd"
)

CONFIG = """\
store: s3://bucket/nifty
universe: {file: lists/some.csv}
timeframes: [1day]
schedule:
  jobs:
    - {name: daily, when: daily 18:00, screens: [golden-cross]}
    - {name: weekly, when: weekly sunday 2:05, what: full, retry_for_s: 0}
  notify:
    - webhook: $HOOK
"""


def listed(least: int, most: int) -> st.SearchStrategy[str]:
    some = st.sets(st.integers(least, most), min_size=1, max_size=4)
    return st.just("*") | some.map(lambda values: ",".join(map(str, sorted(values))))


@st.composite
def whens(draw: st.DrawFn) -> When:
    days, weekdays = draw(
        st.tuples(listed(1, 28), st.just("*")) | st.tuples(st.just("*"), listed(0, 6))
    )
    minutes, hours, months = draw(listed(0, 59)), draw(listed(0, 23)), draw(listed(1, 12))
    return When.parse(f"{minutes} {hours} {days} {months} {weekdays}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With all that a shell, cron, and systemd's specifiers could trip over."""
    folder = tmp_path / "a b %d 'q' $HOME"
    (folder / "lists").mkdir(parents=True)
    (folder / "lists" / "some.csv").write_text("Symbol\nSBIN\n")
    path = folder / 'my "50%" $conf.yaml'
    path.write_text(CONFIG)
    program = folder / "prog %n ram"
    program.write_text('#!/bin/sh\npwd\necho "$CANDLEFLEET_STATE_DIR"\nfor a; do echo "$a"; done\n')
    program.chmod(0o755)
    return Place(path, folder, (str(program),), "me", folder / "sta te", timedelta(0))


@pytest.fixture
def config(place: Place) -> RunConfig:
    return load(place.config)


def printed(place: Place, job: str) -> list[str]:
    """What the program prints that stands for ours, if it was started as it should."""
    words = ["schedule", str(place.config), "--once", job]
    return [str(place.folder), str(place.state_dir), *words]


# systemd


@given(whens(), st.integers(0, 365))
@example(When.parse("0 18 * * *"), 0)
@settings(max_examples=15)
def test_systemd_is_told_the_same_moments(when: When, day: int) -> None:
    begin = START + day * DAY
    mine = set(islice(between(when, begin, begin + 400 * DAY), 12))
    until = max(mine)
    assert {
        moment for moment in calendar(systemd.on_calendar(when), begin) if moment <= until
    } == mine


def calendar(expression: str, after: datetime) -> Iterator[datetime]:
    """As systemd.time(7) has it, for the part of it that we write."""
    *weekdays, dated, timed, zone = expression.split()
    assert zone == "Asia/Kolkata"
    _, months, days = (_values(part, 1, 31) for part in dated.split("-"))
    hours, minutes, seconds = (_values(part, 0, 59) for part in timed.split(":"))
    assert seconds == [0]
    for number in range(401):
        day = after.replace(hour=0, minute=0) + number * DAY
        named = not weekdays or f"{day:%a}" in weekdays[0].split(",")
        if named and day.month in months and day.day in days:
            times = (day.replace(hour=h, minute=m) for h in hours if h < 24 for m in minutes)
            yield from (moment for moment in times if moment > after)


def _values(text: str, least: int, most: int) -> list[int]:
    return list(range(least, most + 1)) if text == "*" else [int(part) for part in text.split(",")]


@needs_systemd
def test_systemd_itself_reckons_the_same_moments() -> None:
    texts = ("0 18 * * *", "5 2 * * 0", "1,31 9-15 * 2,3 1-5", "30 0 1,28 * *", "*/20 * * 12 *")
    found = [When.parse(text) for text in texts]
    argv = ["systemd-analyze", "calendar", "--iterations=9", "--base-time=2026-12-31 18:30:00 UTC"]
    environment = os.environ | {"TZ": "UTC", "LC_ALL": "C"}
    told = subprocess.run(
        [*argv, *map(systemd.on_calendar, found)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for when, said in zip(found, told.strip().split("\n\n"), strict=True):
        moments = [
            datetime.strptime(moment, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            for moment in re.findall(r"\w{3} ([\d-]{10} [\d:]{8}) UTC$", said, re.MULTILINE)
        ]
        assert moments == list(islice(between(when, START, START + 400 * DAY), 9))


def files(written: str) -> dict[str, str]:
    parts = re.split(r"^# file: (.*)\n", written, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


@needs_systemd
def test_systemd_takes_the_units(place: Place, config: RunConfig, tmp_path: Path) -> None:
    place = replace(place, user="root")  # whom every machine has
    folder = tmp_path / "units"
    folder.mkdir()
    for name, unit in files(text(Kind.SYSTEMD, place, config)).items():
        (folder / name).write_text(unit)
    paths = sorted(map(str, folder.iterdir()))
    assert len(paths) == 4
    verify = ["systemd-analyze", "verify", "--man=no"]
    found = subprocess.run([*verify, *paths], capture_output=True, text=True, check=False)
    assert found.stderr == ""
    assert found.returncode == 0
    timer = Path(paths[1])
    timer.write_text(timer.read_text().replace("OnCalendar=", "OnCalendar=never "))
    found = subprocess.run([*verify, *paths], capture_output=True, text=True, check=False)
    assert "Failed to parse calendar specification" in found.stderr


def test_the_header_says_how_to_part_the_units(
    place: Place, config: RunConfig, tmp_path: Path
) -> None:
    written = text(Kind.SYSTEMD, place, config)
    (script,) = re.findall(r"#\s+awk '(.*)' THIS", written)
    folder = tmp_path / "parted"
    folder.mkdir()
    subprocess.run(["awk", script], input=written, cwd=folder, text=True, check=True)
    parted = {path.name: path.read_text().partition("\n")[2] for path in folder.iterdir()}
    assert parted == files(written)
    assert set(parted) == set(systemd.units(place, config))
    for name in parted:
        assert name.startswith("candlefleet-my-50-conf-")
        assert name.endswith(".service") or name in written.partition("\n# file:")[0]


def unit(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")


def test_a_service_starts_the_job_from_here(place: Place, config: RunConfig) -> None:
    daily, weekly = config.schedule.jobs
    found = unit(systemd.service(place, daily))
    command = shlex.split(found["ExecStart"].replace("%%", "%").replace("$$", "$"))
    assert command == ["/usr/bin/env", *place.argv(daily)]
    assert "%" not in found["ExecStart"].replace("%%", "")
    assert found["WorkingDirectory"].replace("%%", "%") == str(place.folder)
    (state,) = shlex.split(found["Environment"].replace("%%", "%"))
    assert state == f"CANDLEFLEET_STATE_DIR={place.state_dir}"
    assert found["EnvironmentFile"] == "-/etc/candlefleet.env"
    assert (found["Type"], found["KillMode"], found["SuccessExitStatus"]) == (
        *("oneshot", "mixed", "130"),
    )
    # Whatever it failed for: a store may be busy, a token renewed meanwhile.
    assert found["Restart"] == "on-failure"
    assert "RestartPreventExitStatus" not in found
    assert int(found["StartLimitIntervalSec"]) == daily.retry_for_s
    assert "Restart" not in unit(systemd.service(place, weekly))  # it is never tried again
    assert unit(systemd.timer(place, daily))["Persistent"] == "true"


@settings(max_examples=40)
@given(whens(), st.integers(600, 86_400), st.integers(0, 1_439))
def test_the_limit_of_starts_stops_no_occasion(when: When, seconds: int, minute: int) -> None:
    """One that is kept from starting would be missed."""
    day = sorted(hour * 60 + minute for hour in when.hours for minute in when.minutes)
    both_days = [*day, *(1_440 + moment for moment in day)]
    within = [moment for moment in both_days if minute <= moment < minute + seconds / 60]
    assert len(within) <= systemd._most_within(when, seconds)


# cron


OFFSETS = st.sampled_from([-720, -480, -210, 0, 60, 330, 345, 540, 840])


def moments(whens: list[When], offset: timedelta, begin: datetime) -> Iterator[datetime]:
    """As cron on a machine in that zone reads the lines."""
    local = begin.astimezone(timezone(offset))
    lines = [CronSim(when.cron, local.replace(tzinfo=None)) for when in whens]
    newest = [next(line) for line in lines]
    while True:
        first = min(newest)
        yield first.replace(tzinfo=local.tzinfo)
        newest = [
            next(line) if moment == first else moment
            for line, moment in zip(lines, newest, strict=True)
        ]


@given(whens(), OFFSETS, st.integers(0, 365))
@example(When.parse("30 0,6 * * 1-5"), 0, 0)
@example(When.parse("0 2 1,28 * *"), 0, 0)
@example(When.parse("0 2 2,28 * *"), 0, 0)
@settings(max_examples=30)
def test_a_crontab_names_the_same_moments_in_the_machine_s_own_zone(
    when: When, minutes: int, day: int
) -> None:
    offset, begin = timedelta(minutes=minutes), START + day * DAY
    shifted = cron._in_zone(when, offset)
    if shifted is None:  # days would move
        whole = When.parse("* * * * *")
        assert when.days != whole.days or when.months != whole.months
        assert offset != timedelta(hours=5.5)
    else:
        mine = list(islice(between(when, begin, begin + 800 * DAY), 10))
        assert list(islice(moments(shifted, offset, begin), len(mine))) == mine
        assert all(When.parse(each.cron).cron == each.cron for each in shifted)


@pytest.mark.parametrize("written", ["weekly sunday 20:00", "daily 3:30"])
def test_the_usual_jobs_keep_their_times_all_year(written: str) -> None:
    when, utc = When.parse(written), timedelta(0)
    shifted = cron._in_zone(when, utc)
    assert shifted is not None
    mine = list(between(when, START, START + 365 * DAY))
    assert list(islice(moments(shifted, utc, START), len(mine))) == mine


def lines(written: str) -> list[str]:
    return [line for line in written.splitlines() if not line.startswith("#")]


def test_a_line_of_a_crontab_starts_the_job_from_here(place: Place, config: RunConfig) -> None:
    """By a shell, to which cron gives what follows the five fields."""
    written = lines(text(Kind.CRON, place, config))
    assert [line.split(" cd ")[0] for line in written] == ["30 12 * * *", "35 20 * * 6"]
    for line, job in zip(written, ("daily", "weekly"), strict=True):
        assert re.search(r"(?<!\\)%", line) is None  # cron would end the command there
        command = line.split(" ", 5)[5].replace("\\%", "%")
        found = subprocess.run(
            ["/bin/sh", "-c", command], capture_output=True, text=True, check=True
        )
        assert found.stdout.splitlines() == printed(place, job)


def test_where_the_clocks_change_the_zone_is_named(place: Place, config: RunConfig) -> None:
    named, *written = lines(text(Kind.CRON, replace(place, offset=None), config))
    assert named == "CRON_TZ=Asia/Kolkata"
    assert [line.split(" cd ")[0] for line in written] == ["0 18 * * *", "5 2 * * 0"]


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("Asia/Kolkata", 5.5), ("UTC", 0), ("Europe/Berlin", None), ("Asia/Tokyo", 9)],
)
def test_the_machine_s_zone_is_taken_as_it_is_all_year(
    zone: str, hours: float | None, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        found = Place.here(place.config).offset
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == (None if hours is None else timedelta(hours=hours))


# Kubernetes


def manifests(written: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(written))


CONFIG_MAP = closed(
    {
        "properties": {
            "apiVersion": {"const": "v1"},
            "kind": {"const": "ConfigMap"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"pattern": "^[a-z0-9-]{1,63}$"}},
            },
            "data": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["apiVersion", "kind", "metadata", "data"],
    }
)


def test_kubernetes_and_kuberay_take_the_manifests(place: Place, config: RunConfig) -> None:
    config_map, *jobs = manifests(text(Kind.K8S, place, config))
    jsonschema.validate(config_map, CONFIG_MAP)
    assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) for key in config_map["data"])
    assert len(jobs) == 2
    for job, cron_line in zip(jobs, ("0 18 * * *", "5 2 * * 0"), strict=True):
        jsonschema.validate(job, definition("RayCronJob"))
        assert len(job["metadata"]["name"]) <= 36
        assert job["spec"]["schedule"] == cron_line
        assert job["spec"]["timeZone"] == "Asia/Kolkata"
    jobs[0]["spec"]["concurrencyPolicy"] = "Forbid"  # which KubeRay does not know
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(jobs[0], definition("RayCronJob"))


def test_a_pod_reads_the_config_and_does_its_job(
    place: Place, config: RunConfig, tmp_path: Path
) -> None:
    config_map, *jobs = manifests(text(Kind.K8S, place, config))
    folder = tmp_path / "mounted"
    folder.mkdir()
    for name, content in config_map["data"].items():
        (folder / name).write_text(content)
    there = load(folder / "config.yaml")
    assert there.schedule == config.schedule
    assert there.store == config.store
    assert there.asks[0].universe.file == folder / "universe.csv"
    for job, name in zip(jobs, ("daily", "weekly"), strict=True):
        spec = job["spec"]["jobTemplate"]
        pod = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
        (mount,) = [m for m in pod["containers"][0]["volumeMounts"] if m["name"] == "config"]
        (volume,) = [v for v in pod["volumes"] if v["name"] == "config"]
        assert volume["configMap"]["name"] == config_map["metadata"]["name"]
        *python, verb, path, once, which = shlex.split(spec["entrypoint"])
        assert python == ["python", "-m", "cluster"]
        assert (verb, once, which) == ("schedule", "--once", name)
        assert path == f"{mount['mountPath']}/config.yaml"
        environment = {each["name"]: each for each in pod["containers"][0]["env"]}
        for variable in ("UPSTOX_ACCESS_TOKEN", "HOOK"):
            assert set(environment[variable]["valueFrom"]) == {"secretKeyRef"}


def test_pods_install_what_the_job_needs(place: Place, config: RunConfig) -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {k8s.ALWAYS, k8s.FOR_SCREENS} <= set(ours)
    _, daily, weekly = manifests(text(Kind.K8S, place, config))
    for job, more in ((daily, [k8s.ALWAYS, k8s.FOR_SCREENS]), (weekly, [k8s.ALWAYS])):
        environment = yaml.safe_load(job["spec"]["jobTemplate"]["runtimeEnvYAML"])
        assert sorted(environment["pip"]) == sorted([*NODES, *DRIVER, *more])


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("s3://bucket/nifty", "data/nifty", "store: a pod's disk"),
        ("golden-cross", "./mine.yaml", "only ready screens"),
        ("golden-cross", "{screen: golden-cross, out: found.csv}", "would go with its pod"),
        ("$HOOK", "https://hooks.example.com/s3cret", r"notify\[0\].webhook: would be read by all"),
    ],
)
def test_what_pods_cannot_have_is_refused(place: Place, old: str, new: str, where: str) -> None:
    place.config.write_text(CONFIG.replace(old, new))
    with pytest.raises(UsageError, match=where) as refused:
        text(Kind.K8S, place, load(place.config))
    assert "s3cret" not in str(refused.value)


def test_a_listing_that_is_no_text_is_refused(place: Place, config: RunConfig) -> None:
    (place.folder / "lists" / "some.csv").write_bytes(b"Symbol\n\xff\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        text(Kind.K8S, place, config)


# All of them


@pytest.mark.parametrize("kind", Kind)
def test_no_secret_is_written(
    kind: Kind, place: Place, monkeypatch: pytest.MonkeyPatch, config: RunConfig
) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "a-t0ken")
    monkeypatch.setenv("HOOK", "https://hooks.example.com/s3cret")
    written = text(kind, place, config)
    assert "a-t0ken" not in written
    assert "s3cret" not in written
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "daily")  # whatever it is
    with pytest.raises(UsageError, match="must not go along"):
        text(kind, place, config)


def test_paths_that_no_crontab_can_hold_are_refused(tmp_path: Path) -> None:
    for name in ("new\nline.yaml", "back\\slash.yaml", "bell\a.yaml"):
        with pytest.raises(UsageError, match="cannot hold"):
            Place.here(tmp_path / name)


def test_the_place_is_where_one_stands(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(place.folder)
    found = Place.here(Path(place.config.name))
    assert (found.config, found.folder) == (place.config, place.folder)
    assert Path(found.program[0]).is_absolute()
    assert found.state_dir == Path(os.environ["CANDLEFLEET_STATE_DIR"])
    monkeypatch.delenv("CANDLEFLEET_STATE_DIR")
    assert Place.here(place.config).state_dir is None


@given(
    st.text("abc-_. %é", min_size=1, max_size=60),
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
)
def test_names_are_names_and_no_two_are_cut_to_one(stem: str, job: str) -> None:
    place = Place(Path(f"/x/{stem}.yaml"), Path("/x"), ("/c",), "me", None, None)
    name = place.name(job, 36)
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 36
    assert name != place.name(job + "x", 36)
