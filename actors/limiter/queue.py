from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from itertools import count
from typing import Generic, TypeVar

from actors.limiter.terms import Claim, Terms

Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Place(Generic[Ticket]):
    """One caller's place in the line of its run."""

    run_id: str
    holder: str  # the fetcher that waits
    terms: Terms
    ticket: Ticket
    number: int

    @property
    def claim(self) -> Claim:
        return Claim(self.run_id, self.terms)


class Queue(Generic[Ticket]):
    """Who waits for a permit: a line for each run, first come, first served."""

    def __init__(self) -> None:
        self._numbers = count()
        self._lines: dict[str, dict[int, Place[Ticket]]] = {}

    def waiting(self, run_id: str) -> int:
        """How many of a run wait."""
        return len(self._lines.get(run_id, ()))

    def clear(self) -> list[Ticket]:
        """Take out all. Returns their tickets."""
        gone = [place.ticket for line in self._lines.values() for place in line.values()]
        self._lines.clear()
        return gone

    def join(self, run_id: str, holder: str, terms: Terms, ticket: Ticket) -> Place[Ticket]:
        """Wait at the end of the run's line."""
        place = Place(run_id, holder, terms, ticket, next(self._numbers))
        self._lines.setdefault(run_id, {})[place.number] = place
        return place

    def heads(self, paused: Container[str]) -> list[Place[Ticket]]:
        """The first of each run that is not paused, left in place; who has waited longest stands first."""
        heads = (
            next(iter(line.values()))
            for run_id, line in self._lines.items()
            if run_id not in paused
        )
        return sorted(heads, key=lambda place: place.number)

    def drop(self, place: Place[Ticket]) -> None:
        """Take it out, if it is still there."""
        line = self._lines.get(place.run_id, {})
        line.pop(place.number, None)
        if not line:
            self._lines.pop(place.run_id, None)

    def leave(self, run_id: str, holder: str | None = None) -> list[Ticket]:
        """Take out all of a run, or of one fetcher of it. Returns their tickets."""
        line = self._lines.get(run_id, {})
        gone = [place for place in line.values() if holder in {None, place.holder}]
        for place in gone:
            self.drop(place)
        return [place.ticket for place in gone]
