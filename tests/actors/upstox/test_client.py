"""One call, one request, one reply, in time: whatever the server does."""

from __future__ import annotations

import gzip
import json
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest

from actors.market.chunk import Cause
from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from actors.upstox.client import UpstoxClient
from actors.upstox.reply import Answer, Refused
from actors.upstox.token import TokenSource

MINUTE = Timeframe.parse("1minute")
KEY = "NSE_EQ|INE062A01020"
ROW = ["2025-01-02T09:15:00+05:30", 53.1, 53.3, 53.0, 53.2, 104998, 0]
FIRST, LAST = date(2025, 1, 2), date(2025, 1, 31)
TOKEN = "eyJ.secret-token.xyz"

SHORT_S = 0.3
SLACK_S = 0.7  # the machine may be busy
GENEROUS_S = 20.0


def ask(client: UpstoxClient) -> Answer | Refused:
    return client.historical(KEY, MINUTE, FIRST, LAST)


def refusal(client: UpstoxClient) -> Refused:
    reply = ask(client)
    assert isinstance(reply, Refused), reply
    return reply


def answer(client: UpstoxClient) -> Answer:
    reply = ask(client)
    assert isinstance(reply, Answer), reply
    return reply


@contextmanager
def done_within(limit_s: float, at_least_s: float = 0.0) -> Iterator[None]:
    began_s = time.monotonic()
    yield
    assert at_least_s <= time.monotonic() - began_s < limit_s


@pytest.fixture
def connect() -> Iterator[Callable[..., UpstoxClient]]:
    clients: list[UpstoxClient] = []

    def make(url: str, **settings: Any) -> UpstoxClient:
        clients.append(UpstoxClient(url, **{"timeout_s": GENEROUS_S, **settings}))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# What is sent


def test_the_request_is_what_the_provider_documents(serve, connect, body_of, monkeypatch) -> None:
    """To-date before from-date, the key percent-encoded once, and an honest name."""
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    server = serve(lambda call: call.answer(body_of(ROW)))
    connect(server.url).historical("NSE_INDEX|Nifty 50", Timeframe.parse("2hour"), FIRST, LAST)
    (request,) = server.requests
    assert request.head.startswith(
        "GET /v3/historical-candle/NSE_INDEX%7CNifty%2050/hours/2/2025-01-31/2025-01-02 HTTP/1.1"
    )
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "gzip"
    assert request.headers["user-agent"].startswith("candlefleet/")
    assert "cookie" not in request.headers


def test_today_is_asked_of_the_intraday_endpoint(serve, connect, body_of) -> None:
    server = serve(lambda call: call.answer(body_of(ROW)))
    reply = connect(server.url + "/prefix/").intraday("GLOBAL_INDEX|^GSPC", MINUTE)
    assert isinstance(reply, Answer)
    expected = "/prefix/v3/historical-candle/intraday/GLOBAL_INDEX%7C%5EGSPC/minutes/1"
    assert server.requests[0].path == expected


@pytest.mark.parametrize("key", ["A|50%", "A|a/b?c#d", "A|é", "A|%7C", "A|\ud800"])
def test_no_key_breaks_out_of_its_place_in_the_path(serve, connect, body_of, key) -> None:
    server = serve(lambda call: call.answer(body_of()))
    connect(server.url).intraday(key, MINUTE)
    path = server.requests[0].path
    encoded = path.removeprefix("/v3/historical-candle/intraday/").removesuffix("/minutes/1")
    assert path.count("/") == 6
    assert not set(encoded) & set("/?#| ")


def test_without_a_token_no_authorization_is_sent_netrc_or_not(
    serve, connect, body_of, monkeypatch, tmp_path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server = serve(lambda call: call.answer(body_of()))
    answer(connect(server.url))
    assert "authorization" not in server.requests[0].headers


def test_cookies_are_not_kept(serve, connect, body_of) -> None:
    server = serve(lambda call: call.answer(body_of(), 200, "Set-Cookie: a=b; Path=/"))
    client = connect(server.url)
    answer(client)
    answer(client)
    assert "cookie" not in server.requests[1].headers


def test_a_proxy_never_sees_what_goes_to_loopback(serve, connect, body_of, monkeypatch) -> None:
    """It would be plain http with the token in it."""
    proxy = serve(lambda call: call.answer(body_of()))
    server = serve(lambda call: call.answer(body_of()))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    answer(connect(server.url))
    assert (len(proxy.requests), len(server.requests)) == (0, 1)


def test_https_goes_through_the_environments_proxy_within_the_deadline(
    serve, connect, monkeypatch
) -> None:
    """The proxy drips its consent: nothing secret has been said, and the thread comes free."""
    proxy = serve(lambda call: call.drip(b"HTTP/1.1 200 Connection established\r\n" * 99))
    monkeypatch.setenv("https_proxy", proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    with done_within(SHORT_S + SLACK_S, SHORT_S):
        reply = refusal(connect("https://candles.invalid", timeout_s=SHORT_S))
    assert reply.cause is Cause.TIMEOUT
    assert proxy.requests[0].head.startswith("CONNECT candles.invalid:443")
    assert TOKEN not in proxy.requests[0].head


@pytest.mark.parametrize(
    "url",
    [
        "http://api.upstox.com",
        "http://192.168.0.1:8000",
        "http://127.0.0.1.example.org",
        "ftp://127.0.0.1",
        "127.0.0.1:80",
        "https://",
        "https://user:pass@api.upstox.com",
        "https://api.upstox.com?x=1",
        "https://[::1",
        "",
    ],
)
def test_a_url_that_could_give_the_token_away_is_refused_at_once(url: str) -> None:
    with pytest.raises(UsageError, match="provider.base_url"):
        UpstoxClient(url)


@pytest.mark.parametrize(
    "url", ["https://api.upstox.com", "http://localhost:1", "http://[::1]:1", "http://127.9.9.9"]
)
def test_https_and_loopback_are_accepted(url: str) -> None:
    UpstoxClient(url).close()


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_must_be_one(timeout_s: float) -> None:
    with pytest.raises(UsageError, match="provider.timeout_s"):
        UpstoxClient("http://localhost", timeout_s=timeout_s)


# What comes back


def test_candles_come_back_with_the_facts_of_the_request(serve, connect, body_of) -> None:
    body = body_of(ROW, ["odd"])
    server = serve(lambda call: call.answer(body))
    reply = answer(connect(server.url))
    assert reply.bars.num_rows == 1
    assert reply.misshapen == (('["odd"]', "1 fields, not 7"),)
    assert reply.http_status == 200
    assert reply.body_bytes == len(body)
    assert 0 < reply.seconds < GENEROUS_S


def test_gzip_is_understood_and_counted_as_received(serve, connect, body_of) -> None:
    packed = gzip.compress(body_of(*[ROW] * 500))
    server = serve(lambda call: call.answer(packed, 200, "Content-Encoding: gzip"))
    reply = answer(connect(server.url))
    assert reply.bars.num_rows == 1
    assert reply.body_bytes == len(packed)


def test_chunked_and_unbounded_bodies_are_understood(serve, connect, body_of) -> None:
    body = body_of(ROW)

    def script(call) -> None:
        if len(server.requests) == 1:
            call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            call.send(b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:]))
        else:
            call.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            call.hang_up()

    server = serve(script)
    client = connect(server.url)
    assert answer(client).bars.num_rows == 1
    assert answer(client).bars.num_rows == 1


def test_one_thread_keeps_one_connection_also_after_errors(serve, connect, body_of) -> None:
    statuses = iter([200, 429, 500, 400, 200])
    server = serve(lambda call: call.answer(body_of(ROW), next(statuses)))
    client = connect(server.url)
    for _ in range(5):
        ask(client)
    assert (len(server.requests), server.connections) == (5, 1)


def test_threads_share_a_client_but_no_connection(serve, connect, body_of) -> None:
    """All are in flight at once: each is answered only when all have arrived."""
    everyone = threading.Barrier(4)

    def script(call) -> None:
        everyone.wait(10)
        call.answer(body_of(ROW))

    server = serve(script)
    client = connect(server.url)
    replies: list[Answer | Refused] = []
    threads = [threading.Thread(target=lambda: replies.append(ask(client))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [type(reply) for reply in replies] == [Answer] * 4


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (204, Cause.BAD_BODY),
        (301, Cause.REDIRECTED),
        (307, Cause.REDIRECTED),
        (400, Cause.BAD_REQUEST),
        (401, Cause.UNAUTHORIZED),
        (403, Cause.BANNED),
        (404, Cause.BAD_REQUEST),
        (429, Cause.RATE_LIMITED),
        (503, Cause.SERVER_ERROR),
    ],
)
def test_a_status_is_a_cause_and_never_a_second_request(serve, connect, status, cause) -> None:
    server = serve(lambda call: call.answer(b"", status, "Retry-After: 0"))
    reply = refusal(connect(server.url))
    assert (reply.cause, reply.http_status, reply.retry_after_s) == (cause, status, 0.0)
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed_and_its_body_not_read(serve, connect, monkeypatch) -> None:
    """Neither to another host, which would get the token, nor to the same."""
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    other = serve(lambda call: call.answer(b""))

    def script(call) -> None:
        location = f"Location: {other.url}/elsewhere\r\n".encode()
        call.send(b"HTTP/1.1 302 Found\r\nContent-Length: 999999999\r\n" + location + b"\r\n")
        call.drip(b"." * 10_000)

    server = serve(script)
    with done_within(5):
        reply = refusal(connect(server.url))
    assert reply.cause is Cause.REDIRECTED
    assert (len(server.requests), len(other.requests)) == (1, 0)


def test_a_named_wait_is_passed_on(serve, connect) -> None:
    server = serve(lambda call: call.answer(b"Too Many Requests", 429, "Retry-After: 7"))
    assert refusal(connect(server.url)).retry_after_s == 7.0


# Time


DRIPS: dict[str, bytes] = {
    "status line": b"HTTP/1.1 200 " + b"O" * 10_000,
    "headers": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000,
    "many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2_000,
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + b" " * 10_000,
    "body without length": b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 10_000,
    "body of a closed connection": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10000\r\n\r\n" + b" " * 10_000
    ),
    "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 10_000,
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 2_000,
}


@pytest.mark.parametrize("reply", DRIPS.values(), ids=DRIPS.keys())
def test_a_dripping_server_holds_no_thread_past_the_deadline(serve, connect, reply) -> None:
    """The first bytes come at once, the rest one by one; each resets a timeout of single reads."""
    start = reply.find(b"\r\n\r\n") + 4 if reply.find(b"\r\n\r\n") > 0 else 9

    def script(call) -> None:
        call.send(reply[:start])
        call.drip(reply[start:])

    server = serve(script)
    with done_within(SHORT_S + SLACK_S, SHORT_S):
        refused = refusal(connect(server.url, timeout_s=SHORT_S))
    assert refused.cause is Cause.TIMEOUT
    assert refused.message == "no whole answer within 0.3 s"
    assert server.deserted.wait(5), "the connection must be closed"


def test_a_stalling_server_holds_no_thread_past_the_deadline(serve, connect, body_of) -> None:
    server = serve(lambda call: call.stall())
    with done_within(SHORT_S + SLACK_S, SHORT_S):
        assert refusal(connect(server.url, timeout_s=SHORT_S)).cause is Cause.TIMEOUT


def test_a_server_that_drips_its_tls_holds_no_thread_past_the_deadline(connect) -> None:
    """A TLS record of 16 KB that comes a byte at a time."""
    closing = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")
            while not closing.wait(0.02):
                try:
                    connection.sendall(b"\x03")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        with done_within(SHORT_S + SLACK_S, SHORT_S):
            port = listener.getsockname()[1]
            reply = refusal(connect(f"https://127.0.0.1:{port}", timeout_s=SHORT_S))
        closing.set()
        thread.join(5)
    assert reply.cause is Cause.TIMEOUT


def test_a_host_that_does_not_accept_holds_no_thread_past_the_deadline(connect) -> None:
    """The queue of a listener that never accepts is full: the handshake is not answered."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with done_within(SHORT_S + SLACK_S, SHORT_S / 2):
            assert refusal(connect(url, timeout_s=SHORT_S)).cause is Cause.TIMEOUT
        for filler in fillers:
            filler.close()


def test_a_resolver_that_hangs_holds_no_thread_past_the_deadline(connect, monkeypatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: over.wait(30) or [])
    with done_within(SHORT_S + SLACK_S, SHORT_S):
        assert refusal(connect("http://localhost:9", timeout_s=SHORT_S)).cause is Cause.TIMEOUT
    over.set()


def test_after_a_timeout_the_next_request_has_a_connection_and_a_time_of_its_own(
    serve, connect, body_of
) -> None:
    server = serve(lambda c: c.stall() if len(server.requests) == 1 else c.answer(body_of(ROW)))
    client = connect(server.url, timeout_s=SHORT_S)
    assert refusal(client).cause is Cause.TIMEOUT
    for _ in range(3):
        assert answer(client).bars.num_rows == 1
    assert server.connections == 2


def test_a_deadline_cuts_its_own_request_and_no_other(serve, connect, body_of) -> None:
    """While one thread waits in vain, another goes on being served over its own connection."""
    server = serve(lambda c: c.stall() if "HANG" in c.path else c.answer(body_of(ROW)))
    client = connect(server.url, timeout_s=SHORT_S)
    hung: list[Answer | Refused] = []
    thread = threading.Thread(target=lambda: hung.append(client.intraday("HANG|1", MINUTE)))
    thread.start()
    served = 0
    while thread.is_alive():
        answer(client)
        served += 1
    thread.join()
    assert isinstance(hung[0], Refused)
    assert hung[0].cause is Cause.TIMEOUT
    assert served > 1
    assert server.connections == 2


def test_a_status_stands_although_its_body_never_ends(serve, connect) -> None:
    def script(call) -> None:
        call.send(b"HTTP/1.1 429 X\r\nRetry-After: 3\r\nContent-Length: 10000\r\n\r\n")
        call.drip(b"x" * 9_000)

    server = serve(script)
    with done_within(SHORT_S + SLACK_S, SHORT_S):
        reply = refusal(connect(server.url, timeout_s=SHORT_S))
    assert (reply.cause, reply.http_status, reply.retry_after_s) == (Cause.RATE_LIMITED, 429, 3.0)


def test_a_403_whose_body_breaks_off_does_not_end_the_run(serve, connect) -> None:
    """Only the body tells a ban from a plain refusal."""

    def script(call) -> None:
        call.send(b"HTTP/1.1 403 X\r\nContent-Length: 500\r\n\r\n{")
        call.hang_up()

    server = serve(script)
    reply = refusal(connect(server.url))
    assert (reply.cause, reply.http_status) == (Cause.CONNECTION, 403)


# Broken connections and bodies


def test_a_refused_connection_is_a_reply(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert refusal(connect(f"http://127.0.0.1:{port}")).cause is Cause.CONNECTION


def test_a_host_without_an_address_is_a_reply(connect, monkeypatch) -> None:
    def unknown(*_args: Any, **_more: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    reply = refusal(connect("http://localhost:9"))
    assert reply.cause is Cause.CONNECTION
    assert "Name or service not known" in reply.message


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "half a status line": b"HTTP/1.1 2",
    "no HTTP": b"220 mail.example ready\r\n\r\n",
    "half the body": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{",
    "an endless header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200,
}


@pytest.mark.parametrize("how", ["hang_up", "reset"])
@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_answer_is_a_reply_and_nothing_is_sent_again(serve, connect, sent, how) -> None:
    def script(call) -> None:
        call.send(sent)
        getattr(call, how)()

    server = serve(script)
    reply = refusal(connect(server.url))
    assert reply.cause is Cause.CONNECTION
    assert len(server.requests) == 1


def test_a_kept_connection_closed_on_the_next_request_is_not_replaced_in_secret(
    serve, connect, body_of
) -> None:
    """The request may have been counted: sending it again takes another permit."""

    def script(call) -> None:
        if len(server.requests) == 2:
            call.hang_up()
        else:
            call.answer(body_of(ROW))

    server = serve(script)
    client = connect(server.url)
    answer(client)
    assert refusal(client).cause is Cause.CONNECTION
    assert len(server.requests) == 2
    answer(client)
    assert (len(server.requests), server.connections) == (3, 2)


def test_a_connection_closed_between_requests_costs_none(serve, connect, body_of) -> None:
    """It was seen to be closed before anything was sent over it."""

    def script(call) -> None:
        call.answer(body_of(ROW))
        call.hang_up()

    server = serve(script)
    client = connect(server.url)
    for _ in range(3):
        answer(client)
        assert all(t.join(5) is None for t in server._threads[1:])
    assert (len(server.requests), server.connections) == (3, 3)


UNREADABLE: dict[str, bytes] = {
    "HTML": b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
    "cut JSON": b'HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{"status":"',
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "half the headers": b"HTTP/1.1 200 OK\r\nContent-Le",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_unreadable_body_is_a_reply(serve, connect, sent) -> None:
    def script(call) -> None:
        call.send(sent)
        call.hang_up()

    server = serve(script)
    assert refusal(connect(server.url)).cause is Cause.BAD_BODY
    assert len(server.requests) == 1


def test_half_a_gzip_stream_is_no_answer(serve, connect, body_of) -> None:
    packed = gzip.compress(body_of(*([ROW] * 200)))[:-40]
    server = serve(lambda call: call.answer(packed, 200, "Content-Encoding: gzip"))
    assert refusal(connect(server.url)).cause is Cause.BAD_BODY


def test_a_body_over_the_bound_is_dropped_with_its_connection(serve, connect, body_of) -> None:
    def script(call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1_000):
            call.send(b" " * 1_000_000)

    server = serve(script)
    with done_within(5):
        reply = refusal(connect(server.url, max_body_bytes=100_000))
    assert (reply.cause, reply.http_status) == (Cause.BODY_TOO_LARGE, 200)
    assert reply.body_bytes < 3_000_000
    assert server.deserted.wait(5), "the connection must be closed"


def test_the_bound_is_on_the_unpacked_size(serve, connect) -> None:
    """A hundred megabytes of nothing travel as a hundred kilobytes."""
    packed = gzip.compress(bytes(100_000_000), 1)
    server = serve(lambda call: call.answer(packed, 200, "Content-Encoding: gzip"))
    assert refusal(connect(server.url, max_body_bytes=1_000_000)).cause is Cause.BODY_TOO_LARGE


def test_a_body_of_just_the_bound_is_kept(serve, connect, body_of) -> None:
    body = body_of(ROW)
    server = serve(lambda call: call.answer(body))
    assert answer(connect(server.url, max_body_bytes=len(body))).bars.num_rows == 1
    too_large = refusal(connect(server.url, max_body_bytes=len(body) - 1))
    assert too_large.cause is Cause.BODY_TOO_LARGE


# The token


def test_the_token_is_in_no_message_row_or_repr(serve, connect, body_of, monkeypatch) -> None:
    """Even when the server throws it back at us."""
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    error = {"errors": [{"error_code": "UDAPI100050", "message": f"bad {TOKEN}\r\n\x1b[31m!"}]}
    replies = iter(
        [
            (body_of([f"Bearer {TOKEN}"]), 200),
            (json.dumps(error).encode(), 401),
            (b"<html>" + b"x" * 180 + TOKEN.encode(), 502),
            (TOKEN.encode(), 200),
        ]
    )
    server = serve(lambda call: call.answer(*next(replies)))
    client = connect(server.url)
    seen = [ask(client) for _ in range(4)]
    assert len(server.requests) == 4
    shown = [repr(reply) for reply in seen] + [repr(client), repr(vars(client))]
    assert not any("secret" in text for text in shown)
    assert next(reply.message for reply in seen if isinstance(reply, Refused)) == (
        "HTTP 401: bad [token] [31m!"
    )


def test_a_broken_status_line_does_not_give_the_token_away(serve, connect, monkeypatch) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    server = serve(lambda call: call.send(f"{TOKEN} nonsense\r\n\r\n".encode()))
    reply = refusal(connect(server.url))
    assert reply.cause is Cause.CONNECTION
    assert TOKEN not in reply.message


def test_messages_are_one_short_line(serve, connect) -> None:
    server = serve(lambda call: call.answer(b"<html>\n" + b"long " * 9_000, 502))
    message = refusal(connect(server.url)).message
    assert message.startswith("HTTP 502: <html> long long")
    assert len(message) == 200


def test_an_unreadable_token_ends_the_run_and_sends_nothing(serve, connect, body_of) -> None:
    server = serve(lambda call: call.answer(body_of()))
    source = TokenSource(file="/nowhere/at/all")
    reply = refusal(connect(server.url, token=source))
    assert (reply.cause, len(server.requests)) == (Cause.UNAUTHORIZED, 0)
    assert "/nowhere/at/all" in reply.message


def test_a_renewed_token_is_picked_up(serve, connect, body_of, tmp_path) -> None:
    path = tmp_path / "token"
    server = serve(lambda call: call.answer(body_of()))
    client = connect(server.url, token=TokenSource(file=str(path)))
    for token in ("one", "two"):
        path.write_text(token + "\n")
        answer(client)
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer one", "Bearer two"]


def test_replies_travel_between_processes(serve, connect, body_of) -> None:
    server = serve(lambda call: call.answer(body_of(ROW)))
    reply = answer(connect(server.url))
    assert pickle.loads(pickle.dumps(reply)) == reply
