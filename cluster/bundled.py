from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def configs_dir() -> Path:
    """The configs that come with candlefleet: inside an installed wheel, or beside the sources."""
    installed = _PACKAGE / "configs"
    return installed if installed.is_dir() else _PACKAGE.parent / "configs"


def bundled(name: str) -> Path:
    """Path of a config that comes with candlefleet, such as `demo.yaml`."""
    return configs_dir() / name
