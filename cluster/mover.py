from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from typing import Protocol

from actors.market.errors import CandlefleetError
from cluster.alarms import Alarms
from cluster.dispatch import Dispatch

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
#: Ray would end our process without a word after a minute.
HEADLESS_AT_MOST_S = 20.0
#: After a move, and twice as long after each further one: Ray may have put the fetcher elsewhere all the
#: same, and each move costs its start.
REST_S = 5.0
REST_AT_MOST_S = 60.0


class Movable(Protocol):
    """What is asked of a crew."""

    @property
    def unheard(self) -> Collection[str]: ...

    def head_answers(self) -> bool: ...

    def move_due(self) -> tuple[str, str] | None: ...

    def hush(self, fetcher: str) -> None: ...

    def move(self, fetcher: str, node: str) -> bool: ...


class Mover:
    """Watches the cluster's nodes, and ends the run when their head is gone.

    A node that has joined is given a fetcher of one that has several, once that has nothing in hand.
    """

    def __init__(
        self,
        crew: Movable,
        dispatch: Dispatch,
        alarms: Alarms,
        moved: Callable[[str], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`moved` is handed the name of a fetcher that starts anew."""
        self._clock_s = clock_s
        self._crew = crew
        self._dispatch = dispatch
        self._alarms = alarms
        self._moved = moved
        self._under_way: tuple[str, str] | None = None
        self._headless_since_s: float | None = None
        self._rest_s = REST_S

    def begin(self) -> None:
        """From now on, look. Fetchers that are still starting are sent nothing until they say where."""
        for fetcher in self._crew.unheard:
            self._dispatch.away(fetcher)
            self._moved(fetcher)
        self.look()

    def look(self) -> None:
        """Raises CandlefleetError once the head has been away for too long."""
        has_head = self._crew.head_answers()
        self._heed_head(has_head, self._clock_s())
        wait_s = LOOK_EVERY_S
        if has_head and self._move():
            wait_s = self._rest_s
            self._rest_s = min(REST_AT_MOST_S, 2 * self._rest_s)
        self._alarms.set(self._clock_s() + wait_s, self.look)

    def _heed_head(self, has_head: bool, now_s: float) -> None:
        if has_head:
            self._headless_since_s = None
        elif self._headless_since_s is None:
            log.error("head.lost")
            self._headless_since_s = now_s
        elif now_s - self._headless_since_s > HEADLESS_AT_MOST_S:
            problem = f"the head of the Ray cluster has not answered for {HEADLESS_AT_MOST_S:g} s"
            raise CandlefleetError(f"{problem}; the same command goes on from here")

    def _move(self) -> bool:
        self._under_way = self._under_way or self._next()
        if self._under_way is None:
            return False
        fetcher, node = self._under_way
        self._dispatch.away(fetcher)
        if self._dispatch.holds(fetcher):
            self._crew.hush(fetcher)
            return False
        if not self._crew.move(fetcher, node):
            return False
        log.info("fetcher.moved", extra={"fetcher": fetcher, "to": node})
        self._under_way = None
        self._moved(fetcher)
        return True

    def _next(self) -> tuple[str, str] | None:
        """Never one that is just being started: what it is asked then would fail for no good reason."""
        move = self._crew.move_due()
        if move is None:
            self._rest_s = REST_S
            return None
        return move if move[0] in self._dispatch.present else None
