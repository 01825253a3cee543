"""Calls of somebody else's blocking code, each with a deadline: in a thread that keeps no process from ending."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T], seconds: float) -> T:
    """Return what `work` returns; raise TimeoutError after `seconds`, when the thread is left to itself."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(end: Callable[[], None]) -> None:
        if not done.done():
            end()

    def run() -> None:
        try:
            end = partial(done.set_result, work())
        except BaseException as error:  # whatever it is, the waiting call ends
            end = partial(done.set_exception, _carried(error))
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(tell, end)

    threading.Thread(target=run, name="pinion-ipfs-call", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await done


def _carried(error: BaseException) -> Exception:
    """Return an exception that a future can hold; an exit or an interrupt in a thread is a failure of its call."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration | TimeoutError):
        return error
    return RuntimeError(f"{type(error).__name__}: {error}")
