"""What somebody is to be told, and who has been. What is sent carries no token, whatever it quotes."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shlex
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from actors.market.address import checked_endpoint
from actors.market.errors import UsageError
from actors.upstox.token import DEFAULT_VARIABLE, TokenSource
from cluster.config.mistakes import JWT
from cluster.config.schedule import IN_ENVIRONMENT, NotifySettings
from cluster.config.schedule import Event as Kind
from cluster.schedule.delivery import Bounds, post, run

#: The whole of a token, its signature too.
_WHOLE_JWT = re.compile(JWT.pattern + r"[\w.-]*")
_HIDDEN = "[token]"

_SAID_CHARS = 4_000
_MAX_BYTES = 256 * 1024

#: What lets us in elsewhere is no business of a command's.
_OUR_SECRETS = frozenset(
    {
        *(DEFAULT_VARIABLE, "RAY_AUTH_TOKEN"),
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    }
)

_UNSET = "the environment does not have it"

Hide = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that somebody wants to be told, once."""

    kind: Kind
    store: str
    said: str  # for people
    job: str | None = None
    occasion: datetime | None = None
    #: Tells apart events that have all of the above in common: a screen's name, the day that is lacking.
    about: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The same for the same event when it is told again, in whatever words."""
        occasion = self.occasion and self.occasion.astimezone(UTC).isoformat()
        return _digest(json.dumps([self.kind, self.store, self.job, occasion, self.about]))


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of telling. `told` is to be kept, and shown the next time as `already`."""

    told: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()  # who could not be told, and why, in words


def tell(
    notify: Sequence[NotifySettings],
    event: Event,
    already: Collection[str] = (),
    *,
    token: TokenSource | None = None,
    bounds: Bounds | None = None,
) -> Delivered:
    """Tell everybody who wants to know and does not yet; one after the other, each within `bounds`.

    `already` are the marks that earlier calls gave, the event's own id among them once all had been
    told. Raises nothing: whom it could not tell, it says. Where a line broke after the message had been
    sent, it is sent again; the header `Idempotency-Key`, the event's id, tells that it is the same.
    """
    listeners = [listener for listener in notify if event.kind in listener.events]
    if event.id in already or not listeners:
        return Delivered()
    hide = _hiding(token or TokenSource())
    body, environment = message(event, hide), _environment(notify, hide)
    told, failed = [], []
    for listener in listeners:
        mark = f"{event.id}:{_digest(listener.webhook or shlex.join(listener.command))}"
        if mark in already:
            continue
        trouble = _deliver(listener, event, body, environment, bounds or Bounds())
        if trouble is None:
            told.append(mark)
        else:
            failed.append(f"{listener}: {trouble}")
    return Delivered((*told, *([] if failed else [event.id])), tuple(failed))


def troubles(notify: Sequence[NotifySettings]) -> list[str]:
    """Who could not be told of anything as things stand, and why; nobody is asked."""
    found = []
    for listener in notify:
        if listener.webhook is not None:
            if not _address(listener.webhook):
                found.append(f"{listener}: {_UNSET}")
        elif shutil.which(listener.command[0]) is None:
            found.append(f"{listener}: there is no such program")
    return found


def message(event: Event, hide: Hide) -> bytes:
    """The event as JSON; `text` is for people. Bounded: facts that are too many are left out."""
    said = hide(event.said)
    content = {
        "id": event.id,
        "kind": event.kind,
        "text": said if len(said) <= _SAID_CHARS else said[: _SAID_CHARS - 1] + "…",
        "job": event.job,
        "occasion": event.occasion and event.occasion.isoformat(),
        "store": hide(event.store),
        "facts": _plain(event.facts, hide),
    }
    body = json.dumps(content).encode()
    if len(body) > _MAX_BYTES:
        body = json.dumps(content | {"facts": {"left_out": f"{len(body)} bytes"}}).encode()
    return body


def _deliver(
    listener: NotifySettings,
    event: Event,
    body: bytes,
    environment: Mapping[str, str],
    bounds: Bounds,
) -> str | None:
    """Why it could not be; None if it was."""
    if listener.webhook is None:
        return run(listener.command, body + b"\n", environment, bounds.total_s)
    url = _address(listener.webhook)
    if not url:
        return _UNSET
    try:
        checked_endpoint(url)
    except ValueError as error:
        return str(error)
    return post(url, body, {"Idempotency-Key": event.id}, bounds)


def _address(webhook: str) -> str:
    """Where it is; empty if the environment is to say, and does not."""
    match = IN_ENVIRONMENT.fullmatch(webhook)
    return webhook if match is None else os.environ.get(match["name"], "").strip()


def _environment(notify: Sequence[NotifySettings], hide: Hide) -> dict[str, str]:
    """What a command sees of ours."""
    webhooks = {
        match["name"]
        for listener in notify
        if (match := IN_ENVIRONMENT.fullmatch(listener.webhook or ""))
    }
    secrets = _OUR_SECRETS | webhooks
    return {
        name: value
        for name, value in os.environ.items()
        if name not in secrets and hide(value) == value
    }


def _hiding(source: TokenSource) -> Hide:
    """Takes the token out of a text, and whatever looks like one."""
    token = None
    with suppress(UsageError):  # that there is none may be just what is to be told
        token = source.read()
    forms = () if token is None else (token, json.dumps(token)[1:-1], quote(token, safe=""))

    def hide(text: str) -> str:
        for form in forms:
            text = text.replace(form, _HIDDEN)
        return _WHOLE_JWT.sub(_HIDDEN, text)

    return hide


def _plain(value: object, hide: Hide) -> object:
    """The same in what JSON knows."""
    if isinstance(value, Mapping):
        return {hide(str(key)): _plain(inner, hide) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(inner, hide) for inner in value]
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return hide(str(value))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
