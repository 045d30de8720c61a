"""Works a plan off: the loop between dispatch and the fleet."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from actors.fetcher.outcome import Outcome, Unsent
from actors.limiter.terms import Terms
from actors.market.chunk import Chunk, Status
from actors.market.errors import CandlefleetError, StoreError, UsageError
from actors.market.memory import sample
from actors.writer.actor import Committed
from cluster.alarms import Alarms
from cluster.crew import Crew
from cluster.dispatch import Dispatch, Send
from cluster.interrupt import Interrupt
from cluster.journal import note
from cluster.outlook import Outlook
from cluster.patience import Patience
from cluster.standing import Standing, Totals

log = logging.getLogger(__name__)

TURN_S = 0.25  # the loop turns at least this often
LOOK_EVERY_S = 0.5  # how often monitor and limiter are asked how things stand
COMMIT_WAIT_S = 2.0  # one call to the writer waits so long for a batch to be due
ASK_AGAIN_S = 0.5  # an actor that is restarting
DRAIN_S = 45.0  # after a stop, beyond the deadline of requests under way
TIDY_WITHIN_S = 600.0
LAST_LOOK_WITHIN_S = 3.0
ANSWER_WITHIN_S = 30.0  # what `ray.wait` has named is there already


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is about, beside its chunks."""

    run_id: str
    store: str
    terms: Terms  # of the budget that most of its requests spend from
    lanes: int  # requests it has under way at once at the most
    show: Callable[[Standing], None]
    #: What else to fetch of an instrument (its key) whose history the provider has rewritten.
    again: Callable[[str], Iterable[Chunk]]


class Run:
    """One pass over a plan. Carries messages; what to do next is `Dispatch`'s to say."""

    def __init__(
        self, crew: Crew, dispatch: Dispatch, assignment: Assignment, interrupt: Interrupt
    ) -> None:
        now_s = time.monotonic()
        self._crew = crew
        self._dispatch = dispatch
        self._assignment = assignment
        self._interrupt = interrupt
        self._outlook = Outlook(now_s, assignment.lanes)
        #: Every call under way, and who takes its answer.
        self._calls: dict[Any, Callable[[Any], None]] = {}
        self._alarms = Alarms()
        self._writer: str | None = None  # the incarnation heard last
        self._patience = Patience(assignment.store, began_s=now_s)
        self._give_up_s: float | None = None  # set once the run is asked to stop
        self._refused_ns: int | None = None  # of the refusal told last
        self._trouble: CandlefleetError | None = None  # of our own making; what was fetched is kept
        self.totals = Totals()

    def work(self) -> None:
        """Until every chunk has its receipt, or the run was stopped and what was fetched is kept.

        Raises StoreError when the store cannot take what was fetched, UsageError when the budget's
        ledger or the memory limit does not let the run go on.
        """
        self._call_commit()
        self._look_around()
        while not self._over():
            now_s = time.monotonic()
            self._heed_stop(now_s)
            self._alarms.ring(now_s)
            for order in self._dispatch.orders(now_s):
                self._send(order)
            if self._dispatch.idle:
                self._crew.writer.hurry.remote()
            for ref in self._answered():
                self._calls.pop(ref)(ref)
        self._look_once_more()
        if self._trouble is not None:
            raise self._trouble
        if self._give_up_s is None:
            self._tidy()

    # What goes out

    def _send(self, order: Send) -> None:
        fetcher = self._crew.fetchers[order.fetcher]
        if order.is_poison:
            ref = fetcher.write_off.remote(order.chunk, order.crashes)
        else:
            ref = fetcher.fetch.remote(order.chunk, order.attempt)
        self._calls[ref] = partial(self._take_outcome, order)

    def _call_commit(self) -> None:
        ref = self._crew.writer.commit.remote(COMMIT_WAIT_S, self._writer)
        self._calls[ref] = self._take_commit

    def _look_around(self) -> None:
        self._alarms.set(time.monotonic() + LOOK_EVERY_S, self._look_around)
        if self._take_snapshot not in self._calls.values():
            self._calls[self._crew.monitor.snapshot.remote(sample())] = self._take_snapshot
        if self._take_use not in self._calls.values():
            self._calls[self._ask_use()] = self._take_use
        # A limiter that was restarted has forgotten both.
        if self._give_up_s is not None:
            self._crew.limiter.stop.remote(self._assignment.run_id)
        elif self._patience.paused_s is not None:
            self._crew.limiter.pause.remote(self._assignment.run_id)

    def _ask_use(self) -> Any:
        assignment, unsent = self._assignment, 0
        if self._give_up_s is None:  # a run that is stopping sends nothing more
            unsent = self._outlook.unsent(self._dispatch)
        return self._crew.limiter.use.remote(assignment.terms, assignment.run_id, unsent)

    def _answered(self) -> list[Any]:
        wake_s = self._dispatch.next_wake_s()
        wait_s = TURN_S if wake_s is None else min(TURN_S, max(0.0, wake_s - time.monotonic()))
        refs = list(self._calls)
        first, _ = ray.wait(refs, num_returns=1, timeout=wait_s)
        # `wait` stops counting at `num_returns`; ask once more for all that has come meanwhile.
        return ray.wait(refs, num_returns=len(refs), timeout=0)[0] if first else []

    # What comes back: from fetchers

    def _take_outcome(self, order: Send, ref: Any) -> None:
        try:
            outcome: Outcome = answer(ref)
        except RayActorError:
            self._miss(order.fetcher)
            self._lose(order.chunk)
        except RayTaskError:
            log.exception("fetch.broke", extra={"chunk": order.chunk.id})
            self._lose(order.chunk)
        except UsageError as error:  # the budget's ledger cannot be used
            self._trouble = error
            self._dispatch.settle(order.chunk, Unsent(str(error)), time.monotonic())
        else:
            note(log, order, outcome)
            self._dispatch.settle(order.chunk, outcome, time.monotonic())

    def _lose(self, chunk: Chunk) -> None:
        log.info("chunk.lost", extra={"chunk": chunk.id})
        self._dispatch.lost(chunk)

    def _miss(self, fetcher: str) -> None:
        if self._dispatch.away(fetcher):
            log.warning("fetcher.lost", extra={"fetcher": fetcher})
            # Before the new one can wait for anything itself.
            self._crew.limiter.abandon.remote(self._assignment.run_id, fetcher)
            self._ping(fetcher)

    def _ping(self, fetcher: str) -> None:
        ref = self._crew.fetchers[fetcher].memory.remote()
        self._calls[ref] = partial(self._take_ping, fetcher)

    def _take_ping(self, fetcher: str, ref: Any) -> None:
        try:
            answer(ref)
        except RayActorError:
            self._alarms.set(time.monotonic() + ASK_AGAIN_S, partial(self._ping, fetcher))
        else:
            log.warning("fetcher.returned", extra={"fetcher": fetcher})
            self._dispatch.back(fetcher)

    # from the writer

    def _take_commit(self, ref: Any) -> None:
        try:
            committed: Committed = answer(ref)
        except RayActorError:
            # It restarts by itself; the new one will tell what the old one had committed.
            log.warning("writer.lost", extra={"uncommitted": self._dispatch.uncommitted})
            self._alarms.set(time.monotonic() + ASK_AGAIN_S, self._call_commit)
            return
        except RayTaskError as error:
            log.exception("commit.broke")
            problem = f"committing failed: {error.cause!r}; see the run's log"
            raise StoreError(problem, self._assignment.store) from error
        self._writer, self._patience.writer_heard_s = committed.writer, time.monotonic()
        self._count(committed)
        if not self._over():  # or tidying would wait for that call
            self._call_commit()

    def _count(self, committed: Committed) -> None:
        ids = [receipt.chunk.id for receipt in committed.receipts]
        news = self._dispatch.committed(ids, committed.writer)
        for receipt in committed.receipts:
            if receipt.chunk.id not in news:
                continue
            self.totals.add(receipt)
            if receipt.status is Status.FAILED:
                log.info("chunk.failed", extra={"chunk": receipt.chunk.id, "error": receipt.error})
            if receipt.outdates is not None:
                facts = {"chunk": receipt.chunk.id, "revised": receipt.revised}
                log.info("history.rewritten", extra={**facts, "ratio": receipt.ratio})
                self._dispatch.add(self._assignment.again(receipt.chunk.instrument_key))
        if news:
            log.info("batch.committed", extra={"chunks": len(news), "rows": self.totals.rows})

    def _tidy(self) -> None:
        """Put the store in order as far as it pays; the run is done whether or not that succeeds."""
        tidied, until_s = self._crew.writer.tidy.remote(), time.monotonic() + TIDY_WITHIN_S
        while not ray.wait([tidied], timeout=TURN_S)[0] and time.monotonic() < until_s:
            if self._interrupt:
                return  # it may be cut off at any moment
        try:
            answer(tidied, 0)
        except (RayActorError, RayTaskError, GetTimeoutError, StoreError) as error:
            log.warning("store.untidy", extra={"error": str(error)})

    # from the monitor and the limiter

    def _look_once_more(self) -> None:
        """For the last line: the picture at hand is up to half a second old."""
        snapshot = self._crew.monitor.snapshot.remote(sample())
        use = self._ask_use()
        with contextlib.suppress(RayActorError, GetTimeoutError, UsageError):
            self._outlook.snapshot = answer(snapshot, LAST_LOOK_WITHIN_S)
            self._outlook.use = answer(use, LAST_LOOK_WITHIN_S)
        self._show()

    def _take_snapshot(self, ref: Any) -> None:
        try:
            self._outlook.snapshot = answer(ref)
        except RayActorError:
            return  # restarting: the old picture stands, its counters begin anew
        pause, now_s = self._outlook.pause, time.monotonic()
        if pause and self._patience.paused_s is None:
            log.warning("fleet.paused", extra={"reason": pause})
            self._patience.paused_s = now_s
        elif self._patience.paused_s is not None and not pause:
            log.warning("fleet.resumed")
            self._patience.paused_s = None
            self._crew.limiter.resume.remote(self._assignment.run_id)

    def _take_use(self, ref: Any) -> None:
        try:
            self._outlook.use = answer(ref)
        except RayActorError:
            return
        except UsageError as error:
            self._trouble = error
        else:
            self._heed_freeze()
        self._show()

    def _heed_freeze(self) -> None:
        """Say so when the provider refuses us, and do not wait for it for ever."""
        freeze, now_s = self._outlook.freeze, time.monotonic()
        self._patience.refused(now_s, None if freeze is None else freeze.lasts_s)
        if freeze is not None and freeze.asked_ns != self._refused_ns:
            self._refused_ns = freeze.asked_ns
            facts = {"own_count": freeze.counted, "next_try_s": round(freeze.next_try_s, 3)}
            log.warning("budget.frozen", extra=facts)
        if (refusal := self._patience.refusal(now_s)) is not None:
            self._dispatch.halt(refusal)

    # Stopping

    def _heed_stop(self, now_s: float) -> None:
        self._look_for_trouble(now_s)
        reason = self._reason_to_stop()
        if self._give_up_s is None and reason is not None:
            log.warning("run.stopping", extra={"reason": reason})
            self._dispatch.stop()
            self._crew.limiter.stop.remote(self._assignment.run_id)
            self._give_up_s = now_s + self._assignment.terms.timeout_s + DRAIN_S

    def _look_for_trouble(self, now_s: float) -> None:
        """Waits that would have no end."""
        if self._dispatch.present:
            self._patience.fetcher_seen_s = now_s
        trouble = self._patience.trouble(now_s, self._outlook.pause)
        if isinstance(trouble, StoreError):
            raise trouble
        self._trouble = trouble or self._trouble

    def _reason_to_stop(self) -> str | None:
        if self._dispatch.halted is not None:
            return self._dispatch.halted.reason
        return self._interrupt.signal if self._trouble is None else str(self._trouble)

    def _over(self) -> bool:
        if self._give_up_s is not None and time.monotonic() > self._give_up_s:
            log.error("run.abandoned", extra={"in_flight": self._dispatch.in_flight})
            return True
        return self._dispatch.idle and not self._dispatch.uncommitted

    def _show(self) -> None:
        notice = None
        if self._give_up_s is not None:
            notice = f"stopping: {self._reason_to_stop()}"
        elif self._outlook.frozen:
            notice = self._outlook.frozen
        elif self._outlook.pause:
            notice = f"paused: {self._outlook.pause}"
        now_s = time.monotonic()
        self._assignment.show(self._outlook.standing(self._dispatch, self.totals, notice, now_s))


def answer(ref: Any, within_s: float = ANSWER_WITHIN_S) -> Any:
    """What a call came to. Raises an actor's own error as the actor raised it."""
    try:
        return ray.get(ref, timeout=within_s)
    except RayTaskError as error:
        # Ray hands on a subclass of the error's type, made on the spot, with the traceback in its text.
        if isinstance(error.cause, CandlefleetError):
            raise error.cause from None
        raise
