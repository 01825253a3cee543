"""uvicorn as a listener only: it neither takes signals nor decides when the process ends."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from pinion_ipfs.serving.sockets import listen

from .app import App

_BACKLOG = 2048
_KEEP_ALIVE_SECONDS = 75  # longer than the pools of usual clients keep a connection, so that they close it, not we


class Listener(uvicorn.Server):
    """One port; `serve_until_stopped` ends after `stop`, when the last answer has been sent."""

    def __init__(self, app: App, host: str, port: int) -> None:
        self.socket = listen(host, port)
        self.socket.set_inheritable(False)
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE_SECONDS,
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
