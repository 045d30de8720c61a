from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from actors.limiter.balance import Balance
from actors.limiter.clock import Reading
from actors.limiter.ledger import Ledger, RunEntry
from actors.limiter.restart import SYNC_EVERY_NS
from actors.limiter.terms import Claim
from actors.limiter.turns import Turn, clock_of
from actors.market.window import NS_PER_S

#: Where another process's run is next, a free slot is left to it for so long after it should have woken.
YIELD_NS = 25_000_000

#: A run of another process is let before once it is behind by so many permits of ours: to hand over
#: takes a moment, so it is not done for each.
AHEAD_AT_MOST = 10

#: A run that has not been heard of for so long has ended, however that came.
ALIVE_NS = 10 * NS_PER_S

_PRUNE_EVERY = 1_000


@dataclass(frozen=True, slots=True)
class Granted:
    """A permit for a run."""

    run_id: str
    permit: int


@dataclass(frozen=True, slots=True)
class Later:
    """No permit for anybody before; then to be asked again."""

    at_ns: int


class Budget:
    """Hands out one account's permits, in turns, to the runs of this process and beside those of others.

    A grant is written before it is told, and what others have granted is read before it is decided.
    """

    def __init__(self, ledger: Ledger, name: str, limiter: str, now: Reading) -> None:
        """`limiter` names this process: runs that others serve are told by it."""
        self._ledger = ledger
        self._name = name
        self._limiter = limiter
        self._grants = 0
        # The first grant is synced: a loss of power takes only what closely follows some entry.
        self._synced_ns = now.boot_ns - SYNC_EVERY_NS
        self.balance = Balance(ledger, name, now)

    def grant(self, now: Reading, claims: Sequence[Claim]) -> Granted | Later:
        """A permit for the run whose turn it is, if there is room. The oldest claim stands first."""
        for claim in claims:
            self.balance.remember(claim.terms)
        if min(self.balance.free_at(now, claim.terms.limits) for claim in claims) > now.boot_ns:
            return self._wait(now, claims)
        durable = now.boot_ns - self._synced_ns >= SYNC_EVERY_NS
        with self._ledger.writing(durable=durable):
            decision = self._decide(now, claims)
            if isinstance(decision, Later):
                return decision
            self._put([decision])
            (claim,) = (c for c in claims if c.run_id == decision.run_id)
            entry = self.balance.book(claim.run_id, now, claim.terms.lifetime_ns)
            if self._grants % _PRUNE_EVERY == 0:
                self.balance.prune(now)
        self._grants += 1
        if durable:
            self._synced_ns = now.boot_ns
        self.balance.booked(entry, now)
        return Granted(entry.run_id, entry.permit)

    def announce(self, now: Reading, claim: Claim, pending: int) -> None:
        """Let others know how many requests a run has still to send."""
        with self._ledger.writing():
            self._put([replace(self._run(claim, now, self._runs()), pending=pending)])

    def runs(self, now: Reading) -> list[RunEntry]:
        """Runs that are under way, of any process."""
        return [run for run in self._runs().values() if _is_alive(run, now)]

    def _decide(self, now: Reading, claims: Sequence[Claim]) -> RunEntry | Later:
        """Whose turn it is, and what to write of it. Within `writing`: nobody else grants meanwhile."""
        runs = self._runs()
        free = [c for c in claims if self.balance.free_at(now, c.terms.limits) <= now.boot_ns]
        late_ns = 0
        if free:
            ours = [self._joined(claim, now, runs) for claim in free]
            run = min(ours, key=lambda one: one.turn.served)
            behind = run.turn.served - AHEAD_AT_MOST * run.turn.step
            late_ns = max(
                (
                    rival.wakes_at_ns + YIELD_NS
                    for rival in runs.values()
                    if self._is_due(rival, now) and rival.turn.served < behind
                ),
                default=0,
            )
            if not late_ns:
                return replace(run, turn=run.turn.after())
        later, changed = self._later(now, claims, runs, late_ns)
        self._put(changed)
        return later

    def _is_due(self, rival: RunEntry, now: Reading) -> bool:
        """Whether another process's run should be asking right now, and is no more than a little late."""
        return (
            rival.limiter != self._limiter
            and _is_waiting(rival, now)
            and rival.wakes_at_ns <= now.boot_ns
        )

    def _wait(self, now: Reading, claims: Sequence[Claim]) -> Later:
        later, changed = self._later(now, claims, self._runs())
        if changed:
            with self._ledger.writing():
                self._put(changed)
        return later

    def _later(
        self,
        now: Reading,
        claims: Sequence[Claim],
        runs: dict[str, RunEntry],
        not_before_ns: int = 0,
    ) -> tuple[Later, list[RunEntry]]:
        """When to ask again, and what to write down, so that others leave these runs their turns."""
        waiting = [
            replace(
                self._joined(claim, now, runs),
                wakes_at_ns=max(not_before_ns, self.balance.wakes_at(now, claim.terms.limits)),
            )
            for claim in claims
        ]
        changed = [run for run in waiting if _differs(run, runs.get(run.run_id))]
        return Later(min(run.wakes_at_ns for run in waiting)), changed

    def _joined(self, claim: Claim, now: Reading, runs: dict[str, RunEntry]) -> RunEntry:
        """The run as one of those that wait."""
        run = self._run(claim, now, runs)
        if claim.run_id in runs and _is_waiting(runs[claim.run_id], now):
            return run
        # Who waits for more room than this run needs is no measure: it is passed by.
        room_ns = self.balance.wakes_at(now, run.limits)
        beside = [
            r
            for r in runs.values()
            if _is_waiting(r, now) and self.balance.wakes_at(now, r.limits) <= room_ns
        ]
        clock = clock_of([r.turn for r in beside], (r.turn for r in runs.values()))
        return replace(run, turn=run.turn.joined(clock))

    def _run(self, claim: Claim, now: Reading, runs: dict[str, RunEntry]) -> RunEntry:
        known = runs.get(claim.run_id)
        return RunEntry(
            run_id=claim.run_id,
            limiter=self._limiter,
            windows=claim.terms.windows,
            limits=claim.terms.limits,
            turn=Turn(claim.terms.priority, known.turn.served if known else 0),
            wakes_at_ns=known.wakes_at_ns if known else 0,
            pending=known.pending if known else 0,
            seen=now,
        )

    def _runs(self) -> dict[str, RunEntry]:
        return {run.run_id: run for run in self._ledger.runs(self._name)}

    def _put(self, runs: Sequence[RunEntry]) -> None:
        for run in runs:
            self._ledger.put_run(self._name, run)


def _differs(run: RunEntry, known: RunEntry | None) -> bool:
    """Whether others would do otherwise for knowing it."""
    return known is None or (run.limiter, run.wakes_at_ns) != (known.limiter, known.wakes_at_ns)


def _is_waiting(run: RunEntry, now: Reading) -> bool:
    """Whether it waits for a permit, as far as it has said so and is not late by more than a moment."""
    return run.seen.boot_id == now.boot_id and now.boot_ns < run.wakes_at_ns + YIELD_NS


def _is_alive(run: RunEntry, now: Reading) -> bool:
    return run.seen.boot_id == now.boot_id and now.boot_ns - run.seen.boot_ns < ALIVE_NS
