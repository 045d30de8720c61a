from __future__ import annotations

import math
from collections.abc import Sequence

from actors.limiter.clock import Reading
from actors.limiter.ledger import Entry, Ledger, State
from actors.limiter.windows import Spending, WindowUse, hold_ns
from actors.market.window import NS_PER_S, Window

#: The disk is made to keep what was written at least so often while permits are granted.
SYNC_EVERY_NS = NS_PER_S // 2

#: Entries are kept at least so long, so that a later run may have wider windows than this one.
KEEP_NS = 3_600 * NS_PER_S

_PRUNE_EVERY = 1_000


class Budget:
    """The windows of one account, with everything already spent from them by anybody on this host.

    A grant is written before it is told, and what others have granted is read before it is decided.
    """

    def __init__(
        self, ledger: Ledger, name: str, windows: Sequence[Window], lifetime_ns: int, now: Reading
    ) -> None:
        """`lifetime_ns`: from a grant, or from giving up, until no request can arrive any more."""
        self.name = name
        self._ledger = ledger
        self._spending = Spending(windows, lifetime_ns)
        self.lifetime_ns = lifetime_ns
        self._keep_ns = max([KEEP_NS, *map(hold_ns, windows)]) + 2 * lifetime_ns
        self._seen = 0  # the last change taken note of
        self._grants = 0
        # The first grant is synced: a loss of power takes only what closely follows some entry.
        self._synced_ns = now.boot_ns - SYNC_EVERY_NS
        self._restore(now)

    @property
    def windows(self) -> tuple[Window, ...]:
        return self._spending.windows

    def grant(self, now: Reading, run_id: str) -> int | None:
        """A permit to send one request, now; None while some window has no room."""
        if self.free_at(now) > now.boot_ns:
            return None
        durable = now.boot_ns - self._synced_ns >= SYNC_EVERY_NS
        with self._ledger.writing(durable=durable):
            if self.free_at(now) > now.boot_ns:  # another process was faster
                return None
            entry = self._ledger.add(self.name, run_id, State.GRANTED, now)
            if self._grants % _PRUNE_EVERY == 0:
                self._ledger.prune(self.name, now.boot_ns - self._keep_ns)
        self._grants += 1
        if durable:
            self._synced_ns = now.boot_ns
        self._seen = entry.change
        self._spending.record(entry.permit, now.boot_ns + self.lifetime_ns, is_open=True)
        return entry.permit

    def end(self, permit: int, now: Reading) -> None:
        """The request is surely over: answered, or its connection closed before it was sent."""
        if self._amend(permit, State.ENDED, now):
            self._spending.end(permit, now.boot_ns)

    def give_up(self, permit: int, now: Reading) -> None:
        """Nobody waits for the request any more, but it may still arrive."""
        if self._amend(permit, State.GIVEN_UP, now):
            self._spending.give_up(permit, now.boot_ns)

    def free_at(self, now: Reading) -> int:
        """The earliest `boot_ns` at which a permit is granted if nothing else happens."""
        self._catch_up(now)
        return self._spending.free_at(now.boot_ns)

    def use(self, now: Reading) -> tuple[WindowUse, ...]:
        """Each window as it stands; times are `boot_ns`."""
        self._catch_up(now)
        return self._spending.use(now.boot_ns)

    def overs(self, now: Reading) -> tuple[int, ...]:
        """For every permit that counts, when it is over, in ns from now. For predictions."""
        self._catch_up(now)
        return self._spending.overs(now.boot_ns)

    def _amend(self, permit: int, state: State, now: Reading) -> bool:
        """Write it down; False: its end was told before, and the first word counts."""
        if self._spending.is_ended(permit):
            return False
        with self._ledger.writing():
            self._catch_up(now)
            entry = self._ledger.amend(self.name, permit, state, now)
        self._seen = entry.change
        return True

    def _catch_up(self, now: Reading) -> None:
        for entry in self._ledger.entries(self.name, self._seen):
            # Another boot's stamp can only come from another computer; its clocks say nothing here.
            at_ns = entry.at.boot_ns if entry.at.boot_id == now.boot_id else now.boot_ns
            self._count(entry, at_ns, now)
            self._seen = entry.change

    def _count(self, entry: Entry, at_ns: int, now: Reading) -> None:
        match entry.state:
            case State.ENDED:
                over_ns = at_ns
            case State.GIVEN_UP:
                over_ns = at_ns + self.lifetime_ns
            case State.GRANTED:
                # Whoever held it may have given it up at any moment of its life until now, and died
                # before we heard of it.
                over_ns = min(now.boot_ns, at_ns + self.lifetime_ns) + self.lifetime_ns
        is_open = entry.state is not State.ENDED
        self._spending.record(entry.permit, over_ns, is_open=is_open)

    # After a start of this process

    def _restore(self, now: Reading) -> None:
        with self._ledger.writing(durable=True):
            strangers = [
                entry
                for entry in self._ledger.entries(self.name)
                if entry.at.boot_id != now.boot_id
            ]
            if strangers:
                self._translate(strangers, now)
            self._catch_up(now)

    def _translate(self, strangers: list[Entry], now: Reading) -> None:
        """Put entries of earlier boots on this boot's clock, by the wall clock between them.

        A wall clock found set back cannot say how long ago anything was: all of it is then now.
        """
        newest_wall_ns = max(entry.at.wall_ns for entry in strangers)
        ages_ns = [
            now.wall_ns - entry.at.wall_ns if newest_wall_ns <= now.wall_ns else 0
            for entry in strangers
        ]
        for entry, age_ns in zip(strangers, ages_ns, strict=True):
            self._ledger.amend(self.name, entry.permit, entry.state, _ago(now, age_ns))
        # A computer that lost power may have lost the last writes before the next sync with it.
        lost_at = _ago(now, max(0, min(ages_ns) - SYNC_EVERY_NS))
        if now.boot_ns - lost_at.boot_ns < self._keep_ns:
            for _ in range(self._unsynced_at_most()):
                self._ledger.add(self.name, "", State.GIVEN_UP, lost_at)

    def _unsynced_at_most(self) -> int:
        """Grants the windows allow between two syncs."""
        return min(
            (w.limit * math.ceil(SYNC_EVERY_NS / w.span_ns) for w in self._spending.windows),
            default=0,
        )


def _ago(now: Reading, age_ns: int) -> Reading:
    return Reading(now.boot_id, now.boot_ns - age_ns, now.wall_ns - age_ns)
