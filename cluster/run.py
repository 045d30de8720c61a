"""Works a plan off: the loop between dispatch and the fleet."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayTaskError

from actors.fetcher.actor import probes_of
from actors.fetcher.outcome import Outcome, Unsent, Word
from actors.market.errors import CandlefleetError, StoreError, UsageError
from actors.market.memory import sample
from actors.writer.actor import Committed
from cluster.alarms import Alarms
from cluster.assignment import Assignment
from cluster.calls import ASK_AGAIN_S, Gone, answer, did_not_start, never_started
from cluster.crew import Crew
from cluster.dispatch import Dispatch
from cluster.harvest import Harvest
from cluster.interrupt import Interrupt
from cluster.journal import note
from cluster.mover import Mover
from cluster.orders import Order, Probe, Send, WriteOff
from cluster.outlook import Outlook
from cluster.patience import Patience
from cluster.presence import Presence
from cluster.watch import Watch

log = logging.getLogger(__name__)

TURN_S = 0.25  # the loop turns at least this often
LOOK_EVERY_S = 0.5  # how often monitor and limiter are asked how things stand
COMMIT_WAIT_S = 2.0  # one call to the writer waits so long for a batch to be due
DRAIN_S = 45.0  # after a stop, beyond the deadline of requests under way
TIDY_WITHIN_S = 600.0
LAST_LOOK_WITHIN_S = 3.0


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
        patience = Patience(assignment.store, now_s, assignment.outage_at_most_s)
        self._watch = Watch(dispatch, self._outlook, patience, interrupt)
        #: Every call under way, and who takes its answer.
        self._calls: dict[Any, Callable[[Any], None]] = {}
        self._alarms = Alarms()
        self._presence = Presence(crew, dispatch, self._alarms, self._calls.__setitem__)
        self._writer: str | None = None  # the incarnation heard last
        self._paused = False  # as the limiter was told last
        self._give_up_s: float | None = None  # set once the run is asked to stop
        self._harvest = Harvest(dispatch, assignment.again, assignment.heard)
        self.totals = self._harvest.totals

    def work(self) -> None:
        """Until every chunk has its receipt, or the run was stopped and what was fetched is kept.

        Raises StoreError when the store cannot take what was fetched, UsageError when the budget's
        ledger or a node's token does not let the run go on.
        """
        self._call_commit()
        self._look_around()
        Mover(self._crew, self._dispatch, self._alarms, self._presence.ask).begin()
        while not self._over():
            now_s = time.monotonic()
            self._heed_stop(now_s)
            self._heed_pause()
            self._alarms.ring(now_s)
            for order in self._dispatch.orders(now_s):
                self._send(order)
            if self._dispatch.idle:
                self._crew.writer.hurry.remote()
            for ref in self._answered():
                self._calls.pop(ref)(ref)
        self._look_once_more()
        if self._watch.trouble is not None:
            raise self._watch.trouble
        if self._give_up_s is None:
            self._tidy()

    # What goes out

    def _send(self, order: Order) -> None:
        fetcher = self._crew.fetchers[order.fetcher]
        match order:
            case Send():
                ref = fetcher.fetch.remote(order.chunk, order.attempt)
                self._calls[ref] = partial(self._take_outcome, order)
            case WriteOff():
                ref = fetcher.write_off.remote(order.chunk, order.refused, order.attempts)
                self._calls[ref] = partial(self._take_outcome, order)
            case Probe():
                ref = fetcher.probe.remote(order.chunk)
                self._calls[ref] = partial(self._take_probe, order)

    def _call_commit(self) -> None:
        ref = self._crew.writer.commit.remote(COMMIT_WAIT_S, self._writer)
        self._calls[ref] = self._take_commit

    def _look_around(self) -> None:
        if self._assignment.is_lost():
            raise CandlefleetError("the Ray cluster has died; the same command goes on from here")
        self._alarms.set(time.monotonic() + LOOK_EVERY_S, self._look_around)
        if self._take_snapshot not in self._calls.values():
            self._calls[self._crew.monitor.snapshot.remote(sample())] = self._take_snapshot
        if self._take_use not in self._calls.values():
            self._calls[self._ask_use()] = self._take_use
        # A limiter that was restarted has forgotten it, and a word may get lost.
        if self._give_up_s is not None:
            self._stop_permits()
        else:
            self._tell_limiter()

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

    def _take_outcome(self, order: Send | WriteOff, ref: Any) -> None:
        try:
            outcome: Outcome = answer(ref)
        except Gone:
            self._presence.missed(order.fetcher)
            self._lose(order, "its process died")
        except RayTaskError as error:
            log.exception("fetch.broke", extra={"chunk": order.chunk.id})
            self._lose(order, f"{type(error.cause).__name__}; see the run's log")
        except UsageError as error:  # the budget's ledger, or its node's token
            self._watch.trouble = error
            self._dispatch.settle(order.chunk, Unsent(str(error)), time.monotonic())
        else:
            note(log, order, outcome)
            self._dispatch.settle(order.chunk, outcome, time.monotonic())

    def _take_probe(self, order: Probe, ref: Any) -> None:
        word: Word | None = None
        try:
            word = answer(ref)
        except Gone:
            self._presence.missed(order.fetcher)
        except RayTaskError:
            log.exception("fetch.broke", extra={"chunk": order.chunk.id})
        except UsageError as error:
            self._watch.trouble = error
        log.info("provider.probed", extra={"chunk": order.chunk.id, "word": str(word)})
        self._dispatch.probed(word, time.monotonic())

    def _lose(self, order: Send | WriteOff, reason: str) -> None:
        facts = {"chunk": order.chunk.id, "fetcher": order.fetcher, "reason": reason}
        log.info("chunk.lost", extra=facts)
        self._dispatch.lost(order.chunk, reason)

    # from the writer

    def _take_commit(self, ref: Any) -> None:
        try:
            committed: Committed = answer(ref)
        except Gone as error:
            if never_started(error):
                raise did_not_start("writer", error) from error
            # It restarts by itself; the new one will tell what the old one had committed. And so will the
            # old one, if it was only its word that got lost.
            self._writer = None
            log.warning("writer.lost", extra={"uncommitted": self._dispatch.uncommitted})
            self._alarms.set(time.monotonic() + ASK_AGAIN_S, self._call_commit)
            return
        except RayTaskError as error:
            log.exception("commit.broke")
            problem = f"committing failed: {error.cause!r}; see the run's log"
            raise StoreError(problem, self._assignment.store) from error
        self._writer = committed.writer
        self._watch.writer_heard(time.monotonic())
        self._harvest.gather(committed)
        if not self._over():  # or tidying would wait for that call
            self._call_commit()

    def _tidy(self) -> None:
        """Put the store in order as far as it pays; the run is done whether or not that succeeds."""
        self._crew.dismiss_fetchers()
        tidied, until_s = self._crew.writer.tidy.remote(), time.monotonic() + TIDY_WITHIN_S
        while not ray.wait([tidied], timeout=TURN_S)[0] and time.monotonic() < until_s:
            if self._interrupt:
                return  # it may be cut off at any moment
        try:
            answer(tidied, 0)
        except (*Gone, RayTaskError, GetTimeoutError, StoreError) as error:
            log.warning("store.untidy", extra={"error": str(error)})

    # from the monitor and the limiter

    def _look_once_more(self) -> None:
        """For the last line: the picture at hand is up to half a second old."""
        snapshot = self._crew.monitor.snapshot.remote(sample())
        use = self._ask_use()
        with contextlib.suppress(*Gone, GetTimeoutError, UsageError):
            self._outlook.snapshot = answer(snapshot, LAST_LOOK_WITHIN_S)
            self._outlook.use = answer(use, LAST_LOOK_WITHIN_S)
        self._show()

    def _take_snapshot(self, ref: Any) -> None:
        try:
            self._watch.see(answer(ref))
        except Gone as error:  # restarting: the old picture stands
            if never_started(error):  # and nobody watches the memory any more
                self._watch.trouble = self._watch.trouble or did_not_start("monitor", error)

    def _take_use(self, ref: Any) -> None:
        try:
            self._watch.heed_freeze(answer(ref), time.monotonic())
        except Gone:
            return
        except UsageError as error:
            self._watch.trouble = error
        self._show()

    # Pausing and stopping

    def _heed_pause(self) -> None:
        """Chunks that fetchers have in hand wait for their permits; probes go on."""
        if self._watch.paused == self._paused:
            return
        self._paused = self._watch.paused
        self._tell_limiter()

    def _tell_limiter(self) -> None:
        limiter, run_id = self._crew.limiter, self._assignment.run_id
        (limiter.pause if self._paused else limiter.resume).remote(run_id)

    def _heed_stop(self, now_s: float) -> None:
        self._watch.look(now_s)
        reason = self._watch.reason_to_stop
        if self._give_up_s is None and reason is not None:
            log.warning("run.stopping", extra={"reason": reason})
            self._watch.stopping = True
            self._dispatch.stop()
            self._stop_permits()
            self._give_up_s = now_s + self._assignment.terms.timeout_s + DRAIN_S

    def _stop_permits(self) -> None:
        run_id = self._assignment.run_id
        for name in (run_id, probes_of(run_id)):
            self._crew.limiter.stop.remote(name)

    def _over(self) -> bool:
        if self._give_up_s is not None and time.monotonic() > self._give_up_s:
            log.error("run.abandoned", extra={"in_flight": self._dispatch.in_flight})
            return True
        return self._dispatch.idle and not self._dispatch.uncommitted

    def _show(self) -> None:
        self._assignment.show(self._watch.standing(self.totals, time.monotonic()))
