"""Which node each fetcher works on. No Ray.

Ray's own SPREAD puts actors that claim no CPU on one node as soon as on two (2.60, measured).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence


def spread(fetchers: Iterable[str], nodes: Sequence[str]) -> dict[str, str]:
    """The nodes in turns, the first of them first."""
    return {name: nodes[number % len(nodes)] for number, name in enumerate(fetchers)}


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
