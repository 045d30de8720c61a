from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from actors.limiter.terms import Terms
from actors.market.chunk import Chunk, Receipt
from cluster.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What a run is about, beside its chunks."""

    run_id: str
    store: str
    terms: Terms  # of the budget that most of its requests spend from
    lanes: int  # requests it has under way at once at the most
    outage_at_most_s: float  # so long it waits for a provider that fails altogether
    show: Callable[[Standing], None]
    #: What else to fetch of an instrument (its key) whose history the provider has rewritten.
    again: Callable[[str], Iterable[Chunk]]
    #: Told of receipts that are in the store now, each once, and of what else is fetched because of them.
    heard: Callable[[Sequence[Receipt], Sequence[Chunk]], None]
    is_lost: Callable[[], bool]  # the cluster has died
