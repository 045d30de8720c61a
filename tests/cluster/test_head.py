from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray._private import utils
from ray._private.node import Node

from cluster import head
from cluster.local_cluster import NAMED_IN, STAY, start_head


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (utils, "get_dashboard_dependency_error"),
        (Node, "start_api_server"),
        (Node, "dead_processes"),
    ],
)
def test_a_ray_without_an_inner_name_that_is_used_is_refused_before_anything_is_started(
    owner: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Node, "__init__", lambda *_, **__: pytest.fail("it started"))
    monkeypatch.delattr(owner, name)
    with pytest.raises(RuntimeError, match=f"has no .*{name}; candlefleet needs 2.60"):
        head._start(with_dashboard=False)


def test_a_dashboard_that_cannot_run_is_refused_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Node, "__init__", lambda *_, **__: pytest.fail("it started"))
    lacking = ImportError("No module named 'opencensus'")
    monkeypatch.setattr(utils, "get_dashboard_dependency_error", lambda: lacking)
    command = re.escape(f"{shlex.quote(sys.executable)} -m pip install 'ray[default]'")
    with pytest.raises(RuntimeError, match=rf"install it with: {command} \(No module named"):
        head._start(with_dashboard=True)


def test_a_head_finds_our_python_first_even_where_no_venv_is_activated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = tmp_path / "venv" / "python"
    ours.parent.mkdir()
    ours.write_text("#!/bin/sh\ncommand -v python\n")
    ours.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(ours))
    with start_head() as started:  # a shell's script, not Ray
        told, _ = started.communicate(timeout=30)
    assert told.decode().strip() == str(ours)


@pytest.mark.parametrize("left", ["its folder removed", "its file removed", "another named"])
def test_one_that_stays_ends_once_nobody_could_find_it(tmp_path: Path, left: str) -> None:
    """Not yet while it is about to be written down, nor while the disk is in trouble."""
    file = tmp_path / "state" / "cluster.json"
    within_s, every_s = head.NAMED_WITHIN_S, head.LOOK_FOR_NAME_EVERY_S
    name = head.Name(file, "m4rk", 0.0)
    assert not name.is_gone(within_s)
    file.parent.mkdir()
    file.write_text('{"mark": "m4rk"}')
    assert not name.is_gone(within_s + every_s)
    assert not name.is_gone(10 * within_s)
    if left == "another named":
        file.write_text('{"mark": "other"}')
    else:
        file.unlink()
        if left == "its folder removed":
            file.parent.rmdir()
    assert not name.is_gone(11 * within_s)
    assert name.is_gone(11 * within_s + every_s)
    file.parent.mkdir(exist_ok=True)
    file.unlink(missing_ok=True)
    file.mkdir()  # so that it cannot be read
    assert not name.is_gone(13 * within_s)


@pytest.mark.parametrize("is_named", [True, False])
def test_a_head_that_stays_holds_its_cluster_while_it_is_named(
    tmp_path: Path, is_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Cluster:
        looks = 0

        def dead_processes(self) -> list[str]:
            self.looks += 1
            return ["raylet"] * (self.looks > 100)

    def end(*, keep_logs: bool) -> None:
        raise SystemExit(keep_logs)

    cluster, file = Cluster(), tmp_path / "cluster.json"
    file.write_text("m4rk" if is_named else "other")
    monkeypatch.setattr(sys, "argv", ["head", f"{NAMED_IN}{file}", f"{STAY}m4rk"])
    monkeypatch.setattr(head, "_start", lambda **_: cluster)
    monkeypatch.setattr(head, "_end", end)
    for name in ("NAMED_WITHIN_S", "LOOK_FOR_NAME_EVERY_S", "LOOK_EVERY_S"):
        monkeypatch.setattr(head, name, 0.001)
    before = [(number, signal.getsignal(number)) for number in head._SIGNALS]
    try:
        with pytest.raises(SystemExit) as ended:
            head.main()
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    assert (ended.value.code, cluster.looks > 100) == (is_named, is_named)


def test_what_killed_heads_have_left_is_deleted_an_hour_after(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    names = [f"session_2026-11-24_10-00-00_000001_{pid}" for pid in (ended.pid, os.getpid())]
    for name in (*names, "session_latest", "other"):
        (tmp_path / name / "logs").mkdir(parents=True)
    head._forget(tmp_path, time.time() + head.FORGOTTEN_AFTER_S - 60)
    assert len(list(tmp_path.iterdir())) == 4
    head._forget(tmp_path, time.time() + head.FORGOTTEN_AFTER_S + 60)
    assert {path.name for path in tmp_path.iterdir()} == {names[1], "session_latest", "other"}
