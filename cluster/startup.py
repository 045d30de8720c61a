"""What to say of actors that are slow to start. No clock, no Ray."""

from __future__ import annotations

from collections.abc import Sequence

from actors.market.errors import CandlefleetError

#: New processes, imports included: on a busy laptop that has taken ten seconds, on a crowded one a minute.
START_WITHIN_S = 180.0
SAY_AFTER_S = 10.0  # and then whenever it has lasted twice as long
NAMED = 3  # of those that are waited for; there may be hundreds


class Startup:
    """How long the actors of a run have been waited for."""

    def __init__(self, began_s: float) -> None:
        self._began_s = began_s
        self._say_after_s = SAY_AFTER_S

    def look(self, now_s: float, waiting: Sequence[str]) -> str | None:
        """Whom to name now as waited for, if it is time. Raises CandlefleetError when it is too late."""
        lasted_s = now_s - self._began_s
        if lasted_s > START_WITHIN_S:
            problem = (
                f"{_named(waiting)} did not start in {START_WITHIN_S:g} s: the machine may be busy or short "
                "of memory; try again when it is not, or with fewer in `fleet.fetchers`"
            )
            raise CandlefleetError(problem)
        if lasted_s < self._say_after_s:
            return None
        while self._say_after_s <= lasted_s:
            self._say_after_s *= 2
        return _named(waiting)


def _named(waiting: Sequence[str]) -> str:
    """`writer, fetcher-1, fetcher-2 and 5 more`."""
    named, more = ", ".join(waiting[:NAMED]), len(waiting) - NAMED
    return f"{named} and {more} more" if more > 0 else named
