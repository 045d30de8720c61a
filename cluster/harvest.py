from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from actors.market.chunk import Chunk, Receipt, Status
from cluster.dispatch import Dispatch
from cluster.standing import Totals

if TYPE_CHECKING:
    from actors.writer.actor import Committed

log = logging.getLogger(__name__)


class Harvest:
    """What the writer says is stored, each receipt counted once."""

    def __init__(
        self,
        dispatch: Dispatch,
        again: Callable[[str], Iterable[Chunk]],
        heard: Callable[[Sequence[Receipt], Sequence[Chunk]], None],
    ) -> None:
        """`again`: what else to fetch of an instrument (its key) whose history was rewritten.

        `heard` is told of new receipts, and of what else is fetched because of them.
        """
        self._dispatch = dispatch
        self._again = again
        self._heard = heard
        self.totals = Totals()

    def gather(self, committed: Committed) -> None:
        ids = [receipt.chunk.id for receipt in committed.receipts]
        news = self._dispatch.committed(ids, committed.writer)
        fresh = [receipt for receipt in committed.receipts if receipt.chunk.id in news]
        more = [chunk for receipt in fresh for chunk in self._counted(receipt)]
        self._dispatch.add(more)
        if fresh:
            self._heard(fresh, more)
            log.info("batch.committed", extra={"chunks": len(news), "rows": self.totals.rows})

    def _counted(self, receipt: Receipt) -> Iterable[Chunk]:
        """What else is to be fetched because of it."""
        self.totals.add(receipt)
        if receipt.status is Status.FAILED:
            log.info("chunk.failed", extra={"chunk": receipt.chunk.id, "error": receipt.error})
        if receipt.outdates is None:
            return ()
        facts = {"chunk": receipt.chunk.id, "revised": receipt.revised}
        log.info("history.rewritten", extra={**facts, "ratio": receipt.ratio})
        return self._again(receipt.chunk.instrument_key)
