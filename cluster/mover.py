from __future__ import annotations

import logging
import time
from collections.abc import Callable

from cluster.alarms import Alarms
from cluster.crew import Crew
from cluster.dispatch import Dispatch

log = logging.getLogger(__name__)

LOOK_EVERY_S = 2.0
#: After a move: Ray may have put it elsewhere all the same, where a node is not quite there yet.
REST_S = 5.0


class Mover:
    """Gives a node that has joined a fetcher of one that has several, once that has nothing in hand."""

    def __init__(
        self, crew: Crew, dispatch: Dispatch, alarms: Alarms, moved: Callable[[str], None]
    ) -> None:
        """`moved` is handed the name of a fetcher that starts anew."""
        self._crew = crew
        self._dispatch = dispatch
        self._alarms = alarms
        self._moved = moved
        self._under_way: tuple[str, str] | None = None

    def look(self) -> None:
        moved = self._move()
        self._alarms.set(time.monotonic() + (REST_S if moved else LOOK_EVERY_S), self.look)

    def _move(self) -> bool:
        self._under_way = self._under_way or self._crew.move_due()
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
