from __future__ import annotations

import pytest
from ray._private import utils
from ray._private.node import Node

from cluster import head


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
