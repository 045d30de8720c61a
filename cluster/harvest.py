from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from actors.market.chunk import Chunk, Receipt, Status
from cluster.dispatch import Dispatch
from cluster.standing import Totals

if TYPE_CHECKING:
    from actors.writer.actor import Committed

log = logging.getLogger(__name__)


class Harvest:
    """What the writer says is stored, each receipt counted once."""

    def __init__(self, dispatch: Dispatch, again: Callable[[str], Iterable[Chunk]]) -> None:
        """`again`: what else to fetch of an instrument (its key) whose history was rewritten."""
        self._dispatch = dispatch
        self._again = again
        self.totals = Totals()

    def gather(self, committed: Committed) -> None:
        ids = [receipt.chunk.id for receipt in committed.receipts]
        news = self._dispatch.committed(ids, committed.writer)
        for receipt in committed.receipts:
            if receipt.chunk.id in news:
                self._count(receipt)
        if news:
            log.info("batch.committed", extra={"chunks": len(news), "rows": self.totals.rows})

    def _count(self, receipt: Receipt) -> None:
        self.totals.add(receipt)
        if receipt.status is Status.FAILED:
            log.info("chunk.failed", extra={"chunk": receipt.chunk.id, "error": receipt.error})
        if receipt.outdates is not None:
            facts = {"chunk": receipt.chunk.id, "revised": receipt.revised}
            log.info("history.rewritten", extra={**facts, "ratio": receipt.ratio})
            self._dispatch.add(self._again(receipt.chunk.instrument_key))
