"""Starts Ray clusters on this machine, in a process of their own (`cluster.head`), and ends them."""

from __future__ import annotations

import json
import logging
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from actors.market.errors import CandlefleetError
from cluster import own_code
from cluster.state import made

log = logging.getLogger(__name__)

#: Ray's processes take a second or two; on a busy laptop they have taken fifteen.
READY_WITHIN_S = 60.0
SAY_AFTER_S = 10.0
ENDED_WITHIN_S = 10.0
_LOOK_EVERY_S = 0.1

#: How a head is told to live on when its stdin ends: `--stay=MARK`, with a word by which it is known again.
STAY = "--stay="
DASHBOARD = "--dashboard"
NAMED_IN = "--named-in="  # the file that will hold its mark, and by which alone it can be found

#: Set before Ray is imported, because its processes inherit them.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # no reports to anybody
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # `uv run` must not rebuild an environment for each worker
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # we use no accelerator; silences Ray's notice of it
    "RAY_gcs_rpc_server_reconnect_timeout_s": "30",  # a head that is gone stays so; Ray waits 60 s
    "RAY_enable_worker_prestart": "0",  # idle workers cost memory and start-up time
    "RAY_preload_python_modules": "actors.lean",  # by each of its workers
    "RAY_task_events_report_interval_ms": "0",  # or Ray keeps a record of every request for dashboards
}

_TOKEN_FILE = "ray.token"  # noqa: S105  # its name
_LOCKED_WITHIN_S = 10.0  # whoever holds it writes one line


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a run's actors are to work."""

    where: str  # in words
    #: Its address, HOST:PORT, waited for if need be. None once the question it is handed is answered
    #: with yes: is it over, so that nobody needs a cluster any more?
    address: Callable[[Callable[[], bool]], str | None]
    #: Called before that, so that it starts while the run does other things.
    begin: Callable[[], None] = lambda: None
    is_joined: bool = False  # others have started it, without our code
    is_lost: Callable[[], bool] = lambda: False  # it was there, and has died


def environment(state_dir: Path) -> dict[str, str]:
    """What Ray must find when it is imported, by the head of a local cluster and by those who join it.

    Whoever reaches a cluster can let it run anything. So it is heard on this machine only, and wants a
    password, which stands in a file that is this user's alone.
    """
    token = state_dir / _TOKEN_FILE
    with made(state_dir):
        if not _is_filled(token):
            with FileLock(f"{token}.lock", timeout=_LOCKED_WITHIN_S):
                if not _is_filled(token):
                    write_privately(token, secrets.token_hex(32))
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # means: nobody joins from elsewhere; use 127.0.0.1
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
    }


@dataclass(frozen=True, slots=True)
class Told:
    """What a head says of its cluster."""

    address: str
    dashboard: str | None = None  # a URL


@contextmanager
def own() -> Iterator[Cluster]:
    """One that starts once a run begins it, and ends with the block, or however this process ends."""
    heads: list[subprocess.Popen[bytes]] = []

    def address(is_over: Callable[[], bool]) -> str | None:
        told = ready(heads[0], is_over)
        return None if told is None else told.address

    try:
        yield Cluster(
            "a cluster of this run's own",
            address,
            begin=lambda: heads.append(start_head()),
            is_lost=lambda: heads[0].poll() is not None,
        )
    finally:
        for head in heads:
            _let_go(head)


def start_head(*options: str, stay: str | None = None) -> subprocess.Popen[bytes]:
    """In this process's environment, which must hold what `environment` says.

    `stay` is the mark of one that is to outlive this process. Nothing is imported from the folder
    that the user stands in (`-P`).
    """
    # The `python` of a job that is submitted there is to be ours, even where our venv is not activated.
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    marks = [] if stay is None else [STAY + stay]
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-P", "-m", "cluster.head", *marks, *options],
        stdin=subprocess.PIPE if stay is None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=own_code.environment() | {"PATH": commands},
        cwd=None if stay is None else "/",
        start_new_session=True,  # Ctrl-C is for us, who still need it for a while
    )


def ready(
    head: subprocess.Popen[bytes], is_over: Callable[[], bool] = lambda: False
) -> Told | None:
    """What it has to say once its cluster is there; None if `is_over` says first that it is late.

    That it takes long is logged, once. Raises CandlefleetError if it does not start.
    """
    assert head.stdout is not None
    began_s, is_said = time.monotonic(), False
    while not select.select([head.stdout], [], [], _LOOK_EVERY_S)[0]:
        if is_over():
            return None
        lasted_s = time.monotonic() - began_s
        if lasted_s > READY_WITHIN_S:
            raise CandlefleetError(f"Ray was not there in {READY_WITHIN_S:g} s")
        if lasted_s > SAY_AFTER_S and not is_said:
            log.warning("ray.starting", extra={"at_most_s": READY_WITHIN_S})
            is_said = True
    told = json.loads(head.stdout.readline() or '{"error": "it died"}')
    if "error" in told:
        reason = str(told["error"]).strip().splitlines()[0]
        raise CandlefleetError(f"Ray does not start on this machine: {reason}")
    return Told(**told)


def end_head(process: psutil.Process) -> None:
    """End it and all it has started, in bounded time."""
    with suppress(psutil.NoSuchProcess):
        family = [process, *process.children(recursive=True)]
        process.terminate()
        _, left = psutil.wait_procs(family, ENDED_WITHIN_S)
        for each in left:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(left, ENDED_WITHIN_S)


def _let_go(head: subprocess.Popen[bytes]) -> None:
    assert head.stdin is not None
    assert head.stdout is not None
    head.stdin.close()
    try:
        head.wait(ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        end_head(psutil.Process(head.pid))
        head.wait()
    head.stdout.close()


def _is_filled(token: Path) -> bool:
    """An empty one, as a full disk or a lost journal leaves it, lets nobody in."""
    return token.exists() and token.stat().st_size > 0


def write_privately(path: Path, text: str) -> None:
    """In place of what is there, whole or not at all; one process at a time may."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # a killed one's
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
