from __future__ import annotations

import subprocess
import sys

import pytest

CONVERTS = "import sys, pyarrow; pyarrow.array([1]); print('pandas' in sys.modules)"


@pytest.mark.parametrize(
    ("first", "has_pandas"), [("", True), ("import actors.lean; ", False)], ids=["as is", "lean"]
)
def test_arrow_takes_pandas_along_unless_told_not_to(first: str, has_pandas: bool) -> None:
    """Should Arrow ever do without by itself, this module is not needed any more."""
    done = subprocess.run(
        [sys.executable, "-c", first + CONVERTS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(has_pandas)
