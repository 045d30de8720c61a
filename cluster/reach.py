"""Which fetchers get answers. No clock, no Ray.

One that is cut off from the provider, but not from us, or that breaks over whatever it is given, fails at
once, and so has free hands at once: it would draw all the work there is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from actors.fetcher.outcome import Delivered, Outcome, TooLong, TryAgain, Undelivered

#: So many failures since its last answer, while others are answered, are its own.
DOUBT_AFTER = 3


class Reach:
    """Outcomes in, who may be sent to out.

    A fetcher that is doubted is tried with one chunk, once others had as many answers as it has failed.
    """

    def __init__(self) -> None:
        self._answers = 0  # of all
        self._failures: Counter[str] = Counter()  # of each since its last answer
        self._try_at: dict[str, int] = {}  # so many answers of all

    def learn(self, fetcher: str, outcome: Outcome) -> None:
        """Of a request that `fetcher` has sent."""
        match outcome:
            case TryAgain():
                self.broke(fetcher)
            case Delivered() | Undelivered() | TooLong():
                self._failures[fetcher] = 0
                self._answers += 1

    def broke(self, fetcher: str) -> None:
        """It has failed, or has died, with a chunk in hand."""
        self._failures[fetcher] += 1
        self._try_at[fetcher] = self._answers + self._failures[fetcher]

    def fit(self, held: Mapping[str, int]) -> list[str]:
        """Those of fetchers that hold so many chunks; where all are doubted, it is none of theirs."""
        return [name for name in held if self._is_fit(name, held[name])] or list(held)

    def _is_fit(self, fetcher: str, held: int) -> bool:
        if self._failures[fetcher] < DOUBT_AFTER:
            return True
        return not held and self._answers >= self._try_at[fetcher]
