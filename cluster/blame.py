"""Whose fault a failure is: the chunk's, its fetcher's, or the provider's that fails altogether.

A chunk that has one attempt left is put aside until the provider has answered something else, and so it is
once that has failed too: then it is given up. If it turns out that the provider answers nothing, it gets its
attempts back. No clock, no Ray.
"""

from __future__ import annotations

from collections.abc import Collection

from actors.fetcher.outcome import (
    Answered,
    Delivered,
    Outcome,
    TooLong,
    TryAgain,
    Undelivered,
    Unsent,
    Word,
)
from actors.market.chunk import Chunk
from cluster.breaker import Breaker
from cluster.orders import Errand, control_of
from cluster.reach import Reach


class Blame:
    """Learns from every outcome. What it returns are errands it had put aside, to be sent now."""

    def __init__(self, attempts: int) -> None:
        """`attempts`: requests a chunk may cost."""
        self._attempts = attempts
        self._failed: list[Errand] = []  # since the last answer; one may be in several times
        self._aside: list[Errand] = []
        self._question: Chunk | None = None  # for the next probe
        self.breaker = Breaker()
        self.reach = Reach()
        self.probes = 0  # sent

    @property
    def undecided(self) -> bool:
        return bool(self._aside)

    def learn(self, fetcher: str, errand: Errand, outcome: Outcome, now_s: float) -> list[Errand]:
        """Of an attempt at a chunk."""
        if errand.given_up:
            return []  # it was written off; nobody has asked the provider
        self.reach.learn(fetcher, outcome)
        match outcome:
            case TryAgain(refused=refused):
                errand.refused = refused
                self._question = control_of(errand.chunk)
                self._failed.append(errand)
                self.breaker.failed(refused, now_s)
                if self.breaker.confirmed:
                    return self._excuse()
            case Delivered() | Undelivered() | TooLong():
                if self.breaker.answered():
                    return self._hold_against_them()
        return []

    def puts_aside(self, errand: Errand) -> bool:
        """After a failure: whether it has had its attempts but the last, and nobody may send it for now."""
        if errand.held_against_it < self._attempts - 1:
            return False
        self._aside.append(errand)
        return True

    def withdraw(self, chunk_ids: Collection[str]) -> None:
        """Put none of these aside any longer: they have their receipts."""
        self._aside = [errand for errand in self._aside if errand.chunk.id not in chunk_ids]

    def probe(self, now_s: float) -> Chunk | None:
        """What to ask only to see whether the provider answers, if it is time to."""
        if not self.breaker.due(now_s):
            return None
        self.breaker.probing = True
        return self._question

    def probed(self, word: Word | None, now_s: float) -> list[Errand]:
        """What a probe came to; None: its fetcher broke."""
        self.probes += not isinstance(word, Unsent)
        match word:
            case Answered():
                self.breaker.probe_answered(now_s)
                return self._hold_against_them()
            case TryAgain(refused=refused):
                self.breaker.probe_failed(refused, now_s)
                return self._excuse()
        self.breaker.probe_lost(now_s)
        return []

    def _hold_against_them(self) -> list[Errand]:
        """The provider does answer: what failed since it last did, failed by itself."""
        self._failed.clear()
        for errand in self._aside:
            errand.given_up = errand.held_against_it >= self._attempts
        return self._release()

    def _excuse(self) -> list[Errand]:
        """The provider fails: what failed since its last answer costs no chunk an attempt."""
        for errand in self._failed:
            errand.excused += 1
        self._failed.clear()
        return self._release()

    def _release(self) -> list[Errand]:
        released, self._aside = self._aside, []
        return released
