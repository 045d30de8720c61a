"""The exchange over real HTTP: answers, refusals, limits, faults, controls."""

from __future__ import annotations

import gzip
import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from urllib.parse import quote

import pytest
import requests

from cluster.lookalike.launch import Lookalike, run_lookalike
from cluster.lookalike.market import Market
from cluster.lookalike.settings import Settings

SEED = 11  # conftest's
SHARE = "NSE_EQ|INE062A01020"
KEY = quote(SHARE, safe="")
DAYS = f"{KEY}/days/1/2024-03-31/2024-03-01"
TOO_MANY = (
    b'{"status":"error","errors":[{"errorCode":"UDAPI10005","message":"Too Many Request Sent",'
    b'"propertyPath":null,"invalidValue":null,"error_code":"UDAPI10005","property_path":null,'
    b'"invalid_value":null}]}'
)


def get(exchange: Lookalike, path: str, **kwargs) -> requests.Response:
    # http.client underneath keeps the path as given: nothing is encoded twice or tidied.
    return requests.get(f"{exchange.base_url}/v3/historical-candle/{path}", timeout=10, **kwargs)


def codes(response: requests.Response) -> set[str]:
    error = response.json()["errors"][0]
    return {error["errorCode"], error["error_code"]}


@pytest.mark.parametrize(
    "key", [SHARE, "NSE_INDEX|Nifty 50", "NSE_FO|59460", "BSE_EQ|INE062A01020"]
)
@pytest.mark.parametrize(
    ("unit", "interval", "span"),
    [
        ("minutes", 1, (date(2025, 12, 31), date(2026, 1, 31))),
        ("minutes", 16, (date(2025, 10, 31), date(2026, 1, 31))),
        ("hours", 4, (date(2025, 10, 31), date(2026, 1, 31))),
        ("days", 1, (date(2016, 1, 31), date(2026, 1, 31))),
        ("weeks", 1, (date(2000, 1, 1), date(2026, 1, 31))),
        ("months", 1, (date(1990, 1, 1), date(2026, 1, 31))),
    ],
)
def test_what_is_served_is_the_market(exchange, key, unit, interval, span):
    """At the longest spans allowed: newest first, seven fields, IST stamps, whole counts."""
    response = get(exchange, f"{quote(key, safe='')}/{unit}/{interval}/{span[1]}/{span[0]}")
    assert response.headers["content-type"] == "application/json;charset=UTF-8"
    content = response.json()
    assert (response.status_code, content["status"], list(content["data"])) == (
        200,
        "success",
        ["candles"],
    )
    truth = Market(SEED).candles(key, unit, interval, *span)
    expected = [
        [datetime.fromtimestamp(row[0], UTC), *row[1:]]
        for row in zip(*(column.tolist() for column in truth), strict=True)
    ]
    served = content["data"]["candles"]
    assert all(row[0].endswith("+05:30") for row in served)
    assert all(type(row[5]) is int and type(row[6]) is int for row in served)
    assert [[datetime.fromisoformat(row[0]), *row[1:]] for row in served] == expected[::-1]
    assert len(served) > 2


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{KEY}%7CSBIN/days/1/2024-03-31/2024-03-01", 400, "UDAPI1021"),
        (f"{KEY.replace('%7C', '%257C')}/days/1/2024-03-31/2024-03-01", 400, "UDAPI1021"),
        ("SBIN/parsecs/0/yesterday/1", 400, "UDAPI1021"),  # the key is looked at first
        (f"{KEY}/day/0/yesterday/1", 400, "UDAPI1146"),  # then the unit
        (f"intraday/{KEY}/weeks/1", 400, "UDAPI1146"),
        (f"{KEY}/minutes/301/yesterday/1", 400, "UDAPI1147"),  # then the interval
        (f"{KEY}/minutes/0/2024-03-31/2024-03-01", 400, "UDAPI1147"),
        (f"{KEY}/hours/6/2024-03-31/2024-03-01", 400, "UDAPI1147"),
        (f"{KEY}/days/2/2024-03-31/2024-03-01", 400, "UDAPI1147"),
        (f"{KEY}/minutes/1.5/2024-03-31/2024-03-01", 400, "UDAPI1147"),
        (f"{KEY}/days/1/31-03-2024/2024-03-01", 400, "UDAPI1015"),
        (f"{KEY}/days/1/2025-02-30/2024-03-01", 400, "UDAPI1015"),
        (f"{KEY}/days/1/2024-03-01/2024-03-02", 400, "UDAPI1015"),
        (f"{KEY}/days/1/2024-03-01/", 400, "UDAPI1015"),
        (f"{KEY}/minutes/1/2024-03-31/2024-02-28", 400, "UDAPI1148"),
        (f"{KEY}/minutes/15/2024-05-31/2024-04-29", 400, "UDAPI1148"),
        (f"{KEY}/minutes/16/2024-05-31/2024-02-28", 400, "UDAPI1148"),
        (f"{KEY}/hours/1/2024-05-31/2024-02-28", 400, "UDAPI1148"),
        (f"{KEY}/days/1/2024-03-31/2014-03-30", 400, "UDAPI1148"),
        ("NSE_EQ%7CSBIN/days/1/2024-03-31/2014-03-30", 400, "UDAPI1148"),  # the span before the key
        ("NSE_EQ%7CSBIN/days/1/2024-03-31/2024-03-01", 400, "UDAPI100011"),
        (f"{KEY}/days/1", 404, "UDAPI100060"),
        (f"{KEY}/days/1/2024-03-31/2024-03-01/", 404, "UDAPI100060"),
        (f"intraday/{KEY}/days/1/2024-03-31", 400, "UDAPI1021"),  # `intraday` as a key
    ],
)
def test_a_mistake_is_refused_with_its_code(exchange, path, status, code):
    """In both spellings of the envelope."""
    response = get(exchange, path)
    assert (response.status_code, codes(response)) == (status, {code})


@pytest.mark.parametrize(
    "span",
    [
        "minutes/1/2024-03-31/2024-02-29",  # a month before 31 March is the last of February
        "minutes/15/2024-05-31/2024-04-30",
        "minutes/300/2024-05-31/2024-02-29",
        "days/1/2024-02-29/2014-02-28",
    ],
)
def test_the_longest_span_ends_with_the_shorter_month(exchange, span):
    """A day more is refused, as the test above shows."""
    assert get(exchange, f"{KEY}/{span}").status_code == 200


def test_paths_of_nobody_and_methods_other_than_get(exchange):
    """404 and 405, told to the judge."""
    assert codes(requests.get(f"{exchange.base_url}/v3/candles", timeout=9)) == {"UDAPI100060"}
    posted = requests.post(f"{exchange.base_url}/v3/historical-candle/{DAYS}", timeout=9)
    assert (posted.status_code, codes(posted)) == (405, {"UDAPI10000"})
    assert requests.post(f"{exchange.base_url}/judge", timeout=9).status_code == 405
    assert exchange.judge()["unknown_paths"] == 1


def test_history_ends_yesterday_and_has_no_future(exchange):
    """Today is 2026-02-12 there; asking beyond is no error."""
    candles = get(exchange, f"{KEY}/days/1/2027-01-01/2026-02-09").json()["data"]["candles"]
    assert [row[0][:10] for row in candles] == ["2026-02-11", "2026-02-10", "2026-02-09"]


def test_history_grows_with_the_days(exchange):
    """An answer kept from yesterday is not given today."""
    asked = f"{KEY}/days/1/2026-02-13/2026-02-09"
    before = get(exchange, asked).json()["data"]["candles"]
    exchange.set_now(datetime.fromisoformat("2026-02-13T00:00:00+05:30"))
    after = get(exchange, asked).json()["data"]["candles"]
    assert (len(before), len(after), after[1:]) == (3, 4, before)


def test_a_split_is_served_from_the_morning_of_its_day():
    """An answer kept from the evening before is not given then."""
    asked = f"{KEY}/days/1/2026-02-10/2026-02-09"
    thursday = datetime.fromisoformat("2026-02-12T20:00:00+05:30")
    with run_lookalike(Settings(now=thursday, clock_rate=0)) as exchange:
        before = get(exchange, asked).json()["data"]["candles"]
        exchange.split(SHARE, 2, date(2026, 2, 13))
        evening = get(exchange, asked).json()["data"]["candles"]
        exchange.set_now(datetime.fromisoformat("2026-02-13T08:00:00+05:30"))
        morning = get(exchange, asked).json()["data"]["candles"]
        with pytest.raises(ValueError, match="more than 0"):
            exchange.split(SHARE, 0)
    assert evening == before
    assert [row[5] for row in morning] == [2 * row[5] for row in before]
    assert [row[4] for row in morning] == pytest.approx([row[4] / 2 for row in before], abs=0.051)


def test_no_candles_is_an_answer(exchange):
    """A weekend; before minutes began; before a contract began."""
    for path in (
        f"{KEY}/minutes/1/2024-01-28/2024-01-27",
        f"{KEY}/minutes/1/2021-12-31/2021-12-01",
        "NSE_FO%7C67003/days/1/2024-12-31/2024-01-01",
    ):
        response = get(exchange, path)
        assert response.content == b'{"status":"success","data":{"candles":[]}}'


def test_without_from_date_the_longest_span_is_served(exchange):
    """As the documents say; nobody has measured it."""
    left_out = get(exchange, f"{KEY}/minutes/5/2024-03-31").json()
    assert left_out == get(exchange, f"{KEY}/minutes/5/2024-03-31/2024-02-29").json()


def test_intraday_shows_closed_minutes_and_forming_bars(exchange):
    """At 11:02:30: minutes up to 11:01; and the bars of 11:00, 10:15 and today still forming."""
    truth = Market(SEED).candles(SHARE, "minutes", 1, date(2026, 2, 12), date(2026, 2, 12))
    known = 107  # 09:15 to 11:01

    def newest(frame: str):
        return get(exchange, f"intraday/{KEY}/{frame}").json()["data"]["candles"]

    minutes = newest("minutes/1")
    assert (len(minutes), minutes[0][0]) == (known, "2026-02-12T11:01:00+05:30")
    assert [row[4] for row in reversed(minutes)] == truth.close[:known].tolist()
    five, hour, day = newest("minutes/5"), newest("hours/1"), newest("days/1")
    assert five[0][0] == "2026-02-12T11:00:00+05:30"
    assert five[0][5] == truth.volume[105:known].sum()
    assert (hour[0][0], len(hour)) == ("2026-02-12T10:15:00+05:30", 2)
    assert day == [
        [
            "2026-02-12T00:00:00+05:30",
            truth.open[0],
            truth.high[:known].max(),
            truth.low[:known].min(),
            truth.close[known - 1],
            truth.volume[:known].sum(),
            0,
        ]
    ]


def test_intraday_moves_with_the_clock_and_is_empty_on_closed_days(exchange):
    """Before the opening, too."""
    minutes = f"intraday/{KEY}/minutes/1"
    shown = {}
    for moment in ("09:14:59", "09:16:19", "09:16:20", "23:59:59"):
        exchange.set_now(datetime.fromisoformat(f"2026-02-12T{moment}+05:30"))
        shown[moment] = len(get(exchange, minutes).json()["data"]["candles"])
    exchange.set_now(datetime.fromisoformat("2026-02-14T12:00:00+05:30"))
    shown["Saturday"] = len(get(exchange, minutes).json()["data"]["candles"])
    assert list(shown.values()) == [0, 0, 1, 375, 0]


def test_intraday_on_a_closed_day_may_be_the_last_sessions():
    """As users of the real service report; a switch."""
    saturday = datetime.fromisoformat("2026-02-14T12:00:00+05:30")
    with run_lookalike(Settings(now=saturday, intraday_last_day=True)) as exchange:
        candles = get(exchange, f"intraday/{KEY}/minutes/15").json()["data"]["candles"]
    assert (len(candles), candles[0][0]) == (25, "2026-02-13T15:15:00+05:30")


def test_intraday_may_differ_from_what_history_will_say():
    """About a quarter of the bars, and only in their close."""
    noon = datetime.fromisoformat("2026-02-12T12:00:00+05:30")
    truth = Market(0).candles(SHARE, "minutes", 1, date(2026, 2, 12), date(2026, 2, 12))
    with run_lookalike(Settings(now=noon, clock_rate=0, intraday_differs=0.25)) as exchange:
        served = get(exchange, f"intraday/{KEY}/minutes/1").json()["data"]["candles"][::-1]
    rows = list(zip(*(column.tolist() for column in truth), strict=True))[: len(served)]
    assert [row[1:4] for row in served] == [list(row[1:4]) for row in rows]
    others = sum(one[4] != other[4] for one, other in zip(served, rows, strict=True))
    assert 0.1 < others / len(rows) < 0.4
    assert all(row[3] <= row[4] <= row[2] for row in served)


def test_the_instrument_master_is_served_as_a_gzipped_array(exchange):
    """And costs nothing of any window."""
    url = f"{exchange.assets_url}/market-quote/instruments/exchange"
    files = {
        name: json.loads(gzip.decompress(requests.get(f"{url}/{name}.json.gz", timeout=9).content))
        for name in ("NSE", "BSE", "MCX", "complete")
    }
    assert len(files["complete"]) == len(files["NSE"]) + len(files["BSE"])
    assert files["MCX"] == []
    state_bank = next(r for r in files["NSE"] if r["trading_symbol"] == "SBIN")
    assert state_bank["instrument_key"] == SHARE
    assert requests.get(f"{url}/NASDAQ.json.gz", timeout=9).status_code == 404
    assert (exchange.judge()["requests"], exchange.judge()["assets"]) == (0, 4)


def test_holidays_are_those_of_the_year_or_of_one_date(exchange):
    """With the hours of special sessions; a date that is none is UDAPI1088."""
    url = f"{exchange.base_url}/v2/market/holidays"
    year = {entry["date"]: entry for entry in requests.get(url, timeout=9).json()["data"]}
    assert "NSE" in year["2026-01-26"]["closed_exchanges"]
    assert year["2026-11-08"]["holiday_type"] == "SPECIAL_TIMING"
    (saturday,) = requests.get(f"{url}/2024-01-20", timeout=9).json()["data"]
    assert saturday["open_exchanges"][0] == {
        "exchange": "NSE",
        "start_time": 1705722300000,
        "end_time": 1705734000000,
    }
    assert requests.get(f"{url}/2024-01-23", timeout=9).json()["data"] == []
    assert codes(requests.get(f"{url}/tomorrow", timeout=9)) == {"UDAPI1088"}


@pytest.mark.parametrize(
    ("auth", "statuses"),
    [("off", (200, 200, 200)), ("bad_token", (200, 401, 200)), ("required", (401, 401, 200))],
)
def test_the_token_is_looked_at_as_told(auth, statuses):
    """Without one, with a bad one, with the good one."""
    given = ({}, {"Authorization": "Bearer stale"}, {"Authorization": "Bearer good"})
    with run_lookalike(Settings(auth=auth, token="good")) as exchange:
        answers = [get(exchange, DAYS, headers=headers) for headers in given]
    assert tuple(answer.status_code for answer in answers) == statuses
    assert all(codes(a) == {"UDAPI100050"} for a in answers if a.status_code == 401)


@pytest.mark.parametrize(("retry_after_s", "header"), [(None, None), (7, "7")])
def test_one_request_too_many_is_refused(retry_after_s, header):
    """With the very body seen in the wild, and no Retry-After unless told."""
    settings = Settings(windows=((3, 3600.0), (99, 1.0)), retry_after_s=retry_after_s)
    with run_lookalike(settings) as exchange:
        answers = [get(exchange, DAYS) for _ in range(5)]
        report = exchange.judge()
        exchange.reset()
        again = get(exchange, DAYS)
    assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
    assert answers[3].content == TOO_MANY
    assert answers[3].headers.get("retry-after") == header
    assert report["refused"] == 2
    assert [(w["worst"], w["refused"]) for w in report["windows"]] == [(5, 2), (5, 0)]
    assert again.status_code == 200


def test_the_judge_tells_retries_from_waste(exchange):
    """A path that failed and is asked again, and one that was answered and is asked again."""
    exchange.set_faults(server_error=1.0, per_path=1)
    other = DAYS.replace("2024-03-01", "2024-03-05")
    statuses = [get(exchange, path).status_code for path in (DAYS, DAYS, DAYS, other)]
    assert statuses[0] >= 500
    assert statuses[1:3] == [200, 200]
    report = exchange.judge(with_log=True)
    assert (report["requests"], report["distinct"], report["repeats"]) == (4, 2, 2)
    assert report["repeats_of_answered"] == 1
    assert report["faults"] == {"server_error": 2}
    assert [path.rpartition("/")[2] for _, path, _ in report["log"]] == ["2024-03-01"] * 3 + [
        "2024-03-05"
    ]
    stamps = [now_ns for now_ns, _, _ in report["log"]]
    assert stamps == sorted(stamps)


FALSE_ANSWERS = {
    "too_many": (429, "UDAPI10005"),
    "unauthorized": (401, "UDAPI100050"),
    "error_200": (200, "UDAPI10005 UDAPI100500"),
    "cloudflare": (403, "1010"),
    "html": (200, "<html>"),
}


@pytest.mark.parametrize("fault", FALSE_ANSWERS)
def test_false_answers_look_as_they_should(exchange, fault):
    """Status and what a client may go by."""
    exchange.set_faults(**{fault: 1.0})
    response = get(exchange, DAYS)
    status, sign = FALSE_ANSWERS[fault]
    assert response.status_code == status
    if sign.startswith("UDAPI"):
        assert codes(response) <= set(sign.split())
    else:
        assert sign in response.text
        assert response.headers["content-type"].startswith("text/html")
    exchange.set_faults()
    assert get(exchange, DAYS).json()["status"] == "success"


def test_server_errors_are_of_three_kinds(exchange):
    """500 and 503 with the envelope, 502 with a web page."""
    exchange.set_faults(server_error=1.0)
    kinds = {}
    for _ in range(30):
        response = get(exchange, DAYS)
        kinds[response.status_code] = response.text[:6]
    assert kinds == {500: '{"stat', 502: "<html>", 503: '{"stat'}


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("reset", requests.exceptions.ConnectionError),
        ("stall", requests.exceptions.ConnectionError),
        ("truncated", requests.exceptions.ChunkedEncodingError),
    ],
)
def test_connections_break(exchange, fault, error):
    """Before an answer, without an answer in `stall_s`, or in the midst of the body."""
    exchange.set_faults(**{fault: 1.0})
    with pytest.raises(error):
        get(exchange, DAYS)
    report = exchange.judge()
    assert (report["by_status"], report["faults"]) == ({"none": 1}, {fault: 1})


def test_a_stall_ends_when_the_client_leaves(exchange):
    """And is booked."""
    exchange.set_faults(stall=1.0)
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(f"{exchange.base_url}/v3/historical-candle/{DAYS}", timeout=0.05)
    assert exchange.judge()["faults"] == {"stall": 1}


def test_a_dripping_answer_is_whole_in_the_end(exchange):
    """In many pieces over `drip_s`."""
    expected = get(exchange, DAYS).content
    exchange.set_faults(drip=1.0)
    connection = http.client.HTTPConnection(exchange.base_url.removeprefix("http://"), timeout=9)
    connection.request("GET", f"/v3/historical-candle/{DAYS}")
    response = connection.getresponse()
    pieces = []
    while piece := response.read1():
        pieces.append(piece)
    connection.close()
    assert b"".join(pieces) == expected
    assert len(pieces) >= 3


def test_rows_come_shuffled_insane_or_timed(exchange):
    """The damage reaches the wire, and no row is lost by it."""
    good = get(exchange, DAYS).json()["data"]["candles"]
    found = {}
    for fault in ("shuffled", "insane", "timed_days"):
        exchange.set_faults(**{fault: 1.0})
        found[fault] = get(exchange, DAYS).json()["data"]["candles"]
    assert found["shuffled"] != good
    assert {json.dumps(row) for row in found["shuffled"]} == {json.dumps(row) for row in good}
    assert [row for row in found["insane"] if row in good] == good
    assert len(found["insane"]) > len(good)
    assert [row[1:] for row in found["timed_days"]] == [row[1:] for row in good]
    assert {row[0][10:19] for row in found["timed_days"]} == {"T00:00:00", "T09:45:00"}


def test_controls_refuse_what_cannot_be(exchange):
    """In words."""
    with pytest.raises(ValueError, match="no fault is called 'flood'"):
        exchange.set_faults(flood=0.1)


def test_latency_delays_every_answer(exchange):
    """By its mean, give or take the jitter; answers to many clients overlap."""
    exchange.set_latency(0.2, 0.05)
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda _: get(exchange, DAYS), range(8)))
    waits = [answer.elapsed.total_seconds() for answer in answers]
    assert min(waits) >= 0.15
    assert len(set(waits)) == 8
