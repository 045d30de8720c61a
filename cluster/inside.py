"""Inside a job: our code was brought there, not installed. Imports nothing that may be missing."""

from __future__ import annotations

import os
import sys

from actors.requirements import NODES, lacking

#: Set by Ray for what it starts as a job.
JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"

#: Beside what nodes need: what the driver does.
DRIVER = (
    "pandas>=3.0",
    "platformdirs>=4",
    "pydantic>=2.14",
    "pyyaml>=6",
    "rich>=15",
    "typer>=0.29",
)


def in_job() -> bool:
    return JOB_VARIABLE in os.environ


def unfit() -> str | None:
    """Why this Python cannot do the job; None if it can, or if this is none."""
    missing = lacking((*NODES, *DRIVER)) if in_job() else []
    if not missing:
        return None
    named = ", ".join(missing)
    return (
        f"the cluster's head lacks packages for its `python`, which is of {sys.prefix}; install them there, "
        f"or submit with --install: {named}"
    )
