"""Nothing that comes from outside is run, and no name from outside becomes the name of a file."""

from __future__ import annotations

import ast
import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from actors.market.chunk import Chunk
from actors.market.errors import UsageError
from actors.market.timeframe import Timeframe
from actors.writer.reading import Store
from actors.writer.spool import Spool
from actors.writer.store import StoreWriter
from cluster.config.ask import Labelled, UniverseSpec
from cluster.export import Format, export
from cluster.universe import resolve
from cluster.universe.name import MOST_CHARS
from tests.actors.writer.conftest import Kit

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path for room in ("actors", "cluster") for path in (ROOT / room).rglob("*.py"))

#: What turns data into code, or into whatever its writer wanted it to be.
DANGEROUS = re.compile(
    r"(builtins\.)?(eval|exec|compile|__import__)"
    r"|(pickle|cloudpickle|marshal|shelve|dill|joblib|jsonpickle)\..+"
    r"|yaml\.(load|load_all|unsafe_load\w*|full_load\w*|\w*Unsafe\w*|\w*FullLoader)"
    r"|os\.(system|popen|exec\w+|spawn\w+)"
    r"|(pandas|pd)\.(read_pickle|eval)|(numpy|np)\.load"
)


def used(nodes: list[ast.AST]) -> set[str]:
    """Everything that a module names, imports written out: `pickle.loads`, `eval`, `yaml.load`."""
    full: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            full |= {(a.asname or a.name.partition(".")[0]): a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            full |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
    names = set(full.values())
    for node in nodes:
        whole, *rest = dotted(node).split(".", 1)
        names.add(".".join([full.get(whole, whole), *rest]))
    return names


def dotted(node: ast.AST) -> str:
    """`yaml.load` of an expression that is just that."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(code: str) -> set[str]:
    nodes = list(ast.walk(ast.parse(code)))
    shells = {
        "shell=True"
        for node in nodes
        if isinstance(node, ast.keyword)
        and node.arg == "shell"
        and not (isinstance(node.value, ast.Constant) and node.value.value is False)
    }
    return {name for name in used(nodes) if DANGEROUS.fullmatch(name)} | shells


def test_nothing_from_outside_is_unpickled_or_run() -> None:
    """By every name that any module uses; Ray's own pickles travel between processes of one run."""
    found = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in SOURCES
        for name in dangers(path.read_text(encoding="utf-8"))
    }
    assert len(SOURCES) > 100
    assert not found


@pytest.mark.parametrize(
    "code",
    [
        "import pickle\npickle.loads(b'')",
        "from pickle import loads as read\nread(b'')",
        "import yaml as y\ny.load('', Loader=y.Loader)",
        "eval('1')",
        "import subprocess\nsubprocess.run('ls', shell=True)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "from os import system",
    ],
)
def test_each_danger_would_be_seen(code: str) -> None:
    assert dangers(code)


NAMES = st.one_of(
    st.sampled_from(
        [
            "../../etc/passwd",
            "..",
            "/tmp/x",
            "C:\\x",
            "a/b",
            "a\\b",
            "~root",
            "x\0y",
            "a\nb",
            "\x1b[31m",
            "\u202egnp.exe",
            "\uff33\uff22\uff29\uff2e",
            "é" * 300,
            "x" * 5_000,
            "%2e%2e%2f",
            "timeframe=1day",
            "'; DROP TABLE candles; --",
            "{0.__class__}",
            "$(id)",
            "[/red]",
            "nul",
            " ",
        ]
    ),
    st.text(min_size=1, max_size=20),
)
DAYS = (date(2024, 1, 1), date(2024, 1, 3))


def below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@given(names=st.lists(NAMES, min_size=1, max_size=4), label=NAMES)
@settings(max_examples=100)
def test_a_config_gives_no_instrument_a_name_that_could_do_harm(
    names: list[str], label: str
) -> None:
    """Of a segment without a list too, whose keys are taken at the user's word."""
    keys = [f"MCX_FO|{name}" for name in names]
    spec = UniverseSpec(
        symbols=tuple(n for n in (*names, *keys) if n.strip()),
        labelled=tuple(Labelled(symbol=label, instrument_key=key) for key in keys),
    )
    found = resolve(spec, {})
    for instrument in found.instruments:
        for word in (instrument.instrument_key, instrument.symbol):
            assert word.isprintable()
            assert len(word) <= MOST_CHARS
    assert all(name.name.isprintable() for name in found.unresolved)
    assert len(found.instruments) + len(found.unresolved) > 0


@given(symbol=NAMES, tail=NAMES, run_id=NAMES)
@example(symbol="../../a", tail="../../../b", run_id="../../c")
@settings(max_examples=15)
def test_no_name_reaches_out_of_the_store(
    tmp_path_factory: pytest.TempPathFactory, symbol: str, tail: str, run_id: str
) -> None:
    """Names that a config would refuse, put past it: they come back whole, and from safe files."""
    place = tmp_path_factory.mktemp("around")
    kit, uri = Kit(), str(place / "store")
    chunk = Chunk(f"NSE_EQ|{tail}", symbol, Timeframe.parse("1day"), *DAYS)
    delivery = kit.quarantine(kit.stored(chunk, run_id=run_id))
    writer = StoreWriter(uri)
    spool = Spool(place / "store" / "spool")
    spool.put(delivery)
    spooled = below(place)
    spool.drop([delivery])
    spool.close()
    writer.commit([delivery])
    done = export(
        Store(uri), symbols=[chunk.instrument_key], format=Format.CSV, out=place / "x.csv"
    )
    assert done.rows == 3
    rows = Store(uri).candles(symbols=[chunk.instrument_key]).to_arrow().to_pylist()
    assert {(row["instrument_key"], row["symbol"]) for row in rows} == {
        (chunk.instrument_key, chunk.symbol)
    }
    made = spooled | below(place)
    assert {path.partition("/")[0] for path in made} == {"store", "x.csv"}
    assert any(path.endswith(".arrow") for path in spooled)
    assert any(path.startswith("store/quarantine/") for path in made)
    for path in made:
        assert re.fullmatch(r"[\w.=/-]+", path, re.ASCII), path
        assert ".." not in path
        assert max(map(len, path.split("/"))) < 128


@pytest.mark.parametrize("run_id", ["", ".", "..", "../..", "a/b", "/etc"])
def test_a_runs_files_are_looked_for_among_runs_only(tmp_path: Path, run_id: str) -> None:
    with pytest.raises(UsageError, match="no run's id"):
        Store(str(tmp_path)).run(run_id)
