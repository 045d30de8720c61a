"""Screens that come with candlefleet."""

from __future__ import annotations

import os
from pathlib import Path

from actors.market.errors import UsageError
from cluster.bundled import bundled
from cluster.config.section import nearest
from cluster.screen.misread import shortened


def names() -> list[str]:
    return sorted(path.stem for path in bundled("screens").glob("*.yaml"))


def find(name: str | Path) -> Path:
    """The file that is meant: one at this path, or one of ours. Raises UsageError if there is none."""
    path = Path(name)
    if os.path.isfile(path) or path.suffix:  # noqa: PTH113  # Path's raises for a long name
        return path  # whoever reads it says what is wrong with it
    word = str(name).strip().lower().replace("_", "-").replace(" ", "-")
    known = names()
    if word in known:
        return bundled("screens") / f"{word}.yaml"
    advice = nearest(word, known) or "; `candlefleet screen --list` names those there are"
    raise UsageError(f"there is no screen and no file {shortened(str(name))}{advice}")


def meaning(name: str) -> str:
    return described(bundled("screens") / f"{name}.yaml")["description"]


def described(path: Path) -> dict[str, str]:
    """What its first line says, if that is a comment."""
    with path.open(encoding="utf-8", errors="replace") as file:
        first = file.readline(200)
    return {"description": first[1:].strip()} if first.startswith("#") else {}
