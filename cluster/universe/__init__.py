"""Which instruments a run is about.

name         what a user calls an instrument, taken apart
listing      names from a CSV file
directory    looking up in an exchange's master
finding      which instrument a name means, or why none
resolution   all of it together: resolve(spec, masters) -> Resolution
"""

from __future__ import annotations

from cluster.universe.resolution import Resolution, Unresolved, exchanges, resolve

__all__ = ["Resolution", "Unresolved", "exchanges", "resolve"]
