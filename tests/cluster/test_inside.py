from __future__ import annotations

import sys

import pytest

from cluster import inside


def test_a_job_whose_python_is_another_is_told_which(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where Ray was started from an environment that is not the first on the path."""
    monkeypatch.setattr(inside, "DRIVER", ("no-such-package>=3",))
    assert inside.unfit() is None, "outside a job, packages are the installer's business"
    monkeypatch.setenv(inside.JOB_VARIABLE, "{}")
    problem = inside.unfit()
    assert problem is not None
    assert f"its `python`, which is of {sys.prefix};" in problem
    assert problem.endswith("--install: no-such-package>=3")
