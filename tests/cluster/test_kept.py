from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import psutil
import pytest

from actors.market.errors import UsageError
from actors.upstox.token import TokenSource
from cluster import local_cluster
from cluster.choice import cluster_for, joins
from cluster.cli import keeping
from cluster.cli.options import console
from cluster.inside import JOB_VARIABLE
from cluster.kept import Kept, at_work, code_digest, down, environment_digest, find, up
from cluster.provider import Provider


@pytest.fixture
def head() -> Iterator[int]:
    """A process with the command line of a head that stays."""
    command = [sys.executable, "-c", "input()", f"{local_cluster.STAY}m4rk"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        yield process.pid


@pytest.fixture
def kept(head: int) -> Iterator[Kept]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield kept_at("127.0.0.1:{1}".format(*listening.getsockname()), head)


def kept_at(address: str, head: int) -> Kept:
    return Kept(
        address=address,
        pid=head,
        mark="m4rk",
        dashboard=None,
        code=code_digest(),
        environment=environment_digest("salt"),
        salt="salt",
    )


def written(folder: Path, kept: Kept) -> Path:
    path = folder / "cluster.json"
    path.write_text(json.dumps(asdict(kept)))
    return path


def test_what_was_written_down_is_found_again_while_its_process_lives(
    tmp_path: Path, kept: Kept
) -> None:
    path = written(tmp_path, kept)
    assert find(tmp_path) == kept
    assert path.exists()


def test_one_whose_head_lives_and_whose_address_is_silent_counts_as_none_and_is_replaced(
    tmp_path: Path, head: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run starts one of its own; `up` and `down` end what is left."""
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path))
    for name in (*local_cluster.QUIET, *local_cluster.environment(tmp_path)):
        monkeypatch.setenv(name, "")  # so that they are put back
    with socket.create_server(("127.0.0.1", 0)) as listening:
        silent = kept_at("127.0.0.1:{1}".format(*listening.getsockname()), head)
        written(tmp_path, silent)
        assert find(tmp_path) == silent
    assert find(tmp_path) is None
    provider = Provider("http://127.0.0.1", "http://127.0.0.1", TokenSource(), tmp_path)
    with cluster_for(provider, None, console()) as cluster:
        assert cluster.where == "a cluster of this run's own"
    monkeypatch.setattr(local_cluster, "start_head", lambda *told, **_: pytest.fail(told[0]))
    named_in = f"{local_cluster.NAMED_IN}{tmp_path / 'cluster.json'}"
    with pytest.raises(pytest.fail.Exception, match=f"^{re.escape(named_in)}$"):
        up(tmp_path)
    assert silent.process() is None


CONNECTED = (
    "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    "print('there', flush=True); input()"
)


def test_it_is_not_ended_under_a_run_that_has_joined_it_unless_forced(
    tmp_path: Path, kept: Kept
) -> None:
    """One that was killed holds nobody up: its connection dies with it."""
    written(tmp_path, kept)
    assert at_work(kept) == []
    port = kept.address.rpartition(":")[2]
    words = ["/bin/candlefleet", "scan", "a b.yaml"]
    with subprocess.Popen(
        [sys.executable, "-c", CONNECTED, port, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        run.stdout.readline()
        said = f"candlefleet scan 'a b.yaml' (process {run.pid})"
        refused = (
            f"^down: 1 run is at work on it: {re.escape(said)}; wait for it, stop it, or --force$"
        )
        with pytest.raises(UsageError, match=refused):
            down(tmp_path)
        assert find(tmp_path) == kept
        run.kill()
    assert at_work(kept) == []
    with subprocess.Popen(
        [sys.executable, "-c", CONNECTED, port], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert len(at_work(kept)) == 1
        assert down(tmp_path, force=True)
        other.kill()
    assert kept.process() is None


def test_a_dashboard_that_one_which_is_up_lacks_is_told_with_how_to_have_it(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path))
    written(tmp_path, kept)
    keeping.up(dashboard=True)
    said = capsys.readouterr().err
    assert "It is up already" in said
    assert "no dashboard: `candlefleet down`, then `up --dashboard`, gives it one." in said
    keeping.up(dashboard=False)
    assert "dashboard" not in capsys.readouterr().err


def test_a_clock_that_is_set_makes_nobody_another(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a process began is reckoned from the clock: after a sleep it has begun at another time."""
    written(tmp_path, kept)
    began = psutil.Process.create_time
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began(process) + 3600)
    assert find(tmp_path) == kept


def test_what_another_version_wrote_down_is_found_and_not_used(tmp_path: Path, kept: Kept) -> None:
    told = asdict(kept) | {"colour": "green"}
    del told["code"]
    (tmp_path / "cluster.json").write_text(json.dumps(told))
    found = find(tmp_path)
    assert found is not None
    assert found.pid == kept.pid
    assert "other code" in str(found.differs())


@pytest.mark.parametrize(
    "left", ["another process by that number", "no process", "half a file", "something else"]
)
def test_what_a_dead_one_left_is_not_found_and_cleared_away_by_down_alone(
    tmp_path: Path, kept: Kept, left: str
) -> None:
    """Whoever merely looks holds no lock, and might take away what `up` writes just then."""
    path = written(tmp_path, kept)
    if left == "another process by that number":
        written(tmp_path, replace(kept, pid=os.getpid()))
    elif left == "no process":
        written(tmp_path, replace(kept, pid=2**22 + 1))
    else:
        path.write_text('{"address": "127' if left == "half a file" else "[1]")
    assert find(tmp_path) is None
    assert path.exists()
    assert down(tmp_path) is False
    assert not path.exists()


def test_runs_of_other_code_or_another_token_do_not_use_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept.differs() is None
    assert "other code" in str(replace(kept, code="older").differs())
    monkeypatch.setenv("UPSTOX_ACCESS_TOKEN", "t0ken")
    assert "another token" in str(kept.differs())
    assert replace(kept, environment=environment_digest("salt")).differs() is None


def test_a_changed_file_is_other_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("cluster.kept.__file__", str(tmp_path / "cluster" / "kept.py"))
    source = tmp_path / "actors" / "fetcher" / "actor.py"
    source.parent.mkdir(parents=True)
    source.write_text("a = 1")
    before = code_digest()
    assert code_digest() == before
    source.write_text("a = 12")
    assert code_digest() != before


def test_a_password_is_made_once_and_is_the_users_alone(tmp_path: Path) -> None:
    first = local_cluster.environment(tmp_path / "state")
    assert local_cluster.environment(tmp_path / "state") == first
    token = Path(first["RAY_AUTH_TOKEN_PATH"])
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert len(token.read_text()) == 64


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "auto"])
def test_its_address_is_used_as_none_is(
    tmp_path: Path, kept: Kept, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another's, it would be looked for where it is not heard, and without its password."""
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    for name in (*local_cluster.QUIET, *local_cluster.environment(tmp_path)):
        monkeypatch.setenv(name, "")  # so that they are put back
    address = kept.address.replace("127.0.0.1", host) if host != "auto" else host
    assert joins(address)
    written(tmp_path, kept)
    assert not joins(address)
    provider = Provider("http://127.0.0.1", "http://127.0.0.1", TokenSource(), tmp_path)
    with cluster_for(provider, address, console()) as cluster:
        assert (cluster.where, cluster.is_joined) == (kept.as_cluster().where, False)
        assert cluster.address(lambda: False) == kept.address
    assert joins("127.0.0.1:1")
    assert joins(f"192.0.2.7:{kept.address.rpartition(':')[2]}")
    monkeypatch.setenv(JOB_VARIABLE, "{}")
    assert joins(address)  # with what a job has brought


def test_auto_is_the_cluster_that_ray_has_left_word_of_if_it_is_there(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    written(tmp_path, kept)
    word = tmp_path / "ray" / "ray_current_cluster"
    word.parent.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        word.write_text("127.0.0.1:{1}".format(*listening.getsockname()))
        assert joins("auto")
    assert not joins("auto")
    word.write_text("")
    assert not joins("auto")
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert joins("auto")


def test_a_run_with_a_budget_of_its_own_keeps_off_the_cluster_that_is_up(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limiter stays there, and would go on writing that budget's ledger for all runs after."""
    state = tmp_path / "state"
    state.mkdir()
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(state))
    monkeypatch.setattr(local_cluster, "start_head", lambda: pytest.fail("it started one"))
    written(state, kept)

    def chosen(place: Path, address: str | None) -> str | None:
        provider = Provider("http://127.0.0.1", "http://127.0.0.1", TokenSource(), place)
        with cluster_for(provider, address, console()) as cluster:
            cluster.begin()
            return cluster.address(lambda: False)

    for name in (*local_cluster.QUIET, *local_cluster.environment(state)):
        monkeypatch.setenv(name, "")  # so that they are put back
    assert chosen(state, None) == kept.address
    with pytest.raises(UsageError, match="no Ray cluster answers at 127.0.0.1:1"):
        chosen(state, "127.0.0.1:1")
    with cluster_for(
        Provider("http://127.0.0.1", "http://127.0.0.1", TokenSource(), state), "local", console()
    ):
        pass  # as a run with nothing to fetch: it starts none
    with pytest.raises(pytest.fail.Exception, match="it started one"):
        chosen(tmp_path, None)
    with pytest.raises(pytest.fail.Exception, match="it started one"):
        chosen(state, "local")
