from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from actors.limiter.balance import Balance
from actors.limiter.clock import Reading
from actors.limiter.ledger import Ledger, RunEntry
from actors.limiter.restart import SYNC_EVERY_NS
from actors.limiter.terms import Claim, Terms, without
from actors.limiter.turns import Turn, clock_of
from actors.market.window import NS_PER_S, Window

#: A run that should be asking for a permit is left its turn for so long: its process may be late, or
#: its requests under way.
YIELD_NS = 25_000_000
#: And one that has more to send, for so long: it is slowed down by the budget, so it asks again soon.
CONTENDS_NS = 2 * NS_PER_S

#: By so many of its own permits a run may be ahead of another one's turn: to hand over takes a moment.
AHEAD_AT_MOST = 4

#: A run that has not been heard of for so long has ended, however that came.
ALIVE_NS = 10 * NS_PER_S
#: A run is heard of twice a second. In a forecast one that was killed must not linger: the same command,
#: given again at once, would be told that it waits for what it was itself.
HEARD_NS = 3 * NS_PER_S

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
            self.balance.remember(claim)
        runs = self._runs()
        if not self._free(now, claims, runs):
            return self._wait(now, claims, runs)
        durable = now.boot_ns - self._synced_ns >= SYNC_EVERY_NS
        with self._ledger.writing(durable=durable):
            decision = self._decide(now, claims)
            if isinstance(decision, Later):
                return decision
            self._put([decision])
            (claim,) = (c for c in claims if c.run_id == decision.run_id)
            permit = self.balance.book(claim.run_id, now, claim.terms.lifetime_ns)
            if self._grants % _PRUNE_EVERY == 0:
                self.balance.prune(now)
        self._grants += 1
        if durable:
            self._synced_ns = now.boot_ns
        return Granted(claim.run_id, permit)

    def announce(self, now: Reading, claim: Claim, pending: int) -> None:
        """Let others know how many requests a run has still to send."""
        with self._ledger.writing():
            self._put([replace(self._run(claim, now, self._runs()), pending=pending)])

    def runs(self, now: Reading) -> list[RunEntry]:
        """Runs that are under way, of any process, by what they have said just now."""
        return [run for run in self._runs().values() if _is_alive(run, now, HEARD_NS)]

    def limits(
        self, now: Reading, terms: Terms, runs: Iterable[RunEntry] | None = None
    ) -> tuple[Window, ...]:
        """What all runs together may fill, as a run of these terms sees it.

        The widest reserve of any run is kept free: it is the account's other programs that need it.
        """
        others = self._runs().values() if runs is None else runs
        kept = {run.reserve for run in others if run.reserve and _is_alive(run, now)}
        return without(terms.windows, {terms.reserve, *kept})

    # Deciding

    def _decide(self, now: Reading, claims: Sequence[Claim]) -> RunEntry | Later:
        """Whose turn it is, and what to write of it. Within `writing`: nobody else grants meanwhile."""
        runs = self._runs()
        late_ns = 0
        if free := self._free(now, claims, runs):  # else another process was faster
            ours = [self._joined(claim, now, runs) for claim in free]
            run = min(ours, key=lambda one: one.turn.served)
            behind = run.turn.served - AHEAD_AT_MOST * run.turn.step
            rivals = [one for one in runs.values() if one.run_id != run.run_id]
            if not any(one.turn.served < behind and _contends(one, now) for one in rivals):
                # When it last had to wait is what tells that it contends; now it has not.
                waited_ns = runs[run.run_id].wakes_at_ns if run.run_id in runs else 0
                return replace(run, turn=run.turn.after(), wakes_at_ns=waited_ns)
            late_ns = now.boot_ns + YIELD_NS
        later, changed = self._later(now, claims, runs, late_ns)
        self._put(changed)
        return later

    def _free(
        self, now: Reading, claims: Sequence[Claim], runs: dict[str, RunEntry]
    ) -> list[Claim]:
        """Those for which there is room."""
        return [
            claim
            for claim in claims
            if self.balance.free_at(now, claim, self.limits(now, claim.terms, runs.values()))
            <= now.boot_ns
        ]

    def _wait(self, now: Reading, claims: Sequence[Claim], runs: dict[str, RunEntry]) -> Later:
        later, changed = self._later(now, claims, runs)
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
        waiting = [self._joined(claim, now, runs) for claim in claims]
        changed = [run for run in waiting if _differs(run, runs.get(run.run_id))]
        return Later(max(not_before_ns, min(run.wakes_at_ns for run in waiting))), changed

    def _joined(self, claim: Claim, now: Reading, runs: dict[str, RunEntry]) -> RunEntry:
        """The run as one of those that wait."""
        run = self._run(claim, now, runs)
        limits = self.limits(now, claim.terms, runs.values())
        wakes_at_ns = self.balance.wakes_at(now, claim, limits)
        known = runs.get(claim.run_id)
        if known is None or not _waits(known, now):
            # Who needs more room than this run is no measure: it is passed by.
            by_ns = wakes_at_ns + YIELD_NS
            beside = [r.turn for r in runs.values() if _waits(r, now) and r.wakes_at_ns <= by_ns]
            run = replace(
                run, turn=run.turn.joined(clock_of(beside, (r.turn for r in runs.values())))
            )
        return replace(run, wakes_at_ns=wakes_at_ns)

    def _run(self, claim: Claim, now: Reading, runs: dict[str, RunEntry]) -> RunEntry:
        known = runs.get(claim.run_id)
        return RunEntry(
            run_id=claim.run_id,
            limiter=self._limiter,
            windows=claim.terms.windows,
            reserve=claim.terms.reserve,
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


def _waits(run: RunEntry, now: Reading) -> bool:
    """Whether it waits for a permit, as far as it has said so, or did a moment ago."""
    patience_ns = CONTENDS_NS if run.pending else YIELD_NS
    return run.seen.boot_id == now.boot_id and now.boot_ns < run.wakes_at_ns + patience_ns


def _contends(run: RunEntry, now: Reading) -> bool:
    """Whether it could use a permit now, or will in a moment."""
    return _waits(run, now) and _is_alive(run, now) and run.wakes_at_ns <= now.boot_ns


def _is_alive(run: RunEntry, now: Reading, patience_ns: int = ALIVE_NS) -> bool:
    return run.seen.boot_id == now.boot_id and now.boot_ns - run.seen.boot_ns < patience_ns
