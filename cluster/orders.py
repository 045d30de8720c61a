"""What fetchers are told to do, and what is kept of a chunk until it has its receipt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from actors.market.chunk import Cause, Chunk
from actors.upstox.limits import LANDMARKS
from actors.upstox.reply import Refused


@dataclass(frozen=True, slots=True)
class Send:
    """Give `chunk` to `fetcher`; `attempt` counts its requests from 1."""

    fetcher: str
    chunk: Chunk
    attempt: int


@dataclass(frozen=True, slots=True)
class WriteOff:
    """Have `fetcher` make a dead letter of `chunk`; no request is sent."""

    fetcher: str
    chunk: Chunk
    attempts: int  # requests it has cost
    refused: Refused  # why


@dataclass(frozen=True, slots=True)
class Probe:
    """Have `fetcher` ask for `chunk` only to see whether the provider answers; nothing is kept."""

    fetcher: str
    chunk: Chunk


Order = Send | WriteOff | Probe


@dataclass(slots=True, eq=False)
class Errand:
    """A chunk on its way to its receipt."""

    chunk: Chunk
    attempts: int = 0  # requests known to have been sent
    excused: int = 0  # those of them that failed because the provider did altogether
    crashes: int = 0  # times its fetcher broke with it in hand
    broke: set[str] = field(default_factory=set)  # those fetchers
    unwritten: int = 0  # times it broke over the dead letter of it
    writer: str = ""  # the incarnation of the writer that holds it
    refused: Refused | None = None  # what its last request came to, if that failed
    given_up: bool = False  # not to be asked for any more: to be written off

    @property
    def held_against_it(self) -> int:
        return self.attempts - self.excused

    def order(self, fetcher: str) -> Send | WriteOff:
        if self.given_up and self.refused is not None:
            return WriteOff(fetcher, self.chunk, self.attempts, self.refused)
        return Send(fetcher, self.chunk, self.attempts + 1)

    def broke_its_fetcher(self, fetcher: str, poison_after: int, reason: str) -> bool:
        """A chunk that does so again and again is poison, and given up.

        False: so does its dead letter, and there is nothing left to do with it.
        """
        self.crashes += 1
        self.broke.add(fetcher)
        if self.given_up:
            self.unwritten += 1
        elif self.crashes >= poison_after:
            message = f"it broke its fetcher {self.crashes} times, the last time: {reason}"
            self.refused = Refused(cause=Cause.POISON, message=message)
            self.given_up = True
        return self.unwritten < poison_after


def control_of(chunk: Chunk) -> Chunk:
    """The same question about an instrument that the provider is known to answer for."""
    key = next(landmark for landmark in LANDMARKS if landmark != chunk.instrument_key)
    return replace(chunk, instrument_key=key, symbol=key.partition("|")[2])
