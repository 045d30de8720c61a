"""The provider's own client takes the look-alike for the real thing (upstox-python-sdk 2.30)."""

from __future__ import annotations

import json
from datetime import datetime

import pytest
import urllib3

from cluster.lookalike.launch import run_lookalike
from cluster.lookalike.settings import Settings

upstox_client = pytest.importorskip("upstox_client")

SHARE = "NSE_EQ|INE062A01020"
SPAN = ("days", "1", "2024-03-31", "2024-03-01")


@pytest.fixture
def api(exchange):
    return history_of(exchange)


def history_of(exchange):
    configuration = upstox_client.Configuration()
    configuration.host = exchange.base_url
    return upstox_client.HistoryV3Api(upstox_client.ApiClient(configuration))


def refusal(call, *args):
    with pytest.raises(upstox_client.rest.ApiException) as caught:
        call(*args)
    assert isinstance(caught.value.body, bytes)
    return caught.value


def code_of(error):
    return json.loads(error.body)["errors"][0]["errorCode"]


def test_candles_come_as_lists(api):
    """Newest first, types as printed."""
    answer = api.get_historical_candle_data1(SHARE, *SPAN)
    assert answer.status == "success"
    first = answer.data.candles[0]
    assert first[0] == "2024-03-28T00:00:00+05:30"
    assert [type(value) for value in first[5:]] == [int, int]
    assert len(answer.data.candles) == 19


def test_an_index_is_found_by_its_name_with_spaces(api):
    """Percent-encoded by the SDK, decoded once here."""
    answer = api.get_historical_candle_data1("NSE_INDEX|Nifty 50", *SPAN)
    assert {row[5] for row in answer.data.candles} == {0}


def test_no_candles_is_an_empty_list(api):
    """A weekend."""
    answer = api.get_historical_candle_data1(SHARE, "minutes", "1", "2024-01-28", "2024-01-27")
    assert answer.data.candles == []


def test_without_from_date(api):
    """The SDK has a method of its own for it."""
    answer = api.get_historical_candle_data(SHARE, "days", "1", "2024-03-31")
    assert answer.data.candles[-1][0] == "2014-03-31T00:00:00+05:30"


def test_intraday(api):
    """107 minutes at 11:02:30."""
    answer = api.get_intra_day_candle_data(SHARE, "minutes", "1")
    assert len(answer.data.candles) == 107


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("NSE_EQ|INE062A01020|SBIN", *SPAN), "UDAPI1021"),
        ((SHARE, "day", "1", "2024-03-31", "2024-03-01"), "UDAPI1146"),
        ((SHARE, "minutes", "500", "2024-03-31", "2024-03-01"), "UDAPI1147"),
        ((SHARE, "days", "1", "2024-03-01", "2024-03-31"), "UDAPI1015"),
        ((SHARE, "minutes", "1", "2024-03-31", "2024-01-01"), "UDAPI1148"),
        (("NSE_EQ|SBIN", *SPAN), "UDAPI100011"),
    ],
)
def test_mistakes_are_api_exceptions(api, arguments, code):
    """400, the body unparsed."""
    error = refusal(api.get_historical_candle_data1, *arguments)
    assert (error.status, code_of(error)) == (400, code)


@pytest.mark.parametrize(("fault", "status"), [("unauthorized", 401), ("cloudflare", 403)])
def test_refusals_are_api_exceptions(exchange, api, fault, status):
    """401 of the API, 403 of what stands before it."""
    exchange.set_faults(**{fault: 1.0})
    assert refusal(api.get_historical_candle_data1, SHARE, *SPAN).status == status


def test_server_errors_are_api_exceptions_at_the_first_request(exchange, api):
    """500, 502 and 503 alike: without Retry-After the SDK does not ask again."""
    exchange.set_faults(server_error=1.0)
    statuses = {refusal(api.get_historical_candle_data1, SHARE, *SPAN).status for _ in range(30)}
    assert statuses == {500, 502, 503}
    assert exchange.judge()["requests"] == 30


@pytest.mark.parametrize(("retry_after_s", "requests"), [(None, 1), (0, 4)])
def test_one_too_many_is_an_api_exception(retry_after_s, requests):
    """At once; with Retry-After the SDK asks three times more in silence."""
    settings = Settings(windows=((1, 3600.0),), retry_after_s=retry_after_s)
    with run_lookalike(settings) as exchange:
        api = history_of(exchange)
        api.get_historical_candle_data1(SHARE, *SPAN)
        error = refusal(api.get_historical_candle_data1, SHARE, *SPAN)
        assert (error.status, code_of(error)) == (429, "UDAPI10005")
        assert exchange.judge()["refused"] == requests


def test_an_error_under_200_goes_unnoticed(exchange, api):
    """No exception; the status says it, the error list is lost."""
    exchange.set_faults(error_200=1.0)
    answer = api.get_historical_candle_data1(SHARE, *SPAN)
    assert (answer.status, answer.data) == ("error", None)


def test_a_web_page_under_200_is_a_type_error(exchange, api):
    """The SDK's own stumble."""
    exchange.set_faults(html=1.0)
    with pytest.raises(TypeError):
        api.get_historical_candle_data1(SHARE, *SPAN)


@pytest.mark.parametrize("fault", ["reset", "truncated"])
def test_broken_connections_are_retried_and_then_urllib3s_error(exchange, api, fault):
    """Three silent retries; not an ApiException."""
    exchange.set_faults(**{fault: 1.0})
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        api.get_historical_candle_data1(SHARE, *SPAN)
    assert exchange.judge()["requests"] == 4


def test_damaged_rows_pass_through(exchange, api):
    """The SDK checks nothing."""
    exchange.set_faults(spoiled=1.0)
    stamps = [row[0] for row in api.get_historical_candle_data1(SHARE, *SPAN).data.candles]
    assert len(stamps) == 19
    assert all(datetime.fromisoformat(stamp) for stamp in stamps)
