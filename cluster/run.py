"""Works a plan off: the loop between dispatch and the fleet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

from actors.fetcher.outcome import Delivered, Halted, Outcome, TooLong, TryAgain, Unsent
from actors.fetcher.receipt import poisoned
from actors.limiter.actor import BudgetUse
from actors.limiter.terms import Terms
from actors.market.chunk import Chunk, Receipt, Status
from actors.market.errors import CandlefleetError, StoreError, UsageError
from actors.market.memory import sample
from actors.writer.store import Commit
from cluster.crew import Crew
from cluster.dispatch import Dispatch, Send
from cluster.interrupt import Interrupt
from cluster.outlook import Outlook
from cluster.standing import Standing, Totals

log = logging.getLogger(__name__)

TURN_S = 0.25  # the loop turns at least this often
LOOK_EVERY_S = 0.5  # how often monitor and limiter are asked how things stand
COMMIT_WAIT_S = 2.0  # one call to the writer waits so long for a batch to be due
PAUSE_AT_MOST_S = 60.0  # without memory coming down
WRITER_PAUSE_S = 0.5  # between calls to a writer that is restarting
ANSWER_WITHIN_S = 30.0  # for small questions to an actor
DRAIN_WITHIN_S = (
    60.0  # after a stop: for requests under way (their deadline is shorter), then the commit
)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a run is about, beside its chunks."""

    run_id: str
    terms: Terms
    show: Callable[[Standing], None]


class Run:
    """One pass over a plan. Carries messages; what to do next is `Dispatch`'s to say."""

    def __init__(
        self, crew: Crew, dispatch: Dispatch, assignment: Assignment, interrupt: Interrupt
    ) -> None:
        self._crew = crew
        self._dispatch = dispatch
        self._assignment = assignment
        self._interrupt = interrupt
        #: Every call under way, and who takes its answer.
        self._calls: dict[Any, Callable[[Any], None]] = {}
        self._committing = False
        self._commit_again_s = 0.0
        self._looking = 0
        self._look_again_s = 0.0
        self._give_up_s: float | None = None  # set once the run is asked to stop
        self._trouble: CandlefleetError | None = None  # of our own making; what was fetched is kept
        self._hurried = False
        self._outlook = Outlook(time.monotonic())
        self._paused_s: float | None = None  # since when the fleet has paused
        self.totals = Totals()

    @property
    def halted(self) -> Halted | None:
        return self._dispatch.halted

    @property
    def planned(self) -> int:
        return self._dispatch.planned

    @property
    def pending(self) -> int:
        return self._dispatch.pending

    def work(self) -> None:
        """Until every chunk has its receipt, or the run was stopped and what was fetched is kept.

        Raises StoreError when the store cannot take what was fetched, UsageError when the budget's
        ledger or the memory limit does not let the run go on.
        """
        while not self._over():
            self._heed_stop()
            for order in self._dispatch.orders(time.monotonic()):
                self._send(order)
            self._ask()
            for ref in self._answered():
                self._calls.pop(ref)(ref)
        self._show()
        if self._trouble is not None:
            raise self._trouble

    def requests(self) -> int:
        """Permits this run was granted: requests sent, or about to be when their fetcher died."""
        try:
            use: BudgetUse = ray.get(
                self._crew.limiter.use.remote(self._assignment.terms), timeout=ANSWER_WITHIN_S
            )
        except (RayActorError, GetTimeoutError):
            snapshot = self._outlook.snapshot
            return snapshot.progress.requests if snapshot else 0
        return use.granted.get(self._assignment.run_id, 0)

    # What goes out

    def _send(self, order: Send) -> None:
        ref = self._crew.fetchers[order.fetcher].fetch.remote(order.chunk, order.attempt)
        self._calls[ref] = partial(self._take_outcome, order)

    def _ask(self) -> None:
        """Keep one call to commit and, every so often, one look around under way."""
        now_s = time.monotonic()
        if self._dispatch.idle and not self._hurried:
            self._crew.writer.hurry.remote()
            self._hurried = True
        if not self._committing and now_s >= self._commit_again_s:
            self._committing = True
            self._calls[self._crew.writer.commit.remote(COMMIT_WAIT_S)] = self._take_commit
        if not self._looking and now_s >= self._look_again_s:
            self._looking, self._look_again_s = 2, now_s + LOOK_EVERY_S
            self._calls[self._crew.monitor.snapshot.remote(sample())] = self._take_snapshot
            self._calls[self._crew.limiter.use.remote(self._assignment.terms)] = self._take_use

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
            outcome: Outcome = ray.get(ref)
        except RayActorError:
            self._miss(order.fetcher)
            self._lose(order.chunk)
        except UsageError as error:  # the budget's ledger cannot be used
            self._trouble = plain(error)
            self._dispatch.settle(order.chunk, Unsent(str(error)), time.monotonic())
        except RayTaskError:
            log.exception("fetch.broke", extra={"chunk": order.chunk.id})
            self._lose(order.chunk)
        else:
            _note(order, outcome)
            self._dispatch.settle(order.chunk, outcome, time.monotonic())

    def _lose(self, chunk: Chunk) -> None:
        poison = self._dispatch.lost(chunk)
        log.warning("chunk.lost", extra={"chunk": chunk.id, "poison": poison is not None})
        if poison is not None:
            crashes, now = self._dispatch.poison_after, datetime.now(UTC)
            self._crew.writer.keep.remote(poisoned(poison, crashes, self._assignment.run_id, now))

    def _miss(self, fetcher: str) -> None:
        if self._dispatch.away(fetcher):
            log.warning("fetcher.lost", extra={"fetcher": fetcher})
            self._ping(fetcher)

    def _ping(self, fetcher: str) -> None:
        ref = self._crew.fetchers[fetcher].memory.remote()
        self._calls[ref] = partial(self._take_ping, fetcher)

    def _take_ping(self, fetcher: str, ref: Any) -> None:
        try:
            ray.get(ref)
        except RayActorError:
            self._ping(fetcher)
        else:
            log.info("fetcher.returned", extra={"fetcher": fetcher})
            self._dispatch.back(fetcher)

    # from the writer

    def _take_commit(self, ref: Any) -> None:
        self._committing = False
        try:
            commit: Commit | None = ray.get(ref)
        except RayActorError:
            self._commit_again_s = time.monotonic() + WRITER_PAUSE_S
            self._recover_writer()
        except StoreError as error:
            raise plain(error) from None
        else:
            if commit is not None:
                self._count(commit.receipts)

    def _recover_writer(self) -> None:
        """It restarts by itself. What it had committed counts; what it had only gathered is gone."""
        log.warning("writer.lost", extra={"uncommitted": self._dispatch.uncommitted})
        try:
            receipts = ray.get(self._crew.writer.receipts.remote(), timeout=ANSWER_WITHIN_S)
        except (RayActorError, GetTimeoutError):
            return  # not back yet: the next call to commit leads here again
        self._count(receipts)
        self._dispatch.writer_lost()
        self._hurried = False

    def _count(self, receipts: Sequence[Receipt]) -> None:
        news = self._dispatch.committed(r.chunk.id for r in receipts)
        for receipt in receipts:
            if receipt.chunk.id in news:
                self.totals.add(receipt)
                if receipt.status is Status.FAILED:
                    log.error(
                        "chunk.failed", extra={"chunk": receipt.chunk.id, "error": receipt.error}
                    )
        log.info("batch.committed", extra={"chunks": len(news), "rows": self.totals.rows})

    # from the monitor and the limiter

    def _take_snapshot(self, ref: Any) -> None:
        self._looking -= 1
        try:
            self._outlook.snapshot = ray.get(ref)
        except RayActorError:
            return  # restarting: the old picture stands, its counters begin anew
        pause, now_s = self._outlook.pause, time.monotonic()
        if pause:
            self._pause(pause, now_s)
        elif self._paused_s is not None:
            log.warning("fleet.resumed")
            self._paused_s = None
            self._crew.limiter.resume.remote(self._assignment.run_id)

    def _pause(self, reason: str, now_s: float) -> None:
        # Told anew at every look: a limiter that was restarted has forgotten it.
        self._crew.limiter.pause.remote(self._assignment.run_id)
        if self._paused_s is None:
            log.warning("fleet.paused", extra={"reason": reason})
            self._paused_s = now_s
        elif now_s - self._paused_s > PAUSE_AT_MOST_S:
            # Nothing is under way any more that could free memory: it would pause for ever.
            self._trouble = UsageError(f"memory does not come down: {reason}", "memory.limit_mb")

    def _take_use(self, ref: Any) -> None:
        self._looking -= 1
        try:
            self._outlook.use = ray.get(ref)
        except RayActorError:
            return
        self._show()

    # Stopping

    def _heed_stop(self) -> None:
        reason = self._reason_to_stop()
        if self._give_up_s is None and reason is not None:
            log.warning("run.stopping", extra={"reason": reason})
            self._dispatch.stop()
            self._crew.limiter.stop.remote(self._assignment.run_id)
            self._give_up_s = time.monotonic() + DRAIN_WITHIN_S

    def _reason_to_stop(self) -> str | None:
        if self.halted is not None:
            return self.halted.reason
        return self._interrupt.signal if self._trouble is None else str(self._trouble)

    def _over(self) -> bool:
        if self._give_up_s is not None and time.monotonic() > self._give_up_s:
            log.error("run.abandoned", extra={"in_flight": self._dispatch.in_flight})
            return True
        return self._dispatch.idle and not self._dispatch.uncommitted

    def _show(self) -> None:
        now_s = time.monotonic()
        self._assignment.show(
            self._outlook.standing(self._dispatch, self.totals, self._notice(), now_s)
        )

    def _notice(self) -> str | None:
        if self._give_up_s is not None:
            return f"stopping: {self._reason_to_stop()}"
        return f"paused: {self._outlook.pause}" if self._outlook.pause else None


def plain(error: CandlefleetError) -> CandlefleetError:
    """The error as the actor raised it; Ray hands on a subclass of its type, made on the spot."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, CandlefleetError) else error


def _note(order: Send, outcome: Outcome) -> None:
    """One line per attempt; only what went wrong is worth more than DEBUG."""
    facts = {"chunk": order.chunk.id, "attempt": order.attempt}
    match outcome:
        case Delivered(rows=rows, status=status):
            log.debug("chunk.delivered", extra={**facts, "rows": rows, "status": status})
        case TryAgain(wait_s=wait_s, cause=cause, error=error):
            log.info(
                "chunk.retried", extra={**facts, "wait_s": wait_s, "cause": cause, "error": error}
            )
        case TooLong():
            log.info("chunk.split", extra=facts)
        case _:
            log.info("chunk.unfinished", extra={**facts, "outcome": repr(outcome)})
