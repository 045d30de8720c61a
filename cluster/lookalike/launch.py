"""Start the look-alike: in the foreground, or beside oneself for as long as a `with` lasts."""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from cluster import own_code
from cluster.lookalike.settings import Settings

_HOST = "127.0.0.1"
_READY_WITHIN_S = 30.0
_ENDED_WITHIN_S = 5.0
_CONTROL_TIMEOUT_S = 30.0
_BACKLOG = 2048
_KEEP_ALIVE_S = 75  # like a gateway; a client that waits for its budget keeps its connection


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is handed the address once it can be reached."""
    import uvicorn

    from cluster.lookalike.delivery import OpenProtocol
    from cluster.lookalike.server import Server

    with socket.create_server((_HOST, settings.port), backlog=_BACKLOG) as listener:
        address = f"http://{_HOST}:{listener.getsockname()[1]}"

        class Announced(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                await super().startup(sockets)
                announce(address)

        config = uvicorn.Config(
            Server(settings),
            http=OpenProtocol,
            lifespan="off",
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=1,
        )
        server = Announced(config)
        if settings.with_parent:
            threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
        _end_quietly()
        server.run([listener])


def _end_with_stdin(server: Any) -> None:
    # Past sys.stdin's buffer, whose lock a thread must not hold when the interpreter ends.
    while os.read(sys.stdin.fileno(), 1024):
        pass
    server.should_exit = True


def _end_quietly() -> None:
    # uvicorn ends on these and then sends itself the signal again: to nobody, for a clean exit.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A running look-alike, in a process of its own."""

    base_url: str
    pid: int

    @property
    def assets_url(self) -> str:
        """Where the instrument master is; the same server."""
        return self.base_url

    def judge(self, *, with_log: bool = False) -> dict[str, Any]:
        """Counts since the start or the last reset; the keys are those of `Judge.report`."""
        return self._control("GET", "/judge?log=1" if with_log else "/judge", None)

    def reset(self) -> None:
        """Forget every arrival, so that all windows are empty."""
        self._control("POST", "/judge/reset", {})

    def set_faults(
        self,
        *,
        seed: int = 0,
        per_path: int | None = None,
        matching: str = "",
        **rates: float,
    ) -> None:
        """Replace all faults: `set_faults(reset=0.1)`; `set_faults()` ends them."""
        wanted = {"rates": rates, "seed": seed, "per_path": per_path, "matching": matching}
        self._control("POST", "/judge/faults", wanted)

    def set_now(self, now: datetime) -> None:
        """Set the exchange's own clock."""
        self._control("POST", "/judge/clock", {"now": now.isoformat()})

    def split(self, instrument_key: str, ratio: float, ex_date: date | None = None) -> None:
        """Rewrite its history: prices divided by `ratio`, volumes multiplied. By default, at once."""
        wanted = {"instrument_key": instrument_key, "ratio": ratio}
        self._control(
            "POST", "/judge/splits", wanted | ({"ex_date": str(ex_date)} if ex_date else {})
        )

    def set_latency(self, mean_s: float, jitter_s: float = 0.0) -> None:
        self._control("POST", "/judge/latency", {"mean_s": mean_s, "jitter_s": jitter_s})

    def _control(self, method: str, path: str, wanted: dict[str, Any] | None) -> dict[str, Any]:
        host = self.base_url.removeprefix("http://")
        connection = HTTPConnection(host, timeout=_CONTROL_TIMEOUT_S)
        try:
            connection.request(method, path, None if wanted is None else json.dumps(wanted))
            response = connection.getresponse()
            content: dict[str, Any] = json.loads(response.read())
        finally:
            connection.close()
        if response.status != HTTPStatus.OK:
            raise ValueError(content["error"])
        return content


@contextmanager
def run_lookalike(settings: Settings | None = None) -> Iterator[Lookalike]:
    """A look-alike in a process of its own, which ends with the block or with this process."""
    settings = replace(settings or Settings(), with_parent=True)
    command = [sys.executable, "-P", "-m", "cluster.lookalike", *settings.argv()]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=own_code.environment(),
        start_new_session=True,  # Ctrl-C is for the caller, who may still need an answer or two
    )
    try:
        yield Lookalike(_address(process), process.pid)
    finally:
        _end(process)


def _address(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    stdout, lines = process.stdout, queue.Queue[bytes]()
    threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=_READY_WITHIN_S)
    except queue.Empty:
        raise TimeoutError(f"the look-alike was not ready in {_READY_WITHIN_S:g} s") from None
    if not line:
        raise ChildProcessError("the look-alike ended before it was ready; see its stderr")
    address: str = json.loads(line)["base_url"]
    return address


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    process.terminate()
    try:
        process.wait(_ENDED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
