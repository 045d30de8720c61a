"""Whose turn it is, where several runs wait for the same budget: start-time fair queueing.

A run that waits is given its part of all permits, by its priority, whatever the others do: the least
of them is never starved. Nobody saves up for later by waiting for nothing. (Goyal, Vin and Cheng,
1996.) Within a run it is first come, first served.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Priority(StrEnum):
    """What a run is for. Of two that wait, each gets permits by the ratio of their `PARTS`."""

    INTERACTIVE = "interactive"  # somebody sits and waits
    UPDATE = "update"
    BACKFILL = "backfill"


PARTS = {Priority.INTERACTIVE: 16, Priority.UPDATE: 4, Priority.BACKFILL: 1}

_ROUND = 16  # each part goes into it, so that all stays whole numbers


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a run stands. Of those that wait, the one that was `served` least is next."""

    priority: Priority
    served: int = 0  # grows with every permit, the faster the smaller the run's part

    @property
    def step(self) -> int:
        """What a permit adds."""
        return _ROUND // PARTS[self.priority]

    def joined(self, clock: int) -> Turn:
        """Once it begins to wait: it is not owed what it did not ask for before."""
        return Turn(self.priority, max(clock, self.served))

    def after(self) -> Turn:
        """Once it has been given a permit."""
        return Turn(self.priority, self.served + self.step)


def clock_of(waiting: Collection[Turn], others: Iterable[Turn]) -> int:
    """How far the service has come: where a run that joins those that wait begins."""
    if waiting:
        return min(turn.served for turn in waiting)
    return max((turn.served - turn.step for turn in others if turn.served), default=0)
