"""What is looked at before a scan: the real look-alike, a real ledger, a real store; no Ray here."""

from __future__ import annotations

import base64
import calendar
import json
import socket
import threading
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Cause
from actors.upstox.reply import Refused
from actors.upstox.token import TokenSource
from cluster import spending
from cluster.config import RunConfig, load
from cluster.doctor import machine, provider
from cluster.doctor.finding import Finding, Grade, carried_out
from cluster.download import Trouble, time_there
from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings
from cluster.occupancy import locked
from cluster.provider import Provider
from tests.bucket import NAME, Bucket, run_bucket

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)
LATER = timedelta(minutes=1)


def config_of(folder: Path, **sections: Any) -> RunConfig:
    path = folder / "config.yaml"
    content = {"universe": {"symbols": ["SBIN"]}, "timeframes": ["1day"], **sections}
    path.write_text(yaml.safe_dump(content))
    return load(path)


def provider_at(url: str, folder: Path) -> Provider:
    return Provider(url, url, TokenSource(), folder)


def grades(findings: list[Finding]) -> dict[str, Grade]:
    return {finding.about: finding.grade for finding in findings}


@given(st.dates(date(2000, 3, 1), date(2100, 1, 1)))
def test_the_month_that_is_asked_for_is_the_last_of_31_days_that_is_over(today: date) -> None:
    first, last = provider.longest_month_before(today)
    assert (first.day, (last - first).days) == (1, 30)
    since = (last + timedelta(days=n) for n in range(1, (today - last).days))
    ends = [day for day in since if day.day == calendar.monthrange(day.year, day.month)[1]]
    assert last < today
    assert all(day.day < 31 for day in ends)


@given(st.floats(-1e6, 1e6))
def test_a_clock_is_a_problem_the_more_it_is_wrong(ahead_s: float) -> None:
    found = provider.judge_clock(ahead_s)
    wrong = {Grade.OK: 0.0, Grade.NOTE: 2.0, Grade.PROBLEM: 60.0}
    assert found.grade is max(
        (grade for grade, least_s in wrong.items() if abs(ahead_s) > least_s or not least_s),
        key=wrong.__getitem__,
    )
    assert ("ahead of" in found.said) == (ahead_s > 2)
    assert ("behind" in found.said) == (ahead_s < -2)


@pytest.mark.parametrize(
    ("available_mb", "grade"),
    [(399, Grade.PROBLEM), (400, Grade.NOTE), (2_047, Grade.NOTE), (2_048, Grade.OK)],
)
def test_memory_is_held_against_the_limit_and_the_smallest_fleet(
    available_mb: int, grade: Grade
) -> None:
    assert machine.judge_memory(available_mb, 2_048).grade is grade


@pytest.mark.parametrize(
    ("free_mb", "grade"),
    [(99, Grade.PROBLEM), (100, Grade.NOTE), (1_023, Grade.NOTE), (1_024, Grade.OK)],
)
def test_a_disk_that_is_nearly_full_is_told(free_mb: int, grade: Grade) -> None:
    assert machine.judge_room("store", "there", free_mb).grade is grade


@pytest.mark.parametrize(
    ("ends", "grade"), [(NOW - LATER, Grade.PROBLEM), (NOW, Grade.PROBLEM), (NOW + LATER, Grade.OK)]
)
def test_a_token_says_when_it_ends_and_is_not_shown(
    ends: datetime, grade: Grade, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": ends.timestamp()}).encode()).decode()
    word = f"e30.{claims.rstrip('=')}.c2ln"
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", word)
    found = provider.token(TokenSource(), NOW)
    assert found.grade is grade
    assert word not in found.said + found.remedy
    assert f"{ends + timedelta(hours=5, minutes=30):%d %b %Y %H:%M} IST" in found.said


def test_no_token_is_no_problem_and_an_empty_file_is(tmp_path: Path) -> None:
    assert provider.token(TokenSource(), NOW).grade is Grade.OK
    file = tmp_path / "token"
    file.write_text("\n")
    (found,) = carried_out("token", lambda: provider.token(TokenSource(file=str(file)), NOW))
    assert (found.grade, found.said) == (Grade.PROBLEM, f"{file}: the token file is empty")


def test_a_provider_is_asked_twice_by_permits_that_are_returned(tmp_path: Path) -> None:
    config, now = config_of(tmp_path), datetime.now(UTC)
    with run_lookalike() as exchange:
        found = list(provider.candles(config, provider_at(exchange.base_url, tmp_path), now))
        found.append(provider.clock(exchange.assets_url, lambda: datetime.now(UTC)))
        judged = exchange.judge()
    assert grades(found) == {"candles": Grade.OK, "reach": Grade.OK, "clock": Grade.OK}
    assert judged["requests"] == judged["distinct"] == 2
    (budget,) = spending.look(tmp_path)
    assert [(use.counted, use.in_flight) for use in budget.windows[1:]] == [(2, 0), (2, 0)]


def test_a_token_that_is_turned_away_is_not_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "stale")
    with run_lookalike(Settings(auth="required")) as exchange:
        asked = provider_at(exchange.base_url, tmp_path)
        found = list(provider.candles(config_of(tmp_path), asked, datetime.now(UTC)))
        assert exchange.judge()["requests"] == 1
    assert grades(found) == {"candles": Grade.PROBLEM}
    assert (found[0].said[:8], found[0].remedy) == ("HTTP 401", "renew the token")


def test_without_room_in_the_budget_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "PERMIT_WITHIN_S", 0.1)
    config = config_of(tmp_path, budget={"windows": [{"limit": 1, "seconds": 3_600}]})
    with run_lookalike() as exchange:
        asked = provider_at(exchange.base_url, tmp_path)
        first, second = (list(provider.candles(config, asked, datetime.now(UTC))) for _ in range(2))
        assert exchange.judge()["requests"] == 1
    assert grades(first) == {"candles": Grade.OK, "reach": Grade.NOTE}
    assert grades(second) == {"candles": Grade.NOTE}


def test_where_nobody_answers_that_is_said(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        (found,) = provider.candles(config_of(tmp_path), provider_at(url, tmp_path), NOW)
        clock = provider.clock(url, lambda: NOW)
        (names,) = carried_out(
            "universe",
            lambda: provider.instruments(config_of(tmp_path), provider_at(url, tmp_path), NOW),
        )
    assert found.grade is Grade.PROBLEM
    assert "the connection broke" in found.said
    assert (clock.grade, "no connection" in clock.said) == (Grade.NOTE, True)
    assert (names.grade, "no connection" in names.said) == (Grade.PROBLEM, True)


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("Tue, 24 Nov 2026 10:00:00 GMT", NOW),
        ("Tue, 24 Nov 2026 10:00:00 -0000", NOW),
        ("Tue, 24 Nov 2026 15:30:00 +0530", NOW),
        ("soon", None),
        ("Tue, 99 Nov 2026 10:00:00 GMT", None),
        (None, None),
    ],
)
def test_what_a_server_says_of_its_clock_is_understood_or_told(
    said: str | None, understood: datetime | None
) -> None:
    class Server(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(404)  # it tells the time all the same
            if said is not None:
                self.send_header("Date", said)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        told = time_there(f"http://127.0.0.1:{server.server_port}/", within_s=10.0)
        server.shutdown()
    assert told == (understood or Trouble("it does not say what time it is"))


def test_a_month_that_is_too_much_costs_a_scan_more_and_is_no_problem() -> None:
    refused = Refused(cause=Cause.SPAN_TOO_LONG, message="Invalid date range", http_status=400)
    month = provider.longest_month_before(NOW.date())
    assert provider.judge_month(refused, month).grade is Grade.NOTE


@pytest.mark.parametrize(("allowed", "grade"), [(False, Grade.PROBLEM), (True, Grade.NOTE)])
def test_names_that_nothing_answers_to_are_told(
    allowed: bool,  # by its name
    grade: Grade,
    tmp_path: Path,
) -> None:
    names = {"symbols": ["SBIN", "NOSUCH"], "allow_unresolved": allowed}
    with run_lookalike() as exchange:
        asked = provider_at(exchange.base_url, tmp_path)
        (found,) = provider.instruments(config_of(tmp_path, universe=names), asked, NOW)
    assert found.grade is grade
    assert found.said == "1 instrument by the provider's lists; none for NOSUCH"


def test_a_store_is_only_looked_at_and_one_in_use_is_told(tmp_path: Path) -> None:
    uri = str(tmp_path / "a" / "store")
    assert machine.store(uri, tmp_path).grade is Grade.OK
    assert not (tmp_path / "a").exists()
    with locked(uri, tmp_path):
        (found,) = carried_out("store", lambda: machine.store(uri, tmp_path))
    assert found.grade is Grade.PROBLEM
    assert "another run is writing to it" in found.said
    (tmp_path / "file").write_text("")
    (found,) = carried_out("store", lambda: machine.store(f"{tmp_path}/file/store", tmp_path))
    assert found.grade is Grade.PROBLEM


def test_a_bucket_proves_that_it_keeps_commits_apart(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"s3://{NAME}/looked-at"
    assert machine.store(uri, tmp_path).grade is Grade.OK
    with run_bucket("careless") as careless:
        for name, value in careless.environment.items():
            monkeypatch.setenv(name, value)
        (found,) = carried_out("store", lambda: machine.store(uri, tmp_path))
    assert found.grade is Grade.PROBLEM
    assert "takes no conditional writes" in found.said


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    assert machine.state(tmp_path / "state").grade is Grade.OK
    (tmp_path / "file").write_text("")
    (found,) = carried_out("state folder", lambda: machine.state(tmp_path / "file"))
    assert found.grade is Grade.PROBLEM
    assert "CANDLEFLEET_STATE_DIR" in found.said
