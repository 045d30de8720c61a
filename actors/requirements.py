"""What every node of a cluster must have installed. Our own code reaches it by itself."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from packaging.requirements import Requirement

#: Third-party packages that this room's code imports, as `pyproject.toml` wants them. Without Ray, of
#: which a cluster has one version anyway.
NODES = (
    "deltalake>=1.6.6",
    "filelock>=4",
    "numpy>=2",
    "psutil>=7",
    "pyarrow>=26",
    "requests>=2.34",
    "urllib3>=2.8",
)


def lacking(requirements: tuple[str, ...]) -> list[str]:
    """Those that this Python does not meet, each with what is there instead."""
    found = []
    for requirement in map(Requirement, requirements):
        try:
            there = version(requirement.name)
        except PackageNotFoundError:
            found.append(str(requirement))
            continue
        if not requirement.specifier.contains(there, prereleases=True):
            found.append(f"{requirement} (it has {there})")
    return found
