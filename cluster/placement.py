"""Which node each fetcher works on. No Ray.

Ray's own SPREAD puts actors that claim no CPU on one node as soon as on two (2.60, measured).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence


def spread(fetchers: Iterable[str], nodes: Sequence[str]) -> dict[str, str]:
    """The nodes in turns, the first of them first."""
    return {name: nodes[number % len(nodes)] for number, name in enumerate(fetchers)}


class Places:
    """Where each fetcher is or is starting, and where none can start."""

    def __init__(self, fetchers: Iterable[str], nodes: Sequence[str]) -> None:
        self.of = spread(fetchers, nodes)
        self._barren: set[str] = set()

    def move_due(self, nodes: Iterable[str]) -> tuple[str, str] | None:
        """See below; `nodes` are those that are alive."""
        return move_due(self.of, self._fertile(nodes))

    def instead(self, fetcher: str, nodes: Iterable[str]) -> str | None:
        """Where to start one that could not where it was told to; None: there is nowhere left."""
        self._barren.add(self.of[fetcher])
        held = Counter(self.of.values())
        return min(self._fertile(nodes), key=held.__getitem__, default=None)

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
