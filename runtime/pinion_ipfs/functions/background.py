"""One event loop in a thread of its own, on which all backends live: callers may be in any thread, within a loop or without.

It starts with the first call and ends with the process. A child that was forked starts another: of the parent's it has the
sockets and no thread.
"""

import asyncio
import atexit
import concurrent.futures
import contextlib
import ctypes
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_END_SECONDS = 5.0  # for what is open at the end of the process


class Background:
    """A loop that runs in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pinion-ipfs", daemon=True)
        self._at_end: list[Callable[[], Awaitable[None]]] = []
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Start work on the loop; to cancel the future cancels the work."""
        if threading.current_thread() is self._thread:
            work.close()
            raise RuntimeError("a function of pinion_ipfs was called on the loop of its backends, which would wait for itself")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def at_end(self, close: Callable[[], Awaitable[None]]) -> None:
        """Call this on the loop before it ends."""
        self._at_end.append(close)

    def end(self) -> None:
        """Cancel what runs, close what is open, and end the thread."""
        with contextlib.suppress(concurrent.futures.TimeoutError, RuntimeError):
            self.submit(self._finish()).result(_END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _finish(self) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for close in self._at_end:
            with contextlib.suppress(Exception):
                await close()


class _State:
    """What this process has of it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: Background | None = None
        self.ended = False


_state = _State()


def background() -> Background:
    """Return this process's loop."""
    with _state.lock:
        if _state.ended:
            raise RuntimeError("the process is about to end")
        if _state.running is None:
            _state.running = Background()
        return _state.running


def call(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end and return what it returns, for a caller that waits."""
    try:
        loop = background()
    except RuntimeError:
        work.close()
        raise
    future = loop.submit(work)
    try:
        return future.result()
    except BaseException:
        future.cancel()  # an interrupt while it runs
        raise


async def await_call(work: Coroutine[Any, Any, T]) -> T:
    """Run work to its end and return what it returns, for a caller on a loop of its own."""
    try:
        loop = background()
    except RuntimeError:
        work.close()
        raise
    return await asyncio.wrap_future(loop.submit(work))


def _end() -> None:
    with _state.lock:
        running, _state.running, _state.ended = _state.running, None, True
    if running is not None:
        running.end()


def _forget() -> None:
    """Leave the parent's loop alone for ever: to close one of its sockets here would take it from the parent's epoll."""
    global _state
    if _state.running is not None:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(_state.running))
    _state = _State()


atexit.register(_end)
os.register_at_fork(after_in_child=_forget)
