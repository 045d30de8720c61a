"""How an answer reaches the wire, well or badly."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cluster.lookalike.answers import Answer

_PAUSE_S = 0.1
_PIECE = b" " * 262_144
_FAREWELL_S = 5.0  # for a closed connection to be reported closed
_TRANSPORT = "lookalike.transport"
#: Closing a socket that lingers for no time sends RST in place of FIN.
_NO_LINGER = struct.pack("ii", 1, 0)


class OpenProtocol(HttpToolsProtocol):
    """Shows the application its transport, which a reset needs."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}


@dataclass(frozen=True, slots=True)
class Wire:
    """One request's way back."""

    scope: Scope
    receive: Receive
    send: Send

    async def whole(self, answer: Answer) -> None:
        await self._start(answer)
        await self._body(answer.body)

    async def truncated(self, answer: Answer) -> None:
        """Half the body, then the connection closes."""
        await self._start(answer)
        await self._body(answer.body[: len(answer.body) // 2], more=True)
        self._transport().close()
        await self._gone(_FAREWELL_S)

    async def drip(self, answer: Answer, seconds: float) -> None:
        """The body spread evenly over `seconds`."""
        await self._start(answer)
        pieces = max(2, int(seconds / _PAUSE_S))
        size = -(-len(answer.body) // pieces)
        for start in range(0, len(answer.body), size):
            await self._body(answer.body[start : start + size], more=True)
            await asyncio.sleep(seconds / pieces)
        await self._body(b"")

    async def endless(self, answer: Answer, size: int) -> None:
        """Blanks, in place of the body; until the client leaves."""
        await self._start(answer, size)
        for _ in range(size // len(_PIECE)):
            await self._body(_PIECE, more=True)
        self._transport().close()

    async def stall(self, seconds: float) -> None:
        """Nothing at all until the client leaves, or for `seconds`; then the connection breaks."""
        if not await self._gone(seconds):
            await self.reset()

    async def reset(self) -> None:
        transport = self._transport()
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
        await self._gone(_FAREWELL_S)

    async def _gone(self, seconds: float) -> bool:
        """Wait for the connection to end; whether it did within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while (await self.receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def _start(self, answer: Answer, size: int | None = None) -> None:
        headers = [
            ("content-type", answer.content_type),
            ("content-length", str(len(answer.body) if size is None else size)),
            *answer.headers,
        ]
        raw = [(name.encode(), value.encode()) for name, value in headers]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": raw})

    async def _body(self, body: bytes, *, more: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self.scope["extensions"][_TRANSPORT]["transport"]
        return transport
