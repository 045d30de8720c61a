"""Told once each, in bounded time, and without a secret."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.errors import UsageError
from actors.market.sessions import IST
from actors.upstox.token import TokenSource
from cluster.config import load
from cluster.config.schedule import NotifySettings
from cluster.schedule.delivery import Bounds
from cluster.schedule.notice import Delivered, Event, tell

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJBQjEyMyJ9.c2lnbmF0dXJl"
PATH = "/services/T000/s3cret-path?key=s3cret-key"
QUICK = Bounds(total_s=20.0, attempt_s=10.0, base_s=0.001)
STALLS = 0  # instead of a status
EVENT = Event(
    "failure",
    "data/nifty50",
    "daily failed: the provider is down",
    job="daily",
    occasion=datetime(2026, 11, 24, 18, 0, tzinfo=IST),
    facts={"exit": 1, "run_ids": ["20261124-180000-abcd"], "ratio": float("nan")},
)


class Receiver(ThreadingHTTPServer):
    """Answers with `answers` in turn, then with 204; keeps what it was sent."""

    daemon_threads = True

    def __init__(self, *answers: int | tuple[int, dict[str, str]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = list(answers)
        self.closing = threading.Event()
        self.heard: list[tuple[int, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PATH}"

    @property
    def messages(self) -> list[Any]:
        """Those it has taken."""
        return [json.loads(body) for status, _, _, body in self.heard if status < 300]


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answers.pop(0) if self.server.answers else 204
        if answer == STALLS:
            self.server.closing.wait(10)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        sent = {name.lower(): value for name, value in self.headers.items()}
        self.server.heard.append((status, self.path, sent, body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        while "Content-Length" in headers and not self.server.closing.wait(0.01):
            self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receive() -> Iterator[Callable[..., Receiver]]:
    running: list[Receiver] = []

    def start(*answers: int | tuple[int, dict[str, str]]) -> Receiver:
        running.append(Receiver(*answers))
        threading.Thread(target=running[-1].serve_forever, args=(0.01,), daemon=True).start()
        return running[-1]

    yield start
    for receiver in running:
        receiver.closing.set()
        receiver.shutdown()
        receiver.server_close()


def webhook(url: str, **settings: Any) -> NotifySettings:
    return NotifySettings(webhook=url, **settings)


def command(*argv: str, **settings: Any) -> NotifySettings:
    return NotifySettings(command=(sys.executable, "-c", *argv), **settings)


# Webhooks


def test_the_receiver_gets_exactly_one_message_an_event_also_when_the_first_tries_fail(
    receive: Callable[..., Receiver],
) -> None:
    receiver = receive(503, 503, 429)
    notify = [webhook(receiver.url)]
    first = tell(notify, EVENT, bounds=QUICK)
    assert first.failed == ()
    assert tell(notify, EVENT, first.told, bounds=QUICK) == Delivered()
    (message,) = receiver.messages
    assert len(receiver.heard) == 4
    assert message == {
        "id": EVENT.id,
        "kind": "failure",
        "text": "daily failed: the provider is down",
        "job": "daily",
        "occasion": "2026-11-24T18:00:00+05:30",
        "store": "data/nifty50",
        "facts": {"exit": 1, "run_ids": ["20261124-180000-abcd"], "ratio": None},
    }
    for _, path, headers, _ in receiver.heard:
        assert path == PATH
        assert headers["idempotency-key"] == EVENT.id
        assert headers["content-type"] == "application/json"
    other = Event("stale", EVENT.store, "older than it should be", about="2026-11-23")
    tell(notify, other, first.told, bounds=QUICK)
    assert [each["id"] for each in receiver.messages] == [EVENT.id, other.id]


def test_who_has_been_told_is_not_told_again_when_another_could_not_be(
    receive: Callable[..., Receiver],
) -> None:
    well, ill = receive(), receive(*[404] * 1)
    notify = [webhook(ill.url), webhook(well.url)]
    first = tell(notify, EVENT, bounds=QUICK)
    assert EVENT.id not in first.told
    assert [said.partition(": ")[2] for said in first.failed] == [
        "HTTP 404; given up after 1 attempt"
    ]
    second = tell(notify, EVENT, first.told, bounds=QUICK)
    assert second.failed == ()
    assert EVENT.id in second.told
    assert (len(ill.messages), len(well.messages)) == (1, 1)


def test_only_what_a_listener_wants_is_told(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    assert tell([webhook(receiver.url, events=("stale",))], EVENT, bounds=QUICK) == Delivered()
    assert receiver.heard == []


@pytest.mark.parametrize(
    ("status", "headers"),
    [(302, {"Location": "/elsewhere"}), (307, {"Location": "/elsewhere"}), (400, {}), (410, {})],
)
def test_nothing_is_followed_and_what_will_not_pass_is_not_tried_again(
    receive: Callable[..., Receiver], status: int, headers: dict[str, str]
) -> None:
    receiver = receive((status, headers))
    found = tell([webhook(receiver.url)], EVENT, bounds=QUICK)
    assert found.told == ()
    assert f"HTTP {status}" in found.failed[0]
    assert len(receiver.heard) == 1


def test_attempts_are_bounded_and_the_words_hold_no_part_of_the_path(
    receive: Callable[..., Receiver],
) -> None:
    receiver = receive(*[500] * 9)
    (said,) = tell([webhook(receiver.url)], EVENT, bounds=QUICK).failed
    assert said == (
        f"webhook http://127.0.0.1:{receiver.server_port}/…: HTTP 500; given up after 5 attempts"
    )
    assert len(receiver.heard) == 5


def test_retry_after_is_heeded_and_what_is_out_of_bounds_is_not_waited_for(
    receive: Callable[..., Receiver],
) -> None:
    patient, hasty = receive((429, {"Retry-After": "1"})), receive((503, {"Retry-After": "60"}))
    began_s = time.monotonic()
    assert tell([webhook(hasty.url)], EVENT, bounds=QUICK).told == ()
    assert time.monotonic() - began_s < 5
    began_s = time.monotonic()
    assert tell([webhook(patient.url)], EVENT, bounds=QUICK).failed == ()
    assert time.monotonic() - began_s >= 1
    assert (len(hasty.heard), len(patient.heard)) == (1, 2)


def test_nobody_listens() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    (said,) = tell([webhook(f"http://127.0.0.1:{port}{PATH}")], EVENT, bounds=QUICK).failed
    assert "Connection refused; given up after 5 attempts" in said
    assert "s3cret" not in said


def test_a_server_that_never_answers_is_left_in_time(receive: Callable[..., Receiver]) -> None:
    receiver = receive(*[STALLS] * 9)
    bounds = Bounds(total_s=0.6, attempt_s=0.2, base_s=0.001)
    began_s = time.monotonic()
    (said,) = tell([webhook(receiver.url)], EVENT, bounds=bounds).failed
    assert time.monotonic() - began_s < 5
    assert "no answer within" in said


def test_an_answer_without_an_end_holds_nobody_up(receive: Callable[..., Receiver]) -> None:
    """That it was taken is said by its first line."""
    receiver = receive((200, {"Content-Length": "1000000"}))
    assert tell([webhook(receiver.url)], EVENT, bounds=QUICK).failed == ()
    assert len(receiver.messages) == 1


# Secrets


@pytest.mark.parametrize("token", [TOKEN, 's3cr"et\\tok{}en/=', "12345"])
def test_the_token_is_in_no_message_whatever_is_quoted(
    receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", token)
    receiver = receive()
    said = f"401 for Bearer {token}, body {json.dumps({'token': token})}"
    event = Event("failure", "data", said, facts={token: [{"deep": f"<{token}>"}, (token,)]})
    assert tell([webhook(receiver.url)], event, bounds=QUICK).failed == ()
    (_, _, headers, body) = receiver.heard[0]
    for secret in (token, json.dumps(token)[1:-1]):
        assert secret not in body.decode()
        assert secret not in json.dumps(json.loads(body), ensure_ascii=False)
        assert secret not in repr(headers)
    assert receiver.messages[0]["facts"]["[token]"] == [{"deep": "<[token]>"}, ["[token]"]]


def test_what_looks_like_a_token_is_hidden_when_ours_cannot_be_read(
    receive: Callable[..., Receiver], tmp_path: Path
) -> None:
    """That it cannot be is likely to be what is told."""
    receiver = receive()
    source = TokenSource.find(tmp_path / "none")
    with pytest.raises(UsageError):
        source.read()
    event = Event("token", "data", f"another was {TOKEN}.")
    assert tell([webhook(receiver.url)], event, token=source, bounds=QUICK).failed == ()
    assert "eyJ" not in receiver.heard[0][3].decode()
    assert "c2lnbmF0dXJl" not in receiver.heard[0][3].decode()


def test_a_webhook_may_stand_in_the_environment(
    receive: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = receive()
    notify = [webhook("$HOOK")]
    assert tell(notify, EVENT, bounds=QUICK).failed == (
        "webhook $HOOK: the environment does not have it",
    )
    monkeypatch.setenv("HOOK", "http://example.com/s3cret")
    (said,) = tell(notify, EVENT, bounds=QUICK).failed
    assert said.startswith("webhook $HOOK: must be https")
    assert "s3cret" not in said
    monkeypatch.setenv("HOOK", f" {receiver.url}\n")
    assert tell(notify, EVENT, bounds=QUICK).failed == ()
    assert len(receiver.messages) == 1


def test_a_config_shows_no_more_of_a_webhook_than_its_host(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "store: s3://bucket/x\nuniverse: {symbols: [SBIN]}\ntimeframes: [1day]\nschedule:\n  notify:\n"
        f"    - webhook: https://hooks.example.com{PATH}\n"
        "    - webhook: $HOOK\n      events: [failure]\n"
        "    - command: [mail, --password, s3cret]\n"
    )
    config = load(path)
    assert config.schedule.notify[0].webhook == f"https://hooks.example.com{PATH}"
    described = config.describe()["schedule"]["notify"]
    assert [each["webhook"] for each in described] == ["https://hooks.example.com/…", "$HOOK", None]
    assert [each["command"] for each in described] == [[], [], ["mail", "…"]]
    for text in (json.dumps(config.describe()), repr(config), *map(str, config.schedule.notify)):
        assert "s3cret" not in text


@pytest.mark.parametrize(
    "written",
    [
        "webhook: http://example.com/s3cret",
        "webhook: [https://example.com/s3cret]",
        "webhook: {s3cret: 1}",
        "webhook: https://user:s3cret@example.com",
        "webhook: s3cret",
        "webhook: https://example.com/#s3cret",
        "webhook: '$s3cret-'",
        "{webhook: https://example.com/s3cret, command: [s3cret]}",
    ],
)
def test_a_refusal_does_not_repeat_it(tmp_path: Path, written: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "universe: {symbols: [SBIN]}\ntimeframes: [1day]\n"
        f"schedule:\n  notify:\n    - {written}\n"
    )
    with pytest.raises(UsageError, match="notify") as refused:
        load(path)
    assert "s3cret" not in str(refused.value)


# Commands


def test_a_command_reads_the_event_and_none_of_our_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("COPY_OF_IT", f"Bearer {TOKEN}")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-of-the-bucket")
    monkeypatch.setenv("HOOK", "https://example.com/s3cret")
    monkeypatch.setenv("MAIL_PASSWORD", "the command's own")
    place = tmp_path / "seen"
    script = (
        "import json, os, sys; print('noise'); "
        "open(sys.argv[1], 'w').write(json.dumps([json.load(sys.stdin), dict(os.environ)]))"
    )
    notify = [command(script, str(place)), webhook("$HOOK", events=("stale",))]
    found = tell(notify, EVENT, bounds=QUICK)
    assert found.failed == ()
    event, environment = json.loads(place.read_text())
    assert event["id"] == EVENT.id
    assert environment["MAIL_PASSWORD"] == "the command's own"
    assert environment["PATH"] == os.environ["PATH"]
    for secret in (TOKEN, "s3cret"):
        assert secret not in repr(environment)
    assert capfd.readouterr().out == ""  # ours carries results
    place.unlink()
    assert tell(notify, EVENT, found.told, bounds=QUICK) == Delivered()
    assert not place.exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_a_command_that_fails_is_told_of(script: str, said: str) -> None:
    found = tell([command(script)], EVENT, bounds=QUICK)
    assert found == Delivered(failed=(f"command {sys.executable}: {said}",))


def test_one_that_does_not_read_its_stdin_has_been_told() -> None:
    big = Event("matches", "data", "many", facts={"rows": ["x" * 100] * 2_000})
    assert tell([command("pass")], big, bounds=QUICK).failed == ()


@pytest.mark.parametrize("argv", [("/no/such/program",), ("/tmp",), ("a\0b",)])
def test_one_that_is_none_is_told_of(argv: tuple[str, ...]) -> None:
    found = tell([NotifySettings(command=argv)], EVENT, bounds=QUICK)
    assert found.told == ()
    assert "cannot be run (" in found.failed[0]


def test_one_that_never_ends_is_killed_with_its_children(tmp_path: Path) -> None:
    """All of them hold the pipe: there is an end to read only when none is left."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    script = (
        "import os, subprocess, sys, time\n"
        "held = os.open(sys.argv[1], os.O_WRONLY); os.set_inheritable(held, True)\n"
        "argv = [sys.executable, '-c', 'import time; time.sleep(600)']\n"
        "child = subprocess.Popen(argv, close_fds=False)\n"
        "os.write(held, b'x'); child.wait()\n"
    )
    began_s = time.monotonic()
    (said,) = tell([command(script, str(pipe))], EVENT, bounds=Bounds(total_s=1.5)).failed
    assert "was not over within 1.5 s, and was killed" in said
    assert time.monotonic() - began_s < 10
    os.set_blocking(read, True)
    assert os.read(read, 1) == b"x"  # it had started its child
    assert os.read(read, 1) == b""
    os.close(read)


# Pure


texts = st.text(max_size=20)


@given(st.datetimes(), texts, texts, texts, texts)
def test_an_event_is_the_same_in_whatever_words_and_another_in_whatever_else(
    moment: datetime, store: str, about: str, said: str, other: str
) -> None:
    occasion = moment.replace(year=2028, tzinfo=IST)  # a leap year, as the moment's may be
    event = Event("stale", store, said, "daily", occasion, about)
    again = Event("stale", store, other, "daily", occasion.astimezone(), about, {"n": 1})
    assert event.id == again.id
    others = [
        Event("token", store, said, "daily", occasion, about),
        Event("stale", store + "x", said, "daily", occasion, about),
        Event("stale", store, said, None, occasion, about),
        Event("stale", store, said, "daily", occasion + timedelta(minutes=1), about),
        Event("stale", store, said, "daily", occasion, about + "x"),
    ]
    assert len({event.id, *(each.id for each in others)}) == 6


def test_a_message_is_bounded(receive: Callable[..., Receiver]) -> None:
    receiver = receive()
    event = Event("matches", "data", "y" * 100_000, facts={"rows": ["x" * 1000] * 1_000})
    assert tell([webhook(receiver.url)], event, bounds=QUICK).failed == ()
    (message,) = receiver.messages
    assert len(message["text"]) == 4_000
    assert "left_out" in message["facts"]
