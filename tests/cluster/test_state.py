from __future__ import annotations

from pathlib import Path

import platformdirs
import pytest

from actors.market.errors import UsageError
from cluster import kept, local_cluster
from cluster.state import state_dir


def test_the_state_folder_is_the_one_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", str(tmp_path))
    assert state_dir() == tmp_path


def test_a_relative_state_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each working folder would have a budget of its own, and the account would be overrun."""
    monkeypatch.setenv("CANDLEFLEET_STATE_DIR", "here")
    with pytest.raises(UsageError, match="absolute"):
        state_dir()


def test_else_it_is_where_the_platform_keeps_state(monkeypatch: pytest.MonkeyPatch) -> None:
    for unset in (None, " "):
        if unset is None:
            monkeypatch.delenv("CANDLEFLEET_STATE_DIR")
        else:
            monkeypatch.setenv("CANDLEFLEET_STATE_DIR", unset)
        assert state_dir() == Path(platformdirs.user_state_dir("candlefleet", appauthor=False))


def test_a_state_folder_that_cannot_be_is_refused_in_words(tmp_path: Path) -> None:
    """A file where it should be, or above it; and one that nobody may write into."""
    (file := tmp_path / "file").write_text("")
    for place in (file, file / "below", Path("/proc/here")):
        for use in (local_cluster.environment, kept.up, kept.down):
            with pytest.raises(UsageError, match=r"cannot be written .*CANDLEFLEET_STATE_DIR"):
                use(place)
