from __future__ import annotations

import logging

from actors.fetcher.outcome import Delivered, Halted, Outcome, Throttled, TooLong, TryAgain
from cluster.orders import Send, WriteOff


def note(log: logging.Logger, order: Send | WriteOff, outcome: Outcome) -> None:
    """One line per attempt; only what went wrong is worth more than DEBUG."""
    attempt = order.attempt if isinstance(order, Send) else order.attempts
    facts = {"chunk": order.chunk.id, "attempt": attempt}
    match outcome:
        case Delivered(rows=rows, status=status):
            log.debug("chunk.delivered", extra={**facts, "rows": rows, "status": status})
        case TryAgain(wait_s=wait_s, refused=refused):
            why = {"wait_s": round(wait_s, 3), "cause": refused.cause, "error": refused.message}
            log.info("chunk.retried", extra={**facts, **why})
        case Throttled(error=error):
            log.info("chunk.throttled", extra={**facts, "error": error})
        case TooLong():
            log.info("chunk.split", extra=facts)
        case Halted():
            log.info("chunk.refused", extra={**facts, "error": outcome.reason})
        case _:
            log.info("chunk.unfinished", extra={**facts, "reason": outcome.reason})
