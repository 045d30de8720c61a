"""The README, the configs and the command line agree with the code, and errors survive pickling."""

from __future__ import annotations

import dataclasses
import pickle
import re
from pathlib import Path

import pytest
from typer.main import get_command

from actors.market import errors
from cluster.cli import app
from cluster.config import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGS = sorted((ROOT / "configs").glob("*.yaml")) + sorted((ROOT / "configs").glob("*.json"))
COMMANDS = sorted(get_command(app).commands.items())  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_config_loads_and_stands_in_the_readme(path: Path) -> None:
    assert load(path).asks
    assert path.name in README


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_every_verb_has_help_and_stands_in_the_readme(name: str, command: object) -> None:
    assert command.help  # type: ignore[attr-defined]
    assert f"`{name}" in README or f"candlefleet {name}" in README


def test_every_law_names_a_test_that_exists() -> None:
    """The table of laws names tests as `file::test`; each must be there to be run."""
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", README)
    assert len(named) >= 8
    for file, test in named:
        code = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^(def {test}\(|{test} = )", code, re.MULTILINE), f"{file}::{test}"


def raisable() -> list[type[Exception]]:
    found = [errors.CandlefleetError]
    for each in found:
        found += each.__subclasses__()
    return [each for each in found if dataclasses.is_dataclass(each)]


@pytest.mark.parametrize("kind", raisable(), ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_whole(kind: type[Exception]) -> None:
    """Errors cross processes; one that cannot be rebuilt there hides the real fault."""
    error = kind(*(f"{field.name} said" for field in dataclasses.fields(kind)))  # type: ignore[arg-type]
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert dataclasses.asdict(again) == dataclasses.asdict(error)  # type: ignore[call-overload]
