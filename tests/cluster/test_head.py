from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray._private import utils
from ray._private.node import Node

from cluster import head
from cluster.local_cluster import start_head


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
