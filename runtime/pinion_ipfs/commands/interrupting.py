"""Commands that a signal ends within a second, whatever they wait for, and that leave nothing half written.

SIGINT, SIGTERM and SIGHUP unwind a command: an event loop by cancelling its task, anything else by KeyboardInterrupt. A thread
may hang in a read, a write or a lookup, and so may the unwinding: half a second later, or at a second signal, the process ends
as it is, without what was registered as unfinished. A thread sees to that: the main one may wait where no handler runs.
"""

import asyncio
import os
import select
import shutil
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

UNWIND_SECONDS = 0.5
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TRIES = 20  # to remove a directory while a thread that is about to end still writes into it
_T = TypeVar("_T")


@dataclass
class _State:
    number: int = 0  # of the signal that came first
    unfinished: set[Path] = field(default_factory=set)
    cancel: Callable[[], object] | None = None  # how to end the event loop's task


_state = _State()


def take_over() -> None:
    """Let signals unwind what this process does from now on."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(read,), daemon=True).start()
    for number in _SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # else somebody said `nohup`
            signal.signal(number, _told)


def exit_code() -> int:
    """Return the exit code of what a KeyboardInterrupt ended: 128 and the signal's number."""
    return 128 + (_state.number or signal.SIGINT)


def was_told() -> bool:
    """Tell whether a signal has come: then whoever reads our output may never read it."""
    return _state.number != 0


def run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to the end as `asyncio.run` does, but let an interrupt wait for no thread: one may ask a hub that is silent.

    Whoever catches the KeyboardInterrupt ends the process, and so the thread.
    """

    async def watched() -> _T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def cancel() -> None:
            task.cancel()
            loop.call_soon_threadsafe(lambda: None)  # it may sleep

        _state.cancel = cancel
        try:
            return await work
        finally:
            _state.cancel = None

    runner = asyncio.Runner()
    try:
        result = runner.run(watched())
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if was_told():
            raise KeyboardInterrupt from error
        runner.close()
        raise
    runner.close()
    return result


@contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Take away what lies at `path` when the block or the process ends, however it ends; what is whole was renamed before."""
    _state.unfinished.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _state.unfinished.discard(path)


def _told(number: int, frame: FrameType | None) -> None:
    if _state.number:
        return  # the second: the process ends
    _state.number = number
    if _state.cancel is None:
        raise KeyboardInterrupt
    _state.cancel()


def _watch(pipe: int) -> NoReturn:
    """End the process when it has not ended by itself half a second after the first signal, and at once after the second."""
    first = 0
    while first not in _SIGNALS:
        first = os.read(pipe, 1)[0]
    select.select([pipe], [], [], UNWIND_SECONDS)
    for path in tuple(_state.unfinished):
        _remove(path)
    os._exit(128 + first)


def _remove(path: Path) -> None:
    for _ in range(_TRIES):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if not os.path.lexists(path):
            return
