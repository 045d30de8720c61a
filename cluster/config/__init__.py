"""What a run shall do, read from a YAML or JSON file and checked before anything is started.

file         bytes -> plain values, refusing what YAML and JSON could hide
own_form, seed_form     the two forms a file may have
settings, section       what both are made of
mistakes     what is wrong, in the user's words
reading      all of it together: load(path) -> RunConfig
"""

from __future__ import annotations

from cluster.config.ask import Ask, Filter, Labelled, UniverseSpec
from cluster.config.reading import Overrides, RunConfig, load

__all__ = ["Ask", "Filter", "Labelled", "Overrides", "RunConfig", "UniverseSpec", "load"]
