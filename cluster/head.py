"""The process that holds a Ray cluster of ours on this machine: `python -m cluster.head`.

It stands outside the terminal's process group: Ctrl-C is for the driver. Unless it is to stay, it ends with
the driver however that ends, kill -9 included: its stdin closes. It takes all of Ray's processes along.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from cluster.local_cluster import DASHBOARD, NAMED_IN, STAY

#: Candles pass through here on their way from fetchers to the writer, never the whole of them at once.
OBJECT_STORE_BYTES = 300 * 2**20

HOST = "127.0.0.1"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
GONE_WITHIN_S = 5.0
HEARD_WITHIN_S = 1.0
FORGOTTEN_AFTER_S = 3_600.0  # what a head that was killed has left
NAMED_WITHIN_S = 30.0  # from its start on: it is written down once it is ready
LOOK_FOR_NAME_EVERY_S = 5.0
LOOK_EVERY_S = 0.5  # whether one of Ray's own processes has died: then there is no cluster any more


def main() -> None:
    """Start a cluster, tell of it in a line of JSON, and hold it until it is to end.

    Of one that has failed, what Ray has written down remains.
    """
    has_failed = True
    # Where it can, the main thread ends it: it is the one that starts processes, so none comes unseen.
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler)
    name = _name(sys.argv)
    if name is None:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        node = _start(with_dashboard=DASHBOARD in sys.argv)
        while not node.dead_processes():
            time.sleep(LOOK_EVERY_S)
            if name is not None and name.is_gone(time.monotonic()):
                has_failed = False
                break
    except KeyboardInterrupt:
        has_failed = False
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told
        _tell({"error": str(error) or repr(error)})
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _end(keep_logs=has_failed)


class Name:
    """The word in a file by which one that stays is found: without it, nobody could use or end it."""

    def __init__(self, file: Path, mark: str, now_s: float) -> None:
        self._file, self._mark = file, mark
        self._seen_s = self._looked_s = now_s

    def is_gone(self, now_s: float) -> bool:
        """Whether it has been missing for long: so it is, too, before it is written."""
        if now_s - self._looked_s < LOOK_FOR_NAME_EVERY_S:
            return False
        self._looked_s = now_s
        try:
            is_there = self._mark in self._file.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError):
            is_there = False
        except OSError:  # a disk's trouble says nothing of what is on it
            is_there = True
        if is_there:
            self._seen_s = now_s
        return now_s - self._seen_s > NAMED_WITHIN_S


def _name(argv: list[str]) -> Name | None:
    """None for one that ends with its driver."""
    told = [
        word.removeprefix(option)
        for option in (NAMED_IN, STAY)
        for word in argv
        if word.startswith(option)
    ]
    return Name(Path(told[0]), told[1], time.monotonic()) if told else None


def _tell(news: dict[str, str | None]) -> None:
    os.write(1, json.dumps(news).encode() + b"\n")


def _start(*, with_dashboard: bool) -> Any:
    """Ray's public ways start a dashboard's server in any case, and leave processes behind at kill -9.

    So inner names of Ray's are used here; pyproject.toml allows only the version they are known of.
    """
    from ray._private import utils
    from ray._private.node import Node
    from ray._private.parameter import RayParams

    _need(Node, "start_api_server", "dead_processes")
    _need(utils, "get_dashboard_dependency_error")
    if not with_dashboard:
        # Ray goes by what is installed: where a dashboard could run, it starts a node's share of one, and
        # waits for it.
        utils.get_dashboard_dependency_error = lambda: ImportError("none was asked for")
        # Even without one it would start its server: a second and 80 MB for what nobody asks of it.
        Node.start_api_server = lambda *_, **__: None  # type: ignore[method-assign]
    elif (lacking := utils.get_dashboard_dependency_error()) is not None:
        install = f"{shlex.quote(sys.executable)} -m pip install 'ray[default]'"
        raise RuntimeError(f"a dashboard needs more of Ray; install it with: {install} ({lacking})")
    params: dict[str, Any] = {
        "node_ip_address": HOST,
        "num_gpus": 0,
        "object_store_memory": OBJECT_STORE_BYTES,
        "temp_dir": str(_sessions()),
        "include_dashboard": with_dashboard,
        "dashboard_host": HOST,
        "include_log_monitor": False,  # it would carry what actors print to the driver
        "no_monitor": True,  # that is the autoscaler
    }
    _forget(_sessions(), time.time())
    node: Any = Node(RayParams(**params), head=True, shutdown_at_exit=False, spawn_reaper=True)
    url = f"http://{node.webui_url}" if with_dashboard else None
    _tell({"address": node.gcs_address, "dashboard": url})
    return node


def _need(owner: Any, *names: str) -> None:
    """Raise RuntimeError if Ray has not these: one that is gone would be replaced without effect."""
    for name in names:
        if not hasattr(owner, name):
            problem = f"this version of it has no {owner.__name__}.{name}; candlefleet needs 2.60"
            raise RuntimeError(problem)


def _sessions() -> Path:
    """Where Ray has a folder for each cluster, by the process that has started it."""
    return _private_folder() / "ray"


def _forget(sessions: Path, now_s: float) -> None:
    """Delete the folders of heads that were killed, an hour after: none of Ray's processes is left then."""
    for folder in sessions.glob("session_*_*"):
        with suppress(OSError, ValueError):
            is_old = folder.stat().st_mtime < now_s - FORGOTTEN_AFTER_S
            if is_old and not psutil.pid_exists(int(folder.name.rpartition("_")[2])):
                shutil.rmtree(folder)


def _private_folder() -> Path:
    """Where Ray's sockets and logs are. Ray lets everybody read them, so nobody may come near.

    The paths of sockets must be short, so it is not in the state folder.
    """
    folder = Path(os.environ.get("RAY_TMPDIR", "/tmp")) / f"candlefleet-{os.getuid()}"  # noqa: S108
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or stat.S_IMODE(about.st_mode) & 0o077 or folder.is_symlink():
        raise PermissionError(f"{folder} is not this user's alone")
    return folder


def _end_with_stdin() -> None:
    # Past sys.stdin's buffer, whose lock a thread must not hold when the interpreter ends.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(HEARD_WITHIN_S)
    _end(keep_logs=False)  # the main thread is inside a library's long call, and starts nothing


def _end(*, keep_logs: bool) -> None:
    """Kill at once: whoever wanted a slower end has had it."""
    family = psutil.Process().children(recursive=True)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, GONE_WITHIN_S)
    if not keep_logs:
        with suppress(OSError):
            for folder in _sessions().glob(f"session_*_{os.getpid()}"):
                shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
