"""A real HTTP server, scripted byte by byte: it can drip, stall, reset, cut short and hang up."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest


@dataclass
class Conversation:
    """One request that came, and the means to answer it."""

    head: str
    connection: socket.socket
    closing: threading.Event
    over: bool = False

    @property
    def path(self) -> str:
        return self.head.split(" ")[1]

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.split("\r\n")[1:]
        return {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def answer(self, body: bytes, status: int = 200, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + body)

    def drip(self, content: bytes, gap_s: float = 0.02) -> None:
        """One byte at a time, until all is sent, the client is gone, or the test is over."""
        for byte in content:
            if self.closing.wait(gap_s):
                return
            self.send(bytes([byte]))

    def stall(self) -> None:
        self.closing.wait(30)

    def hang_up(self) -> None:
        self.over = True

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.over = True


Script = Callable[[Conversation], None]


@dataclass
class Server:
    script: Script
    requests: list[Conversation] = field(default_factory=list)
    connections: int = 0
    #: Set once a client has hung up on the server.
    deserted: threading.Event = field(default_factory=threading.Event)
    _closing: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(0.05)
        self._start(self._accept)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._closing.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _start(self, work: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(0.05)
        with connection:
            try:
                while (head := self._read_head(connection)) is not None:
                    connection.settimeout(5)
                    conversation = Conversation(head, connection, self._closing)
                    self.requests.append(conversation)
                    self.script(conversation)
                    if conversation.over:
                        return
                    connection.settimeout(0.05)
            except OSError:
                pass
            self.deserted.set()

    def _read_head(self, connection: socket.socket) -> str | None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if self._closing.is_set():
                return None
            with contextlib.suppress(TimeoutError):
                piece = connection.recv(65_536)
                if not piece:
                    return None
                head += piece
        return head.decode("latin-1")


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def body_of() -> Callable[..., bytes]:
    """A body as the provider writes it."""

    def write(*rows: Any) -> bytes:
        envelope = {"status": "success", "data": {"candles": list(rows)}}
        return json.dumps(envelope, separators=(",", ":")).encode()

    return write
