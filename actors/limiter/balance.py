from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from statistics import median

from actors.limiter.caution import Caution, Counted
from actors.limiter.clock import Reading
from actors.limiter.ledger import Entry, Ledger, State
from actors.limiter.restart import adopt
from actors.limiter.terms import ON_ITS_WAY_NS, Claim, Terms
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


class Balance:
    """What the ledger says of one budget, by whatever process it was written.

    What is told here is written down, and counts once it has been read back: so there is one order of
    events, the ledger's, for all processes.
    """

    def __init__(self, ledger: Ledger, budget: str, now: Reading) -> None:
        self._ledger = ledger
        self._budget = budget
        self._seen = 0  # the last change taken note of
        self._spending = Spending(self._keep_ns())
        self._own: dict[str, Spending] = {}  # of runs that may not fill the windows by themselves
        self._caution = Caution()
        self._caution_text = ""
        self._latencies_ns: deque[int] = deque(maxlen=_LATENCIES)
        with ledger.writing(durable=True):
            adopt(ledger, budget, self._spending.keep_ns, now)
        self.catch_up(now)

    # What happens. `book` is within `writing`; the others see to that themselves

    def catch_up(self, now: Reading) -> None:
        """Take note of what was written."""
        for entry in self._ledger.entries(self._budget, self._seen):
            self._take(entry, now)
        written = self._ledger.caution(self._budget)
        if written is not None and written[0] != self._caution_text:
            self._caution_text = written[0]
            self._caution = Caution.from_json(written[0])

    def book(self, run_id: str, now: Reading, lifetime_ns: int) -> int:
        """A new permit."""
        self._teach(self._caution.granted(now.boot_ns, now.boot_ns + lifetime_ns), now)
        return self._ledger.add(self._budget, run_id, now, lifetime_ns)

    def end(self, permit: int, now: Reading) -> None:
        """The request was answered, with anything but a 429."""
        self._settle(
            permit, State.ENDED, now, lambda caution, granted_ns: caution.answered(granted_ns)
        )

    def withdraw(self, permit: int, now: Reading) -> None:
        """No request was sent, or surely none arrived."""
        self._settle(
            permit,
            State.WITHDRAWN,
            now,
            lambda caution, granted_ns: caution.given_up(granted_ns, now.boot_ns),
        )

    def give_up(self, permit: int, now: Reading) -> None:
        """Nobody waits for the request any more, but it may still arrive."""
        self._settle(
            permit,
            State.GIVEN_UP,
            now,
            lambda caution, granted_ns: caution.given_up(granted_ns, now.boot_ns + caution.wait_ns),
        )

    def refuse(
        self, permit: int, now: Reading, terms: Terms, retry_after_s: float | None = None
    ) -> None:
        """The provider has refused the request: our count and its own disagree."""
        self.catch_up(now)
        uses = self._spending.use(now.boot_ns, terms.windows)
        counted = tuple(Counted(use.counted, use.window) for use in uses)
        retry_after_ns = None if retry_after_s is None else round(retry_after_s * NS_PER_S)
        self._settle(
            permit,
            State.REFUSED,
            now,
            lambda caution, granted_ns: caution.refused(
                granted_ns, now.boot_ns, retry_after_ns, counted
            ),
        )

    def remember(self, claim: Claim) -> None:
        """See to it that all that counts in the claim's windows is known."""
        widest_ns = max(map(hold_ns, claim.terms.windows), default=0)
        is_apart = claim.terms.share < 1 and claim.run_id not in self._own
        if widest_ns > self._spending.keep_ns or is_apart:
            keep_ns = max(widest_ns, self._spending.keep_ns)
            runs = {*self._own, *([claim.run_id] if is_apart else [])}
            self._spending = Spending(keep_ns)
            self._own = {run_id: Spending(keep_ns) for run_id in runs}
            self._seen = 0

    def prune(self, now: Reading) -> None:
        """Forget what counts for nothing any more, in the windows of any run. Within `writing`."""
        keep_ns = max(self._keep_ns(), self._spending.keep_ns)
        self._ledger.prune(self._budget, now.boot_ns - 2 * keep_ns)

    # What it comes to. Times are `boot_ns`; `limits` bind all runs together, a share its run

    def free_at(self, now: Reading, claim: Claim, limits: Windows) -> int:
        """The earliest moment at which a permit may be granted if nothing else happens."""
        self.catch_up(now)
        room_ns = max(
            spending.free_at(now.boot_ns, self._caution.narrowed(windows, now.boot_ns))
            for spending, windows in self._bounds(claim, limits)
        )
        return max(room_ns, self._caution.free_at(now.boot_ns))

    def wakes_at(self, now: Reading, claim: Claim, limits: Windows) -> int:
        """Nothing can be granted before, whatever other processes do meanwhile.

        So asking again then, and not before, misses no slot: the end of their requests is in the
        ledger by the time it makes room.
        """
        room_ns = max(
            spending.free_at_best(now.boot_ns, self._caution.narrowed(windows, now.boot_ns))
            for spending, windows in self._bounds(claim, limits)
        )
        widens_ns = self._caution.widens_at(limits, now.boot_ns)
        if widens_ns is not None:
            room_ns = min(room_ns, widens_ns)
        allowed_ns = self._caution.free_at(now.boot_ns)
        if allowed_ns == self._caution.probe_until_ns:
            # Another process may hear at any moment what became of it.
            allowed_ns = min(allowed_ns, now.boot_ns + PROBE_LOOK_NS)
        return max(room_ns, allowed_ns)

    def narrowed(self, now: Reading, windows: Windows) -> tuple[Window, ...]:
        """As far as they are trusted now."""
        self.catch_up(now)
        return self._caution.narrowed(windows, now.boot_ns)

    def use(self, now: Reading, windows: Windows) -> tuple[WindowUse, ...]:
        self.catch_up(now)
        return self._spending.use(now.boot_ns, windows)

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
        if self._caution.is_settled:
            return None
        if self._caution.probe_until_ns > now.boot_ns:  # its answer is expected, not its death
            return now.boot_ns + self.latency_ns
        return self._caution.free_at(now.boot_ns)

    @property
    def caution(self) -> Caution:
        return self._caution

    @property
    def latency_ns(self) -> int:
        """How long a request has taken of late, from its grant until the word of its end."""
        return round(median(self._latencies_ns)) if self._latencies_ns else LATENCY_NS

    def _bounds(self, claim: Claim, limits: Windows) -> list[tuple[Spending, Windows]]:
        bounds: list[tuple[Spending, Windows]] = [(self._spending, limits)]
        if claim.run_id in self._own:
            bounds.append((self._own[claim.run_id], claim.terms.own_windows))
        return bounds

    def _keep_ns(self) -> int:
        windows = [window for run in self._ledger.runs(self._budget) for window in run.windows]
        return max([KEEP_NS, *map(hold_ns, windows)])

    def _settle(
        self,
        permit: int,
        state: State,
        now: Reading,
        teach: Callable[[Caution, int], Caution],
    ) -> None:
        """Write down what became of a request. Where its end was told before, the first word counts."""
        with self._ledger.writing():
            self.catch_up(now)
            if self._spending.is_over(permit):
                return
            granted_ns = self._spending.granted_ns(permit)
            if granted_ns is not None:
                self._teach(teach(self._caution, granted_ns), now)
            self._ledger.amend(self._budget, permit, state, now)

    def _teach(self, caution: Caution, now: Reading) -> None:
        if caution != self._caution:
            self._ledger.put_caution(self._budget, caution.as_json(), now)

    def _take(self, entry: Entry, now: Reading) -> None:
        self._seen = entry.change
        # Another boot's stamp can only come from another computer; its clocks say nothing here.
        at_ns = entry.at.boot_ns if entry.at.boot_id == now.boot_id else now.boot_ns
        granted_ns = entry.granted_ns + at_ns - entry.at.boot_ns
        over_ns = granted_ns + entry.lifetime_ns
        match entry.state:
            case State.GRANTED:
                stage = Stage.OPEN
            case State.GIVEN_UP:
                stage, over_ns = Stage.GIVEN_UP, max(over_ns, at_ns + ON_ITS_WAY_NS)
            case State.ENDED | State.REFUSED:
                stage, over_ns = Stage.OVER, at_ns
                self._latencies_ns.append(at_ns - granted_ns)
            case State.WITHDRAWN:
                stage, over_ns = Stage.OVER, at_ns
        self._spending.record(entry.permit, over_ns, stage, granted_ns)
        if entry.run_id in self._own:
            self._own[entry.run_id].record(entry.permit, over_ns, stage, granted_ns)
