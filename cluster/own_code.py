"""For programs of ours that run as processes of their own."""

from __future__ import annotations

import os
from pathlib import Path


def environment() -> dict[str, str]:
    """This process's, with the way to our code first, wherever it was imported from."""
    source = str(Path(__file__).parents[1])
    others = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": os.pathsep.join([source, others] if others else [source])}
