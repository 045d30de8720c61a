from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from actors.requirements import NODES, lacking
from cluster.inside import DRIVER

ROOT = Path(__file__).parents[2]
WANTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
#: Wanted by who submits, by the look-alike, by screens, by schedules, and brought by the cluster itself.
NOT_SENT = {
    *("aiohttp", "starlette", "uvicorn", "httptools", "uvloop"),
    *("plotly", "TA-Lib", "APScheduler", "ray"),
}


def test_nodes_and_driver_want_what_the_installation_wants() -> None:
    told = [wanted for wanted in WANTED if Requirement(wanted).name not in NOT_SENT]
    assert sorted([*NODES, *DRIVER]) == sorted(told)


def test_nodes_are_asked_for_all_that_the_fleet_imports() -> None:
    """At the top of its modules: what a method imports for itself is not needed by a fleet."""
    found = set()
    for path in (ROOT / "actors").rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    third_party = found - set(sys.stdlib_module_names) - {"actors", "ray", "packaging"}
    assert {packages_distributions()[name][0] for name in third_party} == {
        Requirement(each).name for each in NODES
    }


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("deltalake>=1", None),
        ("deltalake>=99", r"deltalake>=99 \(it has \d"),
        ("no-such-package>=2", "no-such-package>=2"),
    ],
)
def test_what_is_missing_or_too_old_is_named(wanted: str, told: str | None) -> None:
    found = lacking((wanted,))
    assert found == [] if told is None else re.match(told, found[0])
