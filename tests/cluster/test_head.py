from __future__ import annotations

import sys
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
