"""Where a fetcher's threads meet to ask the limiter: one of them asks for all that wait."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from actors.limiter.terms import Permit, Settlement, Terms

#: So many permits are asked for; at least one comes back, or none if there will be no more.
Ask = Callable[[Terms, int], Sequence[Permit]]
Tell = Callable[[Sequence[Settlement]], None]


@dataclass(slots=True, eq=False)
class _Caller:
    """A thread that waits."""

    called: threading.Event = field(default_factory=threading.Event)
    permit: Permit | None = None
    error: Exception | None = None
    leads: bool = False  # to ask next, for all that wait by then


class Desk:
    """Makes many threads' calls into few: while one call is under way, the next ones gather.

    `ask` and `tell` are bounded in time; what they raise reaches every thread that they were for.
    """

    def __init__(self, ask: Ask, tell: Tell, within_s: float) -> None:
        """`within_s`: no thread waits longer than this for its turn."""
        self._ask = ask
        self._tell = tell
        self._within_s = within_s
        self._lock = threading.Lock()
        self._lines: dict[Terms, list[_Caller]] = defaultdict(list)
        self._settled: list[Settlement] = []
        self._is_telling = False

    def permit(self, terms: Terms) -> Permit | None:
        """A permit; None if there will be no more. First come, first served.

        Raises TimeoutError, and what `ask` raises.
        """
        me = _Caller()
        with self._lock:
            line = self._lines[terms]
            line.append(me)
            me.leads = line[0] is me
        if not me.leads and not me.called.wait(self._within_s) and self._leave(terms, me):
            raise TimeoutError(f"no permit in {self._within_s:g} s")
        if me.leads:
            self._lead(terms)
        if me.error is not None:
            raise me.error
        return me.permit

    def settle(self, settlement: Settlement) -> None:
        """Let the limiter know, soon."""
        with self._lock:
            self._settled.append(settlement)
            if self._is_telling:
                return
            self._is_telling = True
        try:
            while some := self._next_settled():
                self._tell(some)
        except BaseException:
            with self._lock:
                self._is_telling = False
            raise

    def _next_settled(self) -> list[Settlement]:
        with self._lock:
            some, self._settled = self._settled, []
            self._is_telling = bool(some)
        return some

    def _lead(self, terms: Terms) -> None:
        """Ask for everybody in the line; who leads stands first, and so is served."""
        with self._lock:
            asking = list(self._lines[terms])
        permits: list[Permit | None] = []
        error: Exception | None = None
        try:
            permits += self._ask(terms, len(asking))
        except Exception as caught:  # noqa: BLE001  # raised in every thread it was for
            error = caught
        permits = permits or [None] * len(asking)
        served = asking[: len(permits)]
        with self._lock:
            for caller, permit in zip(served, permits, strict=True):
                caller.permit, caller.error = permit, error
            line = self._lines[terms] = [c for c in self._lines[terms] if c not in served]
            if line:
                line[0].leads = True
        for caller in [*served, *line[:1]]:
            caller.called.set()

    def _leave(self, terms: Terms, me: _Caller) -> bool:
        """Whether it was still waiting. If not, it was called this very moment."""
        with self._lock:
            line = self._lines[terms]
            if me.leads or me not in line:
                return False
            line.remove(me)
            return True
