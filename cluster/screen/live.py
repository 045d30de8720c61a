"""A screen while its instruments are still being fetched: who matches so far."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import date
from typing import TYPE_CHECKING, Self

from rich.table import Table
from rich.text import Text

from cluster.screen.answer import Match, in_order
from cluster.screen.asked import Asked
from cluster.screen.screening import ask
from cluster.screen.table import number
from cluster.wording import counted, printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from actors.market.chunk import Chunk, Receipt
    from actors.writer.reading import Store
    from cluster.screen.owed import Owed
    from cluster.screen.screen import Screen

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0  # at the most
#: Of the time, at the most: looking takes one processor, and the fleet needs them, too.
SHARE_OF_TIME = 0.1
SHOWN = 10  # matches, the best ones, in the panel
#: So long one wait takes: Ctrl-C that comes just as it begins is heard at its end only.
_TURN_S = 0.25
WAIT_S = 60.0  # for the piece that is looked at when the run ends


class _Over(Exception):
    """Nobody wants to know any more."""


class LiveScreen:
    """Asks of every instrument once it is whole, in a thread of its own, and shows who matches.

    Each look takes all that have become whole since the one before; all, once a newer session shows that
    those of before may be stale. What it finds is provisional: it is judged by what has come of the others
    by then. A look that fails is told once, and changes nothing but what is shown.
    """

    def __init__(
        self, screen: Screen, store: Store, owed: Owed, console: Console, began_s: float
    ) -> None:
        """`began_s`: when the user began to wait, by the monotonic clock."""
        self._question, self._form = screen.question, screen.form
        self._name = printable(screen.name)
        self._names = None if screen.form.universe is None else screen.form.universe.names()
        self._store = store
        self._owed = owed
        self._console = console
        self._began_s = began_s
        self._changed = threading.Condition()  # guards what follows, and `owed`
        self._looked: set[str] = set()
        self._newest: dict[str, date] = {}  # the newest session of each timeframe, by that look
        self._found: dict[str, tuple[Match, float]] = {}  # with the seconds until it was found
        self._has_news = True  # instruments of which nothing is to be fetched
        self._over = self._has_failed = False
        self._thread = threading.Thread(target=self._work, name="screen", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Looks no further, and waits, the first time it is called, until it has come to rest."""
        with self._changed:
            if self._over:
                return
            self._over = True
            self._changed.notify()
        until_s = time.monotonic() + WAIT_S
        while self._thread.is_alive() and time.monotonic() < until_s:
            self._thread.join(_TURN_S)

    def heard(self, receipts: Sequence[Receipt], more: Sequence[Chunk]) -> None:
        """The store holds these receipts, each told once; `more` is to be fetched because of them."""
        with self._changed:
            self._owed.settle(receipt.chunk for receipt in receipts)
            for key in self._owed.add(more):  # its history was rewritten: what was found is void
                self._looked.discard(key)
                self._found.pop(key, None)
            self._has_news = True
            self._changed.notify()

    @property
    def matches(self) -> list[Match]:
        """So far, best first."""
        with self._changed:
            return self._in_order(match for match, _ in self._found.values())

    def __rich__(self) -> RenderableType:
        with self._changed:
            best = self._in_order(match for match, _ in self._found.values())
            after_s = {key: seconds for key, (_, seconds) in self._found.items()}
            looked = len(self._looked)
        title = f"{self._name}: {len(best):,} match of {counted(looked, 'instrument')} so far"
        if not best:
            return Text(title)
        shown = Table("symbol", "rank", "last", "found after", title=title, title_justify="left")
        for column in shown.columns[1:]:
            column.justify = "right"
        for match in best[: min(SHOWN, self._form.limit or SHOWN)]:
            seconds = f"{after_s[match.instrument_key]:.1f} s"
            shown.add_row(printable(match.symbol), number(match.rank), number(match.close), seconds)
        return shown

    def _work(self) -> None:
        rest_s = 0.0
        while self._is_wanted(rest_s):
            began_s = time.monotonic()
            try:
                self._look()
            except _Over:
                return
            except Exception as error:  # noqa: BLE001  # whatever it is, it must not end the run
                self._tell(error)
            took_s = time.monotonic() - began_s
            rest_s = max(LOOK_EVERY_S, took_s / SHARE_OF_TIME - took_s)

    def _is_wanted(self, rest_s: float) -> bool:
        """Rests, and waits until something has come. False: nobody wants to know any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._over, rest_s)
            self._changed.wait_for(lambda: self._over or self._has_news)
            self._has_news = False
            return not self._over

    def _look(self) -> None:
        store, question = self._store.still(), self._question
        asked = Asked.of(store.receipts(), question.labels, self._names)
        newest = {holding.timeframe: holding.last for holding in store.holdings()}
        with self._changed:
            if newest != self._newest:
                self._looked.clear()
                self._newest = newest
            due = [k for k in asked.symbols if k not in self._owed and k not in self._looked]
        if not due or not newest.keys() >= {*question.labels}:
            return  # so far, nothing has come
        found = ask(question, store, due, None, self._form.max_age, self._go_on)
        log.info("screen.looked", extra={"instruments": len(due), "matches": len(found.matches)})
        self._take(due, found.matches)

    def _go_on(self) -> None:
        if self._over:
            raise _Over

    def _take(self, due: Iterable[str], matches: Iterable[Match]) -> None:
        after_s = time.monotonic() - self._began_s
        with self._changed:
            whole = {key for key in due if key not in self._owed}
            self._looked |= whole
            before = {key: self._found.pop(key) for key in whole & self._found.keys()}
            for match in matches:
                key = match.instrument_key
                if key in whole:
                    self._found[key] = match, before[key][1] if key in before else after_s
            best = self._in_order(match for match, _ in self._found.values())
        for match in best[: self._form.limit] if not self._console.is_terminal else ():
            if match.instrument_key in whole - before.keys():  # on a terminal, the panel shows it
                self._print(self._line(match, after_s))

    def _in_order(self, matches: Iterable[Match]) -> list[Match]:
        by_name = sorted(matches, key=lambda match: (match.symbol, match.instrument_key))
        return in_order(by_name, ascending=self._form.order == "asc")

    def _line(self, match: Match, after_s: float) -> str:
        rank = "" if match.rank is None else f"  rank {number(match.rank)}"
        last = f"last {number(match.close)}"
        return f"{self._name}: {printable(match.symbol)}{rank}  {last}  after {after_s:.1f} s"

    def _tell(self, error: Exception) -> None:
        log.info("screen.failed", exc_info=error)
        if not self._has_failed:
            self._has_failed = True
            said = f"{self._name} could not be asked meanwhile ({error}); it is at the end."
            self._print(printable(said), style="yellow")

    def _print(self, said: str, style: str | None = None) -> None:
        self._console.print(said, style=style, markup=False, highlight=False, soft_wrap=True)
