"""Every way the provider says no, and what each means."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.chunk import Cause
from actors.upstox.fault import MAX_RETRY_AFTER_S, fault_of, retry_after_s

NOW = datetime(2026, 11, 20, 10, 0, 0, tzinfo=UTC)


def envelope(*codes: str) -> bytes:
    errors = [
        {
            "errorCode": code,
            "message": f"about {code}",
            "propertyPath": None,
            "invalidValue": None,
            "error_code": code,
            "property_path": None,
            "invalid_value": None,
        }
        for code in codes
    ]
    return json.dumps({"status": "error", "errors": errors}).encode()


# Written out once more, from the provider's table and the design, not from the code.
@pytest.mark.parametrize(
    ("http_status", "body", "cause", "code"),
    [
        (400, envelope("UDAPI1148"), Cause.SPAN_TOO_LONG, "UDAPI1148"),
        (400, envelope("UDAPI1021"), Cause.UNKNOWN_INSTRUMENT, "UDAPI1021"),
        (400, envelope("UDAPI100011"), Cause.UNKNOWN_INSTRUMENT, "UDAPI100011"),
        (400, envelope("UDAPI1015"), Cause.BAD_REQUEST, "UDAPI1015"),
        (400, envelope("UDAPI1146"), Cause.BAD_REQUEST, "UDAPI1146"),
        (400, envelope("UDAPI999999"), Cause.BAD_REQUEST, "UDAPI999999"),
        (400, envelope("UDAPI999999", "UDAPI1148"), Cause.SPAN_TOO_LONG, "UDAPI1148"),
        (400, b"<html>", Cause.BAD_REQUEST, None),
        (401, envelope("UDAPI100050"), Cause.UNAUTHORIZED, "UDAPI100050"),
        (401, b"", Cause.UNAUTHORIZED, None),
        (403, envelope("UDAPI1149"), Cause.BAD_REQUEST, "UDAPI1149"),
        (403, envelope("UDAPI10005"), Cause.RATE_LIMITED, "UDAPI10005"),
        (403, b"<html>Access denied | error code: 1010</html>", Cause.BANNED, None),
        (403, b'{"error_code": 1010, "message": "browser"}', Cause.BANNED, "1010"),
        (403, b'{"error_code": "1015"}', Cause.BANNED, "1015"),
        (403, b'{"error_name": "browser_signature_banned"}', Cause.BANNED, None),
        (403, b"", Cause.BANNED, None),
        (404, envelope("UDAPI100060"), Cause.BAD_REQUEST, "UDAPI100060"),
        (405, b"", Cause.BAD_REQUEST, None),
        (408, b"", Cause.SERVER_ERROR, None),
        (422, b"{}", Cause.BAD_REQUEST, None),
        (423, b"null", Cause.BAD_REQUEST, None),
        (429, envelope("UDAPI10005"), Cause.RATE_LIMITED, "UDAPI10005"),
        (429, b"Too Many Requests", Cause.RATE_LIMITED, None),
        (429, envelope("UDAPI100050"), Cause.RATE_LIMITED, "UDAPI100050"),
        (500, envelope("UDAPI100500"), Cause.SERVER_ERROR, "UDAPI100500"),
        (500, envelope("UDAPI10005"), Cause.RATE_LIMITED, "UDAPI10005"),
        (502, b"<html>\xff", Cause.SERVER_ERROR, None),
        (503, b"[" * 100_000, Cause.SERVER_ERROR, None),
        (999, b"", Cause.SERVER_ERROR, None),
        (302, b"", Cause.REDIRECTED, None),
        (204, b"", Cause.BAD_BODY, None),
    ],
)
def test_each_refusal_has_its_cause(
    http_status: int, body: bytes, cause: Cause, code: str | None
) -> None:
    found = fault_of(http_status, body)
    assert (found.cause, found.error_code) == (cause, code)
    assert found.message.startswith(f"HTTP {http_status}: ")


def test_the_providers_own_words_are_passed_on() -> None:
    assert fault_of(400, envelope("UDAPI1148")).message == "HTTP 400: about UDAPI1148"


@given(st.integers(100, 999), st.binary(max_size=80))
def test_no_refusal_goes_without_a_cause(http_status: int, body: bytes) -> None:
    assert fault_of(http_status, body).cause in Cause


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0665", None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("99999999", MAX_RETRY_AFTER_S),
        ("9" * 400, None),
        ("Fri, 20 Nov 2026 10:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 10:00:30 -0000", 30.0),
        ("Fri, 20 Nov 2026 09:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2099 09:00:00 GMT", MAX_RETRY_AFTER_S),
        ("Fri, 99 Nov 2026 09:00:00 GMT", None),
    ],
)
def test_a_named_wait_is_read_and_bounded(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, NOW) == wait_s


@given(st.text(max_size=40))
def test_no_header_breaks_it(header: str) -> None:
    wait_s = retry_after_s(header, NOW)
    assert wait_s is None or 0 <= wait_s <= MAX_RETRY_AFTER_S
