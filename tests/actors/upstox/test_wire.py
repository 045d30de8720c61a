"""Bodies made into bars: two ways, one meaning, and no body that breaks either."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime, timedelta, timezone
from math import isnan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.candles import BARS
from actors.market.chunk import Cause
from actors.market.timeframe import Timeframe
from actors.upstox.fault import Fault
from actors.upstox.regular import read_regular
from actors.upstox.wire import Decoded, decode

MINUTE = Timeframe.parse("1minute")
DAY = Timeframe.parse("1day")
IST = timezone(timedelta(hours=5, minutes=30))
NAN, INF = float("nan"), float("inf")
ROW = ["2025-01-02T09:15:00+05:30", 53.1, 53.3, 53.0, 53.2, 104998, 0]


def pack(rows: Any, **other: Any) -> bytes:
    envelope = {"status": "success", "data": {"candles": rows}, **other}
    return json.dumps(envelope, separators=(",", ":")).encode()


def decoded(body: bytes, timeframe: Timeframe = MINUTE) -> Decoded:
    outcome = decode(body, timeframe)
    assert isinstance(outcome, Decoded), outcome
    return outcome


def fault(body: bytes) -> Fault:
    outcome = decode(body, MINUTE)
    assert isinstance(outcome, Fault), outcome
    return outcome


# The naive way: JSON, datetime, a dict. Nothing of it is shared with what is tested.


def naive_bar(row: Any) -> tuple[Any, ...] | None:
    try:
        text, *numbers = row
        stamp, prices = datetime.fromisoformat(text), [float(value) for value in numbers[:4]]
        counts = [int(value) for value in numbers[4:]]
    except (TypeError, ValueError, OverflowError):
        return None
    sound = (
        isinstance(row, list)
        and len(row) == 7
        and all(type(value) in (int, float) for value in numbers)
        and counts == numbers[4:]
        and all(-(2**63) <= count < 2**63 for count in counts)
        and stamp.tzinfo is not None
        and 1900 <= stamp.year < 2200
    )
    return (stamp, *prices, *counts) if sound else None


def same(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return all(a == b or (a != a and b != b) for a, b in zip(one, other, strict=True))  # noqa: PLR0124


def naive(body: bytes, timeframe: Timeframe) -> tuple[list[tuple[Any, ...]], int]:
    """The bars in order, and how many rows are none of them."""
    kept: dict[datetime, tuple[Any, ...]] = {}
    aside = 0
    for row in json.loads(body)["data"]["candles"]:
        bar = naive_bar(row)
        if bar is None:
            aside += 1
            continue
        stamp = bar[0].astimezone(IST)
        if not timeframe.is_intraday:
            stamp = stamp.replace(hour=0, minute=0, second=0, microsecond=0)
        bar = (stamp, *bar[1:])
        if not same(kept.setdefault(stamp, bar), bar):
            aside += 1
    return [kept[stamp] for stamp in sorted(kept)], aside


def rows_of(found: Decoded) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in found.bars.to_pylist()]


def assert_agrees(body: bytes, timeframe: Timeframe) -> None:
    found = decoded(body, timeframe)
    bars, aside = naive(body, timeframe)
    assert found.bars.schema.equals(BARS)
    assert len(found.misshapen) == aside
    assert len(found.bars) == len(bars)
    assert all(same(one, other) for one, other in zip(rows_of(found), bars, strict=True))


stamps = st.integers(0, 5 * 86_400).map(
    lambda s: (datetime(2021, 12, 30, tzinfo=IST) + timedelta(seconds=s)).isoformat()
)
prices = st.floats(0, 1e7, allow_nan=False).map(lambda p: round(p, 2)) | st.integers(0, 10**6)
counts = st.integers(0, 2**63 - 1)
regular_rows = st.tuples(stamps, prices, prices, prices, prices, counts, counts).map(list)

odd_stamps = st.sampled_from(
    [
        "2025-02-30T09:15:00+05:30",
        "2025-01-02T24:00:00+05:30",
        "2025-01-02T09:15:60+05:30",
        "2025-01-02T09:15:00",
        "2025-01-02T09:15:00Z",
        "2025-01-02T03:45:00+00:00",
        "2025-01-02T09:15:00.5+05:30",
        "2025-01-02T09:15+05:30",
        "2025-01-02 09:15:00+05:30",
        "0000-01-02T09:15:00+05:30",
        "0001-01-01T00:00:00+05:30",
        "1899-12-31T09:15:00+05:30",
        "2200-01-02T09:15:00+05:30",
        "9999-12-31T23:59:59-05:30",
        "٢٠٢٥-01-02T09:15:00+05:30",
        "",
        "\ud800",
        "],[",
        "a,b\n",
    ]
)
odd_values = st.sampled_from(
    [None, True, "1", [], {}, -1, -0.0, 1.0, 2.5, 1e300, 10**20, 10**400, 2**63, 1e-7, NAN, INF]
)
values = stamps | odd_stamps | prices | counts | odd_values
near_rows = st.tuples(
    stamps | odd_stamps, *[prices | odd_values] * 4, *[counts | odd_values] * 2
).map(list)
odd_rows = near_rows | st.lists(values, max_size=9) | odd_values
spaces = st.sampled_from(["", "", "", " ", "\n", "\t"])


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Mostly regular bodies: shuffled, with repeats, and now and then an oddity."""
    rows = draw(st.lists(regular_rows, max_size=6))
    rows += draw(st.lists(st.sampled_from(rows), max_size=3)) if rows else []
    rows = draw(st.permutations(rows))
    if draw(st.booleans()):
        rows += draw(st.lists(odd_rows, max_size=3))
    separators = (draw(spaces) + "," + draw(spaces), draw(spaces) + ":")
    envelope: dict[str, Any] = {"status": "success", "data": {"candles": rows}}
    if draw(st.booleans()):
        envelope = dict(reversed(envelope.items()))
    if draw(st.integers(0, 9)) == 0:
        envelope["more"] = draw(st.sampled_from(["[[", "]]", [[]], None]))
    text = json.dumps(envelope, separators=separators, ensure_ascii=draw(st.booleans()))
    text = draw(spaces) + text + draw(spaces)
    return text.encode("utf-8", "replace")


@given(bodies(), st.sampled_from([MINUTE, DAY]))
def test_any_body_means_what_plain_json_and_datetime_make_of_it(
    body: bytes, timeframe: Timeframe
) -> None:
    assert_agrees(body, timeframe)


@given(st.lists(regular_rows, min_size=1, max_size=8))
def test_the_fast_way_takes_all_that_is_regular(rows: list[Any]) -> None:
    body = pack(rows)
    if "e" in body.decode().partition("candles")[2]:  # Python writes 1e-05
        return
    bars = read_regular(body)
    assert bars is not None
    assert [tuple(row.values()) for row in bars.to_pylist()] == [naive_bar(row) for row in rows]


def test_the_fast_way_takes_nothing_that_plain_json_would_not() -> None:
    """A byte is changed, dropped or added: the body is left to JSON, or means the same."""
    body = pack([ROW, ["2025-01-02T09:16:00+05:30", 0, 10.0, 2301, 0.5, 7, 0]])
    taken = 0
    for place, kept in itertools.product(range(len(body)), (0, 1)):
        for new in [b"", *(bytes([byte]) for byte in b'0159.,-+eET"[]{ \n\\')]:
            changed = body[:place] + new + body[place + kept :]
            if (bars := read_regular(changed)) is not None:
                rows = json.loads(changed)["data"]["candles"]
                assert rows_of(Decoded(bars)) == [naive_bar(row) for row in rows]
                taken += 1
    assert taken > 100


@pytest.mark.parametrize(
    "text",
    [
        '{"status":"success","data":{"candles":[]},"data":{"candles":[[%s]]}}',
        '{"status":"success","data":{"candles":[[%s]]},"data":{"candles":[]}}',
        '{"data":{"candles":[[%s]]},"status":"success","more":1}',
        '{"status":"success","data":{"more":[[%s]],"candles":[]}}',
        '{"status":"success","data":{"candles":[[%s]],"candles":[]}}',
        '{"status":"success","data":{"candles":[[[%s]]]}}',
    ],
)
def test_candles_are_those_that_json_finds_under_their_name(text: str) -> None:
    assert_agrees((text % json.dumps(ROW, separators=(",", ":"))[1:-1]).encode(), MINUTE)


# What the provider really does


def test_newest_first_becomes_oldest_first() -> None:
    later = ["2025-01-02T09:16:00+05:30", *ROW[1:]]
    found = decoded(pack([later, ROW])).bars["ts"].to_pylist()
    assert found == [
        datetime(2025, 1, 2, 3, 45, tzinfo=UTC),
        datetime(2025, 1, 2, 3, 46, tzinfo=UTC),
    ]


def test_of_rows_that_contradict_each_other_the_first_served_stands() -> None:
    other = [*ROW[:4], 53.0, *ROW[5:]]
    found = decoded(pack([ROW, other, ROW, other]))
    assert rows_of(found) == [naive_bar(ROW)]
    assert [json.loads(row) for row, _ in found.misshapen] == [other, other]
    assert {reason for _, reason in found.misshapen} == {
        "differs from an earlier row of the same stamp"
    }


def test_a_daily_bar_with_a_time_belongs_to_its_day_in_india() -> None:
    late = ["2018-07-18T09:45:00+05:30", *ROW[1:]]
    early = ["2018-07-19T00:10:00+05:30", *ROW[1:]]
    found = decoded(pack([early, late]), DAY).bars["ts"].to_pylist()
    assert [stamp.astimezone(IST).isoformat() for stamp in found] == [
        "2018-07-18T00:00:00+05:30",
        "2018-07-19T00:00:00+05:30",
    ]


def test_an_empty_list_is_no_candles_and_no_fault() -> None:
    found = decoded(pack([]))
    assert found.bars.schema.equals(BARS)
    assert (len(found.bars), found.misshapen) == (0, ())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ROW[:6], "6 fields, not 7"),
        ([*ROW, 0], "8 fields, not 7"),
        ({"open": 1}, "not a list"),
        ([1735789500, *ROW[1:]], "the stamp is no text"),
        (["2025-01-02T09:15:00", *ROW[1:]], "the stamp has no zone"),
        (["yesterday", *ROW[1:]], "the stamp is no time"),
        ([ROW[0], None, *ROW[2:]], "open is no number"),
        ([*ROW[:5], 0.5, 0], "volume is no whole number"),
        ([*ROW[:6], None], "oi is no whole number"),
        ([*ROW[:5], 2**63, 0], "volume is too large"),
    ],
)
def test_a_misshapen_row_is_put_aside_with_its_reason_and_its_neighbours_kept(
    row: Any, reason: str
) -> None:
    found = decoded(pack([row, ROW]))
    assert rows_of(found) == [naive_bar(ROW)]
    assert found.misshapen == ((json.dumps(row), reason),)


def test_volumes_printed_as_floats_and_prices_that_are_no_number_are_read_as_printed() -> None:
    body = pack([[*ROW[:4], float("nan"), 5.0, 0.0]])
    (row,) = rows_of(decoded(body))
    assert isnan(row[4])
    assert row[5:] == (5, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502 Bad Gateway</html>",
        b"Too Many Requests",
        b"null",
        b"[]",
        b"{}",
        b'{"status":"success"}',
        b'{"status":"success","data":null}',
        b'{"status":"success","data":[]}',
        b'{"status":"success","data":{}}',
        b'{"status":"success","data":{"candles":null}}',
        b'{"status":"success","data":{"candles":{}}}',
        b'{"status":"partial_success","data":{"candles":[]}}',
        b'{"data":{"candles":[]}}',
        pack([ROW])[:-1],
        pack([ROW])[:-30],
        pack([ROW]) + b"}",
        b"\xff\xfe" + pack([ROW]),
        pack([ROW]).decode().encode("utf-16"),
        b'{"status":"success","data":{"candles":["\xff"]}}',
        b"[" * 100_000,
        b'{"status":"success","data":{"candles":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"status":"success","data":{"candles":[[' + b"1" * 5_000 + b"]]}}",
    ],
)
def test_what_is_no_answer_is_a_bad_body(body: bytes) -> None:
    assert fault(body).cause is Cause.BAD_BODY


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_body_breaks_the_decoder(noise: bytes) -> None:
    for body in (noise, pack([ROW])[:-3] + noise, pack([]).replace(b"[]", b"[" + noise + b"]")):
        decode(body, MINUTE)


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("UDAPI10005", Cause.RATE_LIMITED),
        ("UDAPI100050", Cause.UNAUTHORIZED),
        ("UDAPI1148", Cause.SPAN_TOO_LONG),
        ("UDAPI100011", Cause.UNKNOWN_INSTRUMENT),
        ("UDAPI1021", Cause.UNKNOWN_INSTRUMENT),
        ("UDAPI1147", Cause.BAD_REQUEST),
        ("UDAPI100500", Cause.SERVER_ERROR),
        ("UDAPI1000", Cause.SERVER_ERROR),
    ],
)
def test_an_error_that_comes_with_http_200_is_still_an_error(code: str, cause: Cause) -> None:
    body = json.dumps({"status": "error", "errors": [{"errorCode": code, "message": "m"}]})
    found = fault(body.encode())
    assert (found.cause, found.error_code) == (cause, code)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"error"}',
        b'{"status":"error","errors":null}',
        b'{"status":"error","errors":[]}',
        b'{"status":"error","errors":[1,null,{}]}',
        b'{"status":"error","errors":[{"error_code":{"a":1},"message":2}]}',
    ],
)
def test_an_error_without_a_description_may_pass(body: bytes) -> None:
    assert fault(body).cause is Cause.SERVER_ERROR
