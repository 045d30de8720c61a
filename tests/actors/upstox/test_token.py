"""The token is read where it is kept, and shown nowhere."""

from __future__ import annotations

import base64
import json
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.market.errors import UsageError
from actors.upstox.token import ANONYMOUS, TokenSource

TOKEN = "s3cret-Token.of/some=length"


@pytest.fixture
def kept(tmp_path: Path):
    def keep(content: bytes) -> TokenSource:
        path = tmp_path / "token"
        path.write_bytes(content)
        return TokenSource.find(path)

    return keep


def jwt(claims: object, signature: str = "sig") -> bytes:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"eyJ0eXAiOiJKV1QifQ.{body}.{signature}".encode()


def test_the_environment_is_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    source = TokenSource.find(None)
    assert source.read() is None
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", f" {TOKEN}\n")
    assert source.read() == TOKEN


def test_a_file_wins_over_the_environment(kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "another")
    assert kept(TOKEN.encode() + b"\r\n").read() == TOKEN


def test_a_blank_file_is_refused_for_a_token_was_asked_for(kept) -> None:
    with pytest.raises(UsageError, match="empty"):
        kept(b" \n").read()


@pytest.mark.parametrize(
    "content",
    [
        b"two words",
        b"a\nb",
        b"a\r\nX-Header: b",
        b"a\x00b",
        b"\x1b[31m",
        "tokén".encode(),
        b"\xff\xfe",
        b"x" * 5_000,
        b"x" * 1_000_000,
    ],
)
def test_what_no_header_may_carry_is_refused_and_not_shown(kept, content: bytes) -> None:
    with pytest.raises(UsageError, match="no access token") as caught:
        kept(content).read()
    assert content.decode("latin-1")[:20] not in str(caught.value)


def test_a_file_that_cannot_be_read_is_the_users_to_mend(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UsageError, match=str(path)):
            TokenSource.find(path).read()


def test_the_source_tells_where_and_never_what(kept) -> None:
    source = kept(TOKEN.encode())
    assert source.read() == TOKEN
    shown = f"{source!r} {source} {source.where}".encode() + pickle.dumps(source)
    assert TOKEN.encode() not in shown
    assert pickle.loads(pickle.dumps(source)) == source


# The label of the account: budgets are kept under it.


def test_no_token_is_the_anonymous_account() -> None:
    assert TokenSource().account() == ANONYMOUS


def test_a_label_is_stable_and_gives_nothing_away(kept) -> None:
    label = kept(TOKEN.encode()).account()
    assert label == kept(TOKEN.encode()).account()
    assert label != kept(TOKEN.encode() + b"x").account()
    assert not any(TOKEN[i : i + 6] in label for i in range(len(TOKEN)))


def test_tomorrows_token_of_the_same_user_is_the_same_account(kept) -> None:
    today = kept(jwt({"sub": "7XBC6D", "iat": 1}, "one")).account()
    assert kept(jwt({"sub": "7XBC6D", "iat": 2}, "two")).account() == today
    assert kept(jwt({"sub": "8YCD7E", "iat": 1}, "one")).account() != today
    assert "7XBC6D" not in today


@pytest.mark.parametrize(
    "content", [b"a.b.c", b"a.!!!!.c", jwt([]), jwt({"sub": 5}), jwt({}), b"a.W1tb.c"]
)
def test_a_token_that_names_nobody_is_its_own_account(kept, content: bytes) -> None:
    label = kept(content).account()
    assert label not in (ANONYMOUS, kept(content + b"x").account())


def test_a_node_with_another_account_than_the_drivers_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its requests would be booked where they are not counted by the provider."""
    source = TokenSource()
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", TOKEN)
    drivers = source.account()
    source.refuse_others(drivers)
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "another")
    with pytest.raises(UsageError, match="has another account's") as refused:
        source.refuse_others(drivers)
    assert "another" not in str(refused.value).replace("another account's", "")
    monkeypatch.delenv("UPSTOX_ACCESS_TOKEN")
    with pytest.raises(UsageError, match="has none"):
        source.refuse_others(drivers)
    source.refuse_others(ANONYMOUS)


def test_when_it_ends_is_what_it_says(kept) -> None:
    """An access token's end, as the provider sets it: half past three in the morning, in India."""
    ends = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
    assert kept(jwt({"sub": "AB123", "exp": int(ends.timestamp())})).ends_at() == ends


@pytest.mark.parametrize(
    "claims",
    [
        *({}, {"sub": "AB123"}, {"exp": None}, {"exp": True}, {"exp": "2026-11-24"}, [1], "exp"),
        *({"exp": 10**400}, {"exp": -(10**18)}, {"exp": float("nan")}, {"exp": float("inf")}),
    ],
)
def test_of_one_that_does_not_say_it_is_not_known(kept, claims: object) -> None:
    assert kept(jwt(claims)).ends_at() is None


@given(st.binary(min_size=1, max_size=60))
def test_of_no_text_is_it_known_unless_it_says_so(content: bytes) -> None:
    body = base64.urlsafe_b64encode(content).decode().rstrip("=")
    with pytest.MonkeyPatch.context() as patch:
        for token in (body, f"a.{body}.b", f"a.{body[:-1]}.b"):
            patch.setenv("UPSTOX_ACCESS_TOKEN", token)
            assert TokenSource.find(None).ends_at() is None


def test_where_there_is_none_there_is_no_end() -> None:
    assert TokenSource.find(None).ends_at() is None
