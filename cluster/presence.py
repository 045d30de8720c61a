from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from cluster.alarms import Alarms
from cluster.calls import ASK_AGAIN_S, Gone, answer, never_started
from cluster.crew import Crew
from cluster.dispatch import Dispatch

log = logging.getLogger(__name__)

#: The first is under way; the second takes its answer.
Call = Callable[[Any, Callable[[Any], None]], None]


class Presence:
    """Finds out when fetchers that start or have died are there. Those that Ray gives up are started anew."""

    def __init__(self, crew: Crew, dispatch: Dispatch, alarms: Alarms, call: Call) -> None:
        self._crew = crew
        self._dispatch = dispatch
        self._alarms = alarms
        self._call = call

    def missed(self, fetcher: str) -> None:
        """It does not answer."""
        if self._dispatch.away(fetcher):
            log.warning("fetcher.lost", extra={"fetcher": fetcher})
            # Before the new one can wait for anything itself.
            self._crew.hush(fetcher)
            self.ask(fetcher)

    def ask(self, fetcher: str) -> None:
        """Where it is; until it says so, again and again."""
        self._call(self._crew.fetchers[fetcher].node.remote(), partial(self._hear, fetcher))

    def _hear(self, fetcher: str, ref: Any) -> None:
        try:
            node = answer(ref)
        except Gone as error:
            if never_started(error):
                wait_s = self._crew.failed_to_start(fetcher, str(error))
                self._later(wait_s, self._start_again, fetcher)
            else:
                self._later(ASK_AGAIN_S, self.ask, fetcher)
        else:
            self._crew.located(fetcher, node)
            self._dispatch.back(fetcher)

    def _start_again(self, fetcher: str) -> None:
        if self._crew.start_again(fetcher):
            self.ask(fetcher)
        else:
            self._later(ASK_AGAIN_S, self._start_again, fetcher)

    def _later(self, wait_s: float, do: Callable[[str], None], fetcher: str) -> None:
        self._alarms.set(time.monotonic() + wait_s, partial(do, fetcher))
