from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cluster.alarms import Alarms
from cluster.crew import Crew
from cluster.dispatch import Dispatch

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
#: After a move, and twice as long after each further one: Ray may have put the fetcher elsewhere all the
#: same, as it did for up to 20 s after a node had joined (2.60, measured), and each move costs its start.
REST_S = 5.0
REST_AT_MOST_S = 60.0


class Mover:
    """Watches the cluster's nodes, and says so when its head is gone.

    A node that has joined is given a fetcher of one that has several, once that has nothing in hand.
    """

    def __init__(
        self, crew: Crew, dispatch: Dispatch, alarms: Alarms, moved: Callable[[str], None]
    ) -> None:
        """`moved` is handed the name of a fetcher that starts anew."""
        self._crew = crew
        self._dispatch = dispatch
        self._alarms = alarms
        self._moved = moved
        self._under_way: tuple[str, str] | None = None
        self._has_head = True
        self._rest_s = REST_S

    def look(self) -> None:
        has_head = self._crew.head_answers()
        if not has_head and self._has_head:
            log.error("head.lost")
        self._has_head = has_head
        wait_s = LOOK_EVERY_S
        if has_head and self._move():
            wait_s = self._rest_s
            self._rest_s = min(REST_AT_MOST_S, 2 * self._rest_s)
        self._alarms.set(time.monotonic() + wait_s, self.look)

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
