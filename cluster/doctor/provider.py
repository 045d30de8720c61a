"""Whom a config speaks to. Two requests for candles are sent, by permits like a run's."""

from __future__ import annotations

import asyncio
import calendar
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from actors.fetcher.verdict import settled
from actors.limiter.actor import Limiter
from actors.limiter.clock import read
from actors.limiter.terms import Fate, Permit, Settlement, Terms, is_stale
from actors.market.chunk import Cause
from actors.market.sessions import IST, ist_date
from actors.market.timeframe import DAILY
from actors.upstox.client import UpstoxClient
from actors.upstox.limits import INSTRUMENTS_PATH, LANDMARKS, Family
from actors.upstox.reply import Answer, Refused
from actors.upstox.token import TokenSource
from cluster.config import RunConfig
from cluster.derived import MINUTE
from cluster.doctor.finding import Finding, Grade
from cluster.download import Trouble, time_there
from cluster.provider import Provider, terms_of
from cluster.wants import wants_of
from cluster.wording import counted

PERMIT_WITHIN_S = 20.0
CLOCK_WITHIN_S = 10.0
_LANDMARK = LANDMARKS[0]
#: The exchanges are closed for a few days at the most.
_LAST_DAYS = timedelta(days=10)
_LONGEST_MONTH = 31
#: A second is lost by the header's rounding, and one on the way.
_SKEW_S = 2.0
#: Days end, bars are final and tokens expire by this computer's clock.
_MUCH_SKEW_S = 60.0
_NAMED = 5

Ask = Callable[[], Answer | Refused]


def token(source: TokenSource, now: datetime) -> Finding:
    """Raises UsageError if what is there can be no token."""
    if source.read() is None:
        return Finding("token", f"none in {source.where}; Upstox serves candles without one today")
    return judge_token(source.where, source.ends_at(), now)


def judge_token(where: str, ends: datetime | None, now: datetime) -> Finding:
    about = "token"
    if ends is None:
        return Finding(about, f"in {where}; it does not say when it ends")
    when = f"{ends.astimezone(IST):%a %d %b %Y %H:%M} IST"
    if ends <= now:
        remedy = "sign in to get another; an analytics token lasts a year"
        return Finding(about, f"in {where}; it ended {when}", Grade.PROBLEM, remedy)
    return Finding(about, f"in {where}; good until {when}")


def clock(assets_url: str, now: Callable[[], datetime]) -> Finding:
    url = f"{assets_url}{INSTRUMENTS_PATH}/NSE.json.gz"
    there = time_there(url, within_s=CLOCK_WITHIN_S)
    if isinstance(there, Trouble):
        return Finding("clock", f"not compared: {url}: {there.reason}", Grade.NOTE)
    return judge_clock((now() - there).total_seconds())


def judge_clock(ahead_s: float) -> Finding:
    """`ahead_s`: this computer's clock before the provider's; negative behind."""
    if abs(ahead_s) <= _SKEW_S:
        return Finding("clock", "as the provider's")
    way = "ahead of" if ahead_s > 0 else "behind"
    said = f"{abs(ahead_s):,.0f} s {way} the provider's"
    grade = Grade.PROBLEM if abs(ahead_s) > _MUCH_SKEW_S else Grade.NOTE
    return Finding("clock", said, grade, "let the system set it (NTP)")


def instruments(config: RunConfig, provider: Provider, now: datetime) -> Iterator[Finding]:
    """Raises UsageError if the names cannot be looked up."""
    about = "universe"
    wants = wants_of(config, provider.assets_url, provider.state_dir, now)
    for warning in wants.warnings:
        yield Finding(about, warning, Grade.NOTE)
    said = f"{counted(len(wants.instruments), 'instrument')} by the provider's lists"
    if not wants.unresolved:
        yield Finding(about, said)
        return
    names = ", ".join(each.name for each in wants.unresolved[:_NAMED])
    more = f" and {len(wants.unresolved) - _NAMED:,} more" if len(wants.unresolved) > _NAMED else ""
    grade = Grade.PROBLEM if wants.unforgiven else Grade.NOTE
    remedy = "`candlefleet universe CONFIG` says why"
    yield Finding(about, f"{said}; none for {names}{more}", grade, remedy)


def candles(config: RunConfig, provider: Provider, now: datetime) -> Iterator[Finding]:
    """Ask for the last days of an index, and if that is answered, for a whole month of its minutes.

    Raises UsageError if the ledger is unusable.
    """
    today = ist_date(now)
    with UpstoxClient(
        provider.base_url, token=provider.token, timeout_s=config.provider.timeout_s
    ) as client:
        first, last = today - _LAST_DAYS, today - timedelta(days=1)
        terms = terms_of(config, provider)[Family.HISTORICAL]
        run_id = f"doctor-{now:%Y%m%d-%H%M%S}"

        def asked(ask: Ask) -> Answer | Refused | None:
            return asyncio.run(by_permit(provider, terms, run_id, ask))

        days = asked(lambda: client.historical(_LANDMARK, DAILY, first, last))
        yield judge_days(days)
        if isinstance(days, Answer):
            month = longest_month_before(today)
            yield judge_month(asked(lambda: client.historical(_LANDMARK, MINUTE, *month)), month)


def judge_days(reply: Answer | Refused | None) -> Finding:
    """None: there was no permit."""
    about = "candles"
    match reply:
        case None:
            said = f"not asked for: the budget has no room within {PERMIT_WITHIN_S:g} s"
            return Finding(about, said, Grade.NOTE, "`candlefleet budget` says who has spent it")
        case Refused():
            return _refused(about, reply)
        case Answer(bars=bars) if not bars.num_rows:
            said = f"none came for {_LANDMARK} of the last {_LAST_DAYS.days} days"
            return Finding(about, said, Grade.NOTE)
    newest = max(bars["ts"].to_pylist())
    said = f"answered in {reply.seconds:.2f} s; the newest day is {ist_date(newest):%a %d %b %Y}"
    return Finding(about, said)


def judge_month(reply: Answer | Refused | None, month: tuple[date, date]) -> Finding:
    about, said = "reach", f"{_LONGEST_MONTH} days of 1-minute bars, {month[0]} to {month[1]}"
    match reply:
        case None:
            return Finding(about, "not asked for: the budget has no room", Grade.NOTE)
        case Refused(cause=Cause.SPAN_TOO_LONG):
            # Each such chunk is asked for in halves, once it was refused.
            problem = f"{said}, are too much for one request: {reply.message}"
            return Finding(about, problem, Grade.NOTE, "scans of minutes cost more than is planned")
        case Refused():
            return _refused(about, reply)
    return Finding(about, f"{said}, come by one request: {counted(reply.bars.num_rows, 'bar')}")


def longest_month_before(today: date) -> tuple[date, date]:
    """The last calendar month of 31 days that is over: as much as one request may ask for."""
    last = today.replace(day=1) - timedelta(days=1)
    while calendar.monthrange(last.year, last.month)[1] < _LONGEST_MONTH:
        last = last.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last


async def by_permit(
    provider: Provider, terms: Terms, run_id: str, ask: Ask
) -> Answer | Refused | None:
    """Send one request inside the budget; None: there was no room for it in time."""
    limiter = Limiter(str(provider.state_dir))
    permit = await _permit(limiter, terms, run_id)
    if permit is None:
        return None
    settlement = Settlement(terms, permit.number, Fate.GIVEN_UP)
    try:
        reply = ask()
        settlement = settled(terms, permit.number, reply)
        return reply
    finally:
        await limiter.settle([settlement])


async def _permit(limiter: Limiter, terms: Terms, run_id: str) -> Permit | None:
    try:
        async with asyncio.timeout(PERMIT_WITHIN_S):
            (permit,) = await limiter.acquire(terms, run_id, "doctor")
    except TimeoutError:
        return None
    return None if is_stale(permit, read()) else permit


def _refused(about: str, reply: Refused) -> Finding:
    status = f"HTTP {reply.http_status}: " if reply.http_status is not None else ""
    remedy = {
        Cause.UNAUTHORIZED: "renew the token",
        Cause.RATE_LIMITED: "another program spends from the account; `budget.reserve` leaves it room",
        Cause.CONNECTION: "look whether this machine reaches the provider, or needs a proxy",
    }.get(reply.cause, "")
    return Finding(about, f"{status}{reply.message}", Grade.PROBLEM, remedy)
