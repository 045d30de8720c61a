"""What an update asks for: by itself, what decides whether there is anything; then what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from actors.market.session_days import REFERENCE_INDEX, is_weekend
from actors.market.sessions import ist_date
from actors.market.timeframe import DAILY
from actors.writer.reading import Store
from cluster.config import RunConfig
from cluster.coverage import Spans
from cluster.plan import Plan, Want, plan, wanted_days
from cluster.provider import Provider
from cluster.scan import known_of
from cluster.schedule.need import Need, Series, need, unanswered
from cluster.schedule.sessions import sessions
from cluster.wants import Wants, wants_of

_LOOK_BACK = timedelta(days=14)  # for the last session before the days in question
_ONE_REQUEST = timedelta(days=9 * 365)  # holds a decade of daily bars


class Update:
    """Plans one, in one run or in two: see `learns`."""

    def __init__(self) -> None:
        self.learns = False  # whether what was planned last is only to learn the calendar
        self.need: Need | None = None  # as it was found last

    def plan(
        self, config: RunConfig, provider: Provider, store: Store, now: datetime
    ) -> tuple[Wants, Plan]:
        """A Planner. Once it has planned to learn, it does not do so again."""
        wants = wants_of(config, provider.assets_url, provider.state_dir, now)
        held = known_of(config, provider, store)
        wanted = wanted_days(wants.wants, now)
        lacking = unanswered(wanted, held, now)
        found = self.need = need(lacking, held, sessions(store, _since(lacking, now), now))
        has_learned, self.learns = self.learns, False
        if config.today and not is_weekend(ist_date(now)):
            return wants, plan(wants.wants, held, now, today=config.today)
        if found.unknown is not None and not has_learned:
            first = min(found.unknown[0], _earliest(wanted, now))
            asked = plan([Want(REFERENCE_INDEX, DAILY, first)], held, now)
            self.learns = bool(asked.chunks)
            if self.learns:
                return wants, asked
        chosen = [
            want
            for want in wants.wants
            if (want.instrument.instrument_key, want.timeframe) in found.series
        ]
        return wants, plan(chosen, held, now, today=config.today)


def _earliest(wanted: Mapping[Series, Spans], now: datetime) -> date:
    """From when on to learn the calendar: one request holds all of it, and shows what came late."""
    first = date.fromordinal(min(spans[0][0] for spans in wanted.values()))
    return max(first, ist_date(now) - _ONE_REQUEST)


def _since(lacking: Mapping[Series, Spans], now: datetime) -> date:
    first = min((spans[0][0] for spans in lacking.values()), default=ist_date(now).toordinal())
    return date.fromordinal(first) - _LOOK_BACK
