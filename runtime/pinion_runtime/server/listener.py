"""uvicorn as a listener only: it neither takes signals nor decides when the process ends."""

import asyncio
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvicorn

from pinion_ipfs.net.sockets import listen

from .app import App
from .connection import Bounds, Connection, Port

_BACKLOG = 2048


class Listener(uvicorn.Server):
    """One port; `serve_until_stopped` ends after `stop`, when the last answer has been sent."""

    def __init__(self, app: App, host: str, port: int, bounds: Bounds | None = None) -> None:
        self.socket = listen(host, port)
        self.socket.set_inheritable(False)
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=cast(
                    type[asyncio.Protocol], functools.partial(Connection, Port(app, bounds or Bounds()))
                ),  # it is only called
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: uvicorn would raise them again after its own end."""
        yield

    async def serve_until_stopped(self) -> None:
        """Accept and answer until `stop`."""
        await self.serve(sockets=[self.socket])

    def stop(self) -> None:
        """Accept nothing more, finish what is in flight, and close what is idle."""
        self.should_exit = True

    def abort(self) -> None:
        """Wait for no connection any more."""
        self.force_exit = True
