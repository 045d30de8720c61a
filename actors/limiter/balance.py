from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from actors.limiter.caution import FORGOTTEN_AFTER_SPANS, Caution, Counted
from actors.limiter.clock import Reading
from actors.limiter.ledger import Entry, Ledger, State
from actors.limiter.restart import adopt
from actors.limiter.terms import ON_ITS_WAY_NS, Terms
from actors.limiter.windows import Spending, Stage, WindowUse, hold_ns
from actors.market.window import NS_PER_S, Window

#: Entries are kept at least so long, so that a later run may have wider windows than this one.
KEEP_NS = 3_600 * NS_PER_S

#: How soon the end of another process's probe is noticed.
PROBE_LOOK_NS = NS_PER_S // 4

#: Taken for the time a request takes, until some have been answered.
LATENCY_NS = NS_PER_S // 5
_LATENCIES = 100

Windows = Sequence[Window]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429, and what we had counted ourselves when it came."""

    at: Reading
    counted: tuple[Counted, ...]


class Balance:
    """What the ledger says of one budget, by whatever process it was written."""

    def __init__(self, ledger: Ledger, budget: str, now: Reading) -> None:
        self._ledger = ledger
        self._budget = budget
        self._seen = 0  # the last change taken note of
        self._spending = Spending(KEEP_NS)
        self._caution = Caution()
        self._latencies_ns: deque[int] = deque(maxlen=_LATENCIES)
        self.refusal: Refusal | None = None  # the last
        with ledger.writing(durable=True):
            adopt(ledger, budget, KEEP_NS, now)
        self.catch_up(now)

    # What happens

    def catch_up(self, now: Reading) -> None:
        """Take note of what others have written."""
        for entry in self._ledger.entries(self._budget, self._seen):
            self._take(entry, now)

    def book(self, run_id: str, now: Reading, lifetime_ns: int) -> Entry:
        """Write down a new permit, all before it taken note of. Within `writing`.

        It is not counted here before `booked` says that it stands on the disk.
        """
        return self._ledger.add(self._budget, run_id, now, lifetime_ns)

    def booked(self, entry: Entry, now: Reading) -> None:
        self._take(entry, now)

    def end(self, permit: int, now: Reading) -> None:
        """The request is surely over: answered, or its connection closed before it was sent."""
        self._settle(permit, State.ENDED, now)

    def give_up(self, permit: int, now: Reading) -> None:
        """Nobody waits for the request any more, but it may still arrive."""
        self._settle(permit, State.GIVEN_UP, now)

    def refuse(
        self, permit: int, now: Reading, terms: Terms, retry_after_s: float | None = None
    ) -> None:
        """The provider has refused the request: our count and its own disagree."""
        retry_after_ns = None if retry_after_s is None else round(retry_after_s * NS_PER_S)
        uses = self._spending.use(now.boot_ns, terms.windows)
        counted = tuple(Counted(use.counted, use.window) for use in uses)
        self._settle(permit, State.REFUSED, now, retry_after_ns, counted)

    def remember(self, terms: Terms) -> None:
        """See to it that all that counts in the windows is known."""
        widest_ns = max(map(hold_ns, terms.windows), default=0)
        if widest_ns > self._spending.keep_ns:
            self._spending = Spending(widest_ns)
            self._caution = Caution()
            self._seen = 0

    def prune(self, now: Reading) -> None:
        """Forget what counts for nothing any more. Within `writing`."""
        settled_ns = now.boot_ns - 2 * self._spending.keep_ns
        regained_ns = now.boot_ns - FORGOTTEN_AFTER_SPANS * self._spending.keep_ns
        self._ledger.prune(self._budget, settled_ns, regained_ns)

    # What it comes to; times are `boot_ns`

    def free_at(self, now: Reading, limits: Windows) -> int:
        """The earliest moment at which a permit may be granted if nothing else happens."""
        self.catch_up(now)
        trusted = self._caution.narrowed(limits, now.boot_ns)
        return max(self._spending.free_at(now.boot_ns, trusted), self._caution.free_at(now.boot_ns))

    def wakes_at(self, now: Reading, limits: Windows) -> int:
        """Nothing can be granted before, whatever other processes do meanwhile.

        So asking again then, and not before, misses no slot: the end of their requests is in the
        ledger by the time it makes room.
        """
        trusted = self._caution.narrowed(limits, now.boot_ns)
        room_ns = self._spending.free_at_best(now.boot_ns, trusted)
        widens_ns = self._caution.widens_at(limits, now.boot_ns)
        if widens_ns is not None:
            room_ns = min(room_ns, widens_ns)
        allowed_ns = self._caution.free_at(now.boot_ns)
        if allowed_ns == self._caution.probe_until_ns:
            # Another process may hear at any moment what became of it.
            allowed_ns = min(allowed_ns, now.boot_ns + PROBE_LOOK_NS)
        return max(room_ns, allowed_ns)

    def use(self, now: Reading, terms: Terms) -> tuple[WindowUse, ...]:
        """What the run of `terms` may fill, as far as it is trusted now."""
        self.remember(terms)
        self.catch_up(now)
        return self._spending.use(now.boot_ns, self._caution.narrowed(terms.limits, now.boot_ns))

    def overs(self, now: Reading) -> tuple[int, ...]:
        """For every permit that counts, when it is over, in ns from now. For predictions."""
        self.catch_up(now)
        return self._spending.overs(now.boot_ns, self.latency_ns)

    def counting(self, now: Reading, window: Window) -> list[int]:
        """The permits that count in a window now."""
        self.catch_up(now)
        return self._spending.counting(now.boot_ns, window)

    def frozen_until(self, now: Reading) -> int | None:
        """Before this nothing is sent, since requests are refused; None: they are not."""
        self.catch_up(now)
        return None if self._caution.is_settled else self._caution.free_at(now.boot_ns)

    def refused_since(self) -> int | None:
        """Since when every request has been refused; None: they are not."""
        return self._caution.began_ns()

    @property
    def latency_ns(self) -> int:
        """How long a request has taken of late, from its grant until the word of its end."""
        return round(median(self._latencies_ns)) if self._latencies_ns else LATENCY_NS

    def _settle(
        self,
        permit: int,
        state: State,
        now: Reading,
        retry_after_ns: int | None = None,
        counted: tuple[Counted, ...] = (),
    ) -> None:
        """Write down what became of a request. Where its end was told before, the first word counts."""
        if self._spending.is_over(permit):
            return
        with self._ledger.writing():
            self.catch_up(now)
            entry = self._ledger.amend(
                self._budget, permit, state, now, retry_after_ns=retry_after_ns, counted=counted
            )
        self._take(entry, now)

    def _take(self, entry: Entry, now: Reading) -> None:
        """Take note of an entry, ours or another's."""
        self._seen = entry.change
        # Another boot's stamp can only come from another computer; its clocks say nothing here.
        at_ns = entry.at.boot_ns if entry.at.boot_id == now.boot_id else now.boot_ns
        granted_ns = entry.granted_ns + at_ns - entry.at.boot_ns
        over_ns = granted_ns + entry.lifetime_ns
        match entry.state:
            case State.GRANTED:
                self._spending.record(entry.permit, over_ns, Stage.OPEN)
                self._caution = self._caution.granted(granted_ns, over_ns)
            case State.GIVEN_UP:
                over_ns = max(over_ns, at_ns + ON_ITS_WAY_NS)
                self._spending.record(entry.permit, over_ns, Stage.GIVEN_UP)
                self._caution = self._caution.given_up(granted_ns, at_ns)
            case State.ENDED:
                self._spending.record(entry.permit, at_ns, Stage.OVER)
                self._caution = self._caution.answered(granted_ns)
                self._latencies_ns.append(at_ns - granted_ns)
            case State.REFUSED:
                self._spending.record(entry.permit, at_ns, Stage.OVER)
                self._caution = self._caution.refused(
                    granted_ns, at_ns, entry.retry_after_ns, entry.counted
                )
                self.refusal = Refusal(entry.at, entry.counted)
