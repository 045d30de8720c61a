"""What to do with the provider's reply to one request. Decided here, done elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from actors.limiter.terms import Fate, Settlement, Terms
from actors.market.chunk import Cause
from actors.upstox.reply import Answer, Refused


@dataclass(frozen=True, slots=True)
class RetryRules:
    """Exponential backoff with full jitter: try k waits a random part of `base_s * 2**(k-1)`."""

    base_s: float = 0.5
    cap_s: float = 30.0  # no single wait is longer, unless the provider named it


@dataclass(frozen=True, slots=True)
class Keep:
    answer: Answer


@dataclass(frozen=True, slots=True)
class Retry:
    """It may pass; whether to try again is for who knows how all the others fare."""

    wait_s: float


@dataclass(frozen=True, slots=True)
class Freeze:
    """The account's budget is used up, whatever we thought (429): nobody sends anything for now.

    Not the chunk's fault, so it costs it no attempt; and when to go on is the limiter's to say.
    """


@dataclass(frozen=True, slots=True)
class Split:
    """The provider finds the span too long: ask for its halves instead."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Asking again cannot help: the chunk is a dead letter."""


@dataclass(frozen=True, slots=True)
class Halt:
    """The provider turned the account or the client away: no request of this run can succeed."""


Verdict = Keep | Retry | Freeze | Split | GiveUp | Halt

_PASSING = frozenset(
    {
        Cause.SERVER_ERROR,
        Cause.TIMEOUT,
        Cause.CONNECTION,
        Cause.BAD_BODY,
        Cause.BODY_TOO_LARGE,  # no chunk has so many candles: it is a mistake of the server's
        Cause.REDIRECTED,  # such as to a page that says when the provider will be back
    }
)
_FATAL = frozenset({Cause.UNAUTHORIZED, Cause.BANNED})


def judge(reply: Answer | Refused, attempt: int, rules: RetryRules, chance: float) -> Verdict:
    """What to do after `attempt` (counted from 1). `chance` in [0, 1) is the jitter's draw."""
    if isinstance(reply, Answer):
        return Keep(reply)
    if reply.cause in _FATAL:
        return Halt()
    if reply.cause is Cause.RATE_LIMITED:
        return Freeze()
    if reply.cause is Cause.SPAN_TOO_LONG:
        return Split()
    if reply.cause in _PASSING:
        return Retry(
            backoff_s(attempt, rules, chance)
            if reply.retry_after_s is None
            else reply.retry_after_s
        )
    return GiveUp()


def backoff_s(attempt: int, rules: RetryRules, chance: float) -> float:
    # The exponent is capped before the power is taken: 2**5000 is no float.
    return chance * min(rules.cap_s, rules.base_s * 2.0 ** min(attempt - 1, 60))


def settled(terms: Terms, permit: int, reply: Answer | Refused) -> Settlement:
    """What the limiter is to know of the request that was sent by this permit."""
    fate = _fate(reply)
    wait_s = reply.retry_after_s if isinstance(reply, Refused) and fate is Fate.REFUSED else None
    return Settlement(terms, permit, fate, wait_s)


def _fate(reply: Answer | Refused) -> Fate:
    """Of the request that got this reply."""
    if isinstance(reply, Answer):
        return Fate.ANSWERED
    if reply.cause is Cause.RATE_LIMITED:
        return Fate.REFUSED
    if reply.http_status is not None:
        return Fate.ANSWERED
    return Fate.UNSENT if reply.unsent else Fate.GIVEN_UP
