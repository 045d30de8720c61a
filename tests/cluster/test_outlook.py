from __future__ import annotations

from datetime import UTC, date, datetime

from actors.fetcher.outcome import Delivered, TryAgain
from actors.limiter.simulate import Course
from actors.limiter.use import BudgetUse, Freeze
from actors.market.chunk import Cause, Chunk, Status
from actors.market.timeframe import Timeframe
from actors.market.window import NS_PER_S, Window
from actors.upstox.reply import Refused
from cluster.breaker import Outage
from cluster.dispatch import Dispatch
from cluster.outlook import Outlook
from cluster.standing import Totals

DAY = Timeframe.parse("1day")


def chunks(count: int) -> list[Chunk]:
    first = date(2024, 1, 1)
    return [Chunk(f"NSE_EQ|{i}", f"S{i}", DAY, first, first) for i in range(count)]


def failure() -> TryAgain:
    return TryAgain(1.0, Refused(cause=Cause.SERVER_ERROR, message="HTTP 503: no", http_status=503))


def use(*, waiting: int = 0, freeze: Freeze | None = None, not_before_ns: int = 0) -> BudgetUse:
    limits = (Window(10, NS_PER_S),)
    course = Course(not_before_ns=not_before_ns, latency_ns=NS_PER_S // 10)
    return BudgetUse(limits, (), course, freeze, 1.0, waiting)


def test_requests_that_wait_for_a_permit_or_a_thread_are_not_sent_yet() -> None:
    """100 chunks; 6 at fetchers, whose 4 threads hold 4; of these 3 wait for a permit."""
    outlook, dispatch = Outlook(0.0, lanes=4), Dispatch(chunks(100), {"fetcher-1": 6})
    orders = dispatch.orders(0.0)
    assert outlook.unsent(dispatch) == 100 - 4
    outlook.use = use(waiting=3)
    assert outlook.unsent(dispatch) == 100 - 1
    dispatch.settle(orders[0].chunk, Delivered("writer", Status.STORED, 1), 0.0)
    outlook.use = use(waiting=4)
    assert outlook.unsent(dispatch) == 100 - 1
    dispatch.committed([orders[0].chunk.id], "writer")
    assert outlook.unsent(dispatch) == 99


def test_the_end_is_predicted_from_the_budget_and_counted_down_between_looks() -> None:
    outlook, dispatch = Outlook(0.0, lanes=50), Dispatch(chunks(100), {"fetcher-1": 1})
    assert outlook.standing(dispatch, Totals(), None, 0.0).eta_s is None
    outlook.use = use()
    eta_s = outlook.standing(dispatch, Totals(), None, 1.0).eta_s
    assert eta_s is not None
    assert 9 <= eta_s <= 11
    assert outlook.standing(dispatch, Totals(), None, 3.0).eta_s == eta_s - 2
    outlook.use = use(not_before_ns=60 * NS_PER_S)
    frozen_s = outlook.standing(dispatch, Totals(), None, 10.0).eta_s
    assert frozen_s is not None
    assert frozen_s > 60 + 8


def test_while_only_answers_are_waited_for_the_budget_tells_no_end() -> None:
    """As at the very start of a small run; once all is stored there is nothing left to wait for."""
    outlook, dispatch = Outlook(0.0, lanes=4), Dispatch(chunks(2), {"fetcher-1": 2})
    outlook.use = use()
    orders = dispatch.orders(0.0)
    assert outlook.standing(dispatch, Totals(), None, 1.0).eta_s is None
    for order in orders:
        dispatch.settle(order.chunk, Delivered("writer", Status.STORED, 1), 0.0)
    assert outlook.standing(dispatch, Totals(), None, 2.0).eta_s is None
    dispatch.committed([order.chunk.id for order in orders], "writer")
    assert outlook.standing(dispatch, Totals(), None, 3.0).eta_s == 0.0


def test_in_an_outage_nobody_knows_the_end() -> None:
    outlook, dispatch = Outlook(0.0, lanes=4), Dispatch(chunks(100), {"fetcher-1": 20})
    outlook.use = use()
    orders = dispatch.orders(0.0)
    assert outlook.standing(dispatch, Totals(), None, 0.0).eta_s is not None
    for order in orders:
        dispatch.settle(order.chunk, failure(), 1.0)
    assert dispatch.outage is not None
    assert outlook.standing(dispatch, Totals(), None, 1.0).eta_s is None


def test_a_freeze_is_told_with_our_own_count_and_when_it_will_be_tried_again() -> None:
    outlook = Outlook(0.0, lanes=4)
    assert outlook.frozen is None
    at = datetime(2024, 1, 1, tzinfo=UTC)
    outlook.use = use(freeze=Freeze(5.0, 12.0, "7/50/1 s", at, 1))
    assert outlook.frozen is not None
    assert "7/50/1 s; next try in 12s" in outlook.frozen
    outlook.use = use(freeze=Freeze(5.0, 0.0, "7/50/1 s", at, 1))
    assert "one request asks" in outlook.frozen


def test_an_outage_is_told_with_its_cause_and_when_it_will_be_tried_again() -> None:
    outlook = Outlook(0.0, lanes=4)
    said = Refused(cause=Cause.SERVER_ERROR, message="HTTP 503: no", http_status=503)
    waits = Outage(said, since_s=1.0, next_try_s=18.0)
    assert outlook.failing(waits, 10.0) == "the provider fails (503); next try in 8s"
    dead = Refused(cause=Cause.BAD_BODY, message="the answer is no JSON", http_status=200)
    asks = Outage(dead, since_s=1.0, next_try_s=None)
    assert outlook.failing(asks, 10.0).startswith("the provider fails (bad body); one request asks")
