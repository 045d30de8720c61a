"""Which node each fetcher works on. No Ray.

Ray's own SPREAD puts actors that claim no CPU on one node as soon as on two (2.60, measured).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence


def spread(fetchers: Iterable[str], nodes: Sequence[str]) -> dict[str, str]:
    """The nodes in turns, the first of them first."""
    return {name: nodes[number % len(nodes)] for number, name in enumerate(fetchers)}


#: After a start that failed, and twice as long after each further one of the same fetcher.
START_AGAIN_S = 1.0
START_AGAIN_AT_MOST_S = 60.0


class Places:
    """Where each fetcher is or is starting, and where none could start."""

    def __init__(self, fetchers: Iterable[str], nodes: Sequence[str]) -> None:
        self.of = spread(fetchers, nodes)
        self._barren: set[str] = set()
        self._failed: Counter[str] = Counter()  # starts of each fetcher, since it last was there

    def started(self, fetcher: str, node: str) -> None:
        """It is there, and says so itself."""
        self.of[fetcher] = node
        self._barren.discard(node)
        self._failed[fetcher] = 0

    def move_due(self, nodes: Iterable[str]) -> tuple[str, str] | None:
        """See below; `nodes` are those that are alive."""
        return move_due(self.of, self._fertile(nodes))

    def failed(self, fetcher: str, nodes: Collection[str]) -> float:
        """It could not start where it was told to. Returns how many seconds to wait before it starts anew.

        It gets another place for that: where one could not start, nobody is told to, but if there is
        nowhere else.
        """
        self._barren.add(self.of[fetcher])
        held = Counter(node for name, node in self.of.items() if name != fetcher)
        fit = self._fertile(nodes) or [*nodes]
        self.of[fetcher] = min(fit, key=held.__getitem__, default=self.of[fetcher])
        self._failed[fetcher] += 1
        return min(START_AGAIN_AT_MOST_S, START_AGAIN_S * 2.0 ** (self._failed[fetcher] - 1))

    def _fertile(self, nodes: Iterable[str]) -> list[str]:
        return [node for node in nodes if node not in self._barren]


def move_due(placed: Mapping[str, str], nodes: Collection[str]) -> tuple[str, str] | None:
    """A fetcher, and the node without any that it should move to; None: all is well.

    First those whose node is gone, which have restarted just anywhere; then one of two that share a node.
    """
    held = Counter(placed.values())
    free = [node for node in nodes if not held[node]]
    homeless = [name for name, node in placed.items() if node not in nodes]
    crowded = [name for name, node in placed.items() if held[node] > 1]
    movable = homeless or crowded
    return (movable[-1], free[0]) if movable and free else None
