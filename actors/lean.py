"""Imported for its effect: pandas stays out of this process, unless it is there already.

Arrow imports it with the first value it converts, so as to know its objects: 0.2 s and 34 MB of each process
that has no use for them. The command `candlefleet` has none, and its clusters' workers import this before
anything else (`RAY_preload_python_modules`). A notebook does not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType


class _Without(MetaPathFinder):
    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname == "pandas":
            raise ModuleNotFoundError("this process does without pandas", name=fullname)
        return None


sys.meta_path.insert(0, _Without())
