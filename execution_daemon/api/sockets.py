"""uvicorn's WebSocket, except that it lets go of a peer that has stopped taking anything.

uvicorn waits until what is buffered was taken, also before a close: a stopped peer would hold its connection for ever.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class FeedSocket(WebSocketsSansIOProtocol):
    """Cuts the connection where a close cannot be told, or a ping was not answered and something is still unsent."""

    async def send(self, message: Any) -> None:
        """As uvicorn; a close of a socket that takes nothing cuts it, and the peer sees it broken (1006)."""
        if message["type"] == "websocket.close" and not self.writable.is_set():
            self.transport.abort()
            return
        await super().send(message)

    def keepalive_timeout(self) -> None:
        """As uvicorn, without waiting for what nobody takes."""
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
