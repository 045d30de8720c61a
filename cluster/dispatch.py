"""Who fetches what next. Events in, orders out; no clock, no Ray.

A chunk is always in exactly one place:

    queued -> sent -> delivered -> done
      ^        |         |
      |        v         |  (its writer died before it committed)
      +---- waiting      |
      +---- put aside    |  (its attempts are nearly used up: see `blame`)
      +------------------+

From anywhere it is done once its receipt is committed: a fetcher's last word may get lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from actors.fetcher.outcome import (
    Delivered,
    Halted,
    Outcome,
    Throttled,
    TooLong,
    TryAgain,
    Undelivered,
    Unsent,
    Word,
)
from actors.market.chunk import Chunk
from actors.market.errors import CandlefleetError
from cluster.blame import Blame
from cluster.breaker import Outage, Strain
from cluster.orders import Errand, Order, Probe
from cluster.waiting import Waiting

#: Nothing was sent because a neighbour is away: asked again after so long, not at once.
UNSENT_PAUSE_S = 0.5


class Dispatch:
    """Moves the chunks of a plan to their receipts through fetchers and writers that may vanish."""

    def __init__(
        self,
        chunks: Iterable[Chunk],
        lanes: Mapping[str, int],
        attempts: int = 5,
        poison_after: int = 3,
    ) -> None:
        """`lanes`: how many chunks each fetcher may hold at once. `attempts`: requests a chunk may cost."""
        self._queued = deque(Errand(chunk) for chunk in chunks)
        self._owed = {errand.chunk.id for errand in self._queued}  # those without a receipt
        self._suspects: deque[Errand] = deque()  # were in hand when a fetcher broke
        self._waiting = Waiting()
        self._sent: dict[str, tuple[str, Errand]] = {}
        self._delivered: dict[str, Errand] = {}
        self._lanes = dict(lanes)
        self._free = dict(lanes)
        self._away: set[str] = set()
        self._cell: str | None = None  # the fetcher kept free for a suspect
        self._blame = Blame(attempts)
        self._poison_after = poison_after
        self._stopped = False
        self.halted: Halted | None = None
        self.trouble: CandlefleetError | None = None  # of our own making: the run cannot go on
        self.planned = len(self._queued)  # grows when a chunk is split
        self._asked = 0  # requests for chunks; those lost with their fetcher are counted as sent

    @property
    def in_flight(self) -> int:
        return len(self._sent)

    @property
    def uncommitted(self) -> int:
        return len(self._delivered)

    @property
    def pending(self) -> int:
        """Chunks that have no receipt yet."""
        return len(self._owed)

    @property
    def done(self) -> int:
        return self.planned - self.pending

    @property
    def idle(self) -> bool:
        """Nothing is in flight, and nothing will be sent unless something comes back."""
        rests = self._stopped or (self._nothing_to_send and not self._blame.undecided)
        return rests and not self._sent and not self._blame.breaker.probing

    @property
    def present(self) -> list[str]:
        """Fetchers that can be sent to."""
        return [fetcher for fetcher in self._lanes if fetcher not in self._away]

    @property
    def requests(self) -> int:
        """Sent, probes included."""
        return self._asked + self._blame.probes

    @property
    def outage(self) -> Outage | None:
        """The provider seems to fail, so that nothing but probes is sent; None: it does not."""
        return self._blame.breaker.outage

    def strain(self, now_s: float) -> Strain:
        """What the provider's failing altogether has cost so far."""
        breaker = self._blame.breaker
        return Strain(breaker.outages, breaker.lasted_s(now_s), self._blame.probes)

    def orders(self, now_s: float) -> list[Order]:
        """What to send now: as much as the fetchers have hands for, least loaded first."""
        self._requeue_all(self._waiting.take(now_s))
        if self._stopped:
            return []
        if self._blame.undecided and self._nothing_to_send and not self._sent:
            self._blame.breaker.trip(now_s)  # nothing else would show whose fault it was
        if self.outage is not None:
            return self._probe(now_s)
        orders = self._question_suspect()
        while self._queued:
            fit = self._blame.reach.fit({fetcher: self.holds(fetcher) for fetcher in self.present})
            hands = {f: self._free[f] for f in fit if f != self._cell}
            fetcher = max(hands, key=hands.__getitem__, default=None)
            if fetcher is None or hands[fetcher] <= 0:
                break
            orders.append(self._send(fetcher, self._queued.popleft()))
        return orders

    def next_wake_s(self) -> float | None:
        """When something may be sent that may not be yet."""
        if self._stopped:
            return None
        if self.outage is not None:
            return self.outage.next_try_s if self.present else None
        return self._waiting.next_s

    def settle(self, chunk: Chunk, outcome: Outcome, now_s: float) -> None:
        """A fetcher has answered for `chunk`."""
        fetcher, errand = self._take_back(chunk)
        if not isinstance(outcome, Unsent):
            # A throttled request costs no attempt: it was the budget's fault, not the chunk's.
            self._count_request(errand, attempts=not isinstance(outcome, Throttled))
        self._requeue_all(self._blame.learn(fetcher, errand, outcome, now_s))
        match outcome:
            case _ if chunk.id not in self._owed:
                pass  # its receipt was committed before this word came, whatever that says
            case Delivered(writer=writer):
                errand.writer = writer
                self._delivered[chunk.id] = errand
            case TryAgain(wait_s=wait_s):
                if not self._blame.puts_aside(errand):
                    self._waiting.put(errand, now_s + wait_s)
            case Unsent():
                self._waiting.put(errand, now_s + UNSENT_PAUSE_S)
            case TooLong():
                self._split(errand)
            case Halted():
                self.halt(outcome)
                self._requeue(errand)
            case Throttled() | Undelivered():
                self._requeue(errand)

    def probed(self, word: Word | None, now_s: float) -> None:
        """What a probe came to; None: its fetcher broke."""
        self._requeue_all(self._blame.probed(word, now_s))
        if isinstance(word, Halted):
            self.halt(word)

    def lost(self, chunk: Chunk, reason: str) -> None:
        """The fetcher broke with `chunk` in hand: both are suspected. Next time it is sent alone."""
        fetcher, errand = self._take_back(chunk)
        self._count_request(errand, attempts=1)
        self._blame.reach.broke(fetcher)
        if chunk.id not in self._owed:
            return
        if not errand.broke_its_fetcher(fetcher, self._poison_after, reason):
            self.trouble = CandlefleetError(f"no dead letter of {chunk.id} can be made: {reason}")
            self.stop()
        self._requeue(errand)

    def holds(self, fetcher: str) -> int:
        """How many chunks it has in hand."""
        return self._lanes[fetcher] - self._free[fetcher]

    def away(self, fetcher: str) -> bool:
        """Send it nothing until it is `back`. Whether that is news."""
        is_news = fetcher not in self._away
        self._away.add(fetcher)
        return is_news

    def back(self, fetcher: str) -> None:
        self._away.discard(fetcher)

    def committed(self, chunk_ids: Iterable[str], writer: str) -> set[str]:
        """The store holds receipts of these chunks; `writer` is the incarnation that says so.

        What was delivered to any other incarnation and is not among them is gone, and asked again.
        Returns the chunks whose receipts are news.
        """
        news = self._owed.intersection(chunk_ids)
        self._owed -= news
        delivered = {chunk_id for chunk_id in news if self._delivered.pop(chunk_id, None)}
        if astray := news - delivered - self._sent.keys():
            self._withdraw(astray)
        for chunk_id in [i for i, errand in self._delivered.items() if errand.writer != writer]:
            self._requeue(self._delivered.pop(chunk_id))
        return news

    def add(self, chunks: Iterable[Chunk]) -> None:
        """More to fetch, after all that is queued."""
        more = [Errand(chunk) for chunk in chunks]
        self._queued.extend(more)
        self._owe(more)

    def halt(self, reason: Halted) -> None:
        """No request of this run can succeed."""
        self.halted = self.halted or reason
        self.stop()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    def _probe(self, now_s: float) -> list[Order]:
        question = self._blame.probe(now_s) if self.present else None
        if question is None:
            return []
        # In turns: one of them may be cut off from the provider while others are not.
        return [Probe(self.present[self._blame.probes % len(self.present)], question)]

    @property
    def _nothing_to_send(self) -> bool:
        return not (self._queued or self._suspects or self._waiting)

    def _question_suspect(self) -> list[Order]:
        """Send one suspect to a fetcher that holds nothing else: should that break, it is guilty."""
        if self._cell is not None and (self._cell in self._away or not self.holds(self._cell)):
            self._cell = None
        if not self._suspects:
            return []
        self._cell = self._cell or self._cell_for(self._suspects[0])
        if self._cell is None or self.holds(self._cell):
            return []
        return [self._send(self._cell, self._suspects.popleft())]

    def _cell_for(self, suspect: Errand) -> str | None:
        """The emptiest of those it has not broken; if it has broken them all, of all."""
        others = [fetcher for fetcher in self.present if fetcher not in suspect.broke]
        return max(others or self.present, key=self._free.__getitem__, default=None)

    def _send(self, fetcher: str, errand: Errand) -> Order:
        self._free[fetcher] -= 1
        self._sent[errand.chunk.id] = (fetcher, errand)
        return errand.order(fetcher)

    def _count_request(self, errand: Errand, *, attempts: int) -> None:
        if not errand.given_up:
            self._asked += 1
            errand.attempts += attempts

    def _requeue(self, errand: Errand) -> None:
        if errand.crashes:
            self._suspects.append(errand)
        else:
            self._queued.appendleft(errand)

    def _requeue_all(self, errands: Iterable[Errand]) -> None:
        for errand in errands:
            self._requeue(errand)

    def _take_back(self, chunk: Chunk) -> tuple[str, Errand]:
        fetcher, errand = self._sent.pop(chunk.id)
        self._free[fetcher] += 1
        return fetcher, errand

    def _withdraw(self, chunk_ids: set[str]) -> None:
        """Their fetchers' words got lost on the way, not their answers: they need not be sent again."""

        def is_open(errand: Errand) -> bool:
            return errand.chunk.id not in chunk_ids

        self._queued = deque(filter(is_open, self._queued))
        self._suspects = deque(filter(is_open, self._suspects))
        self._waiting.withdraw(chunk_ids)
        self._blame.withdraw(chunk_ids)

    def _owe(self, errands: Iterable[Errand]) -> None:
        ids = {errand.chunk.id for errand in errands}
        self._owed |= ids
        self.planned += len(ids)

    def _split(self, errand: Errand) -> None:
        halves = errand.chunk.halves()
        # A single day cannot be too long: `Fetcher` has made a dead letter of it already.
        assert halves is not None
        errands = [Errand(half) for half in halves]
        self._queued.extendleft(reversed(errands))
        self._owed.remove(errand.chunk.id)
        self.planned -= 1
        self._owe(errands)
