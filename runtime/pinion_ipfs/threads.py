"""Blocking work in worker threads; who is cancelled waits for the step in hand, and closes what it used after it."""

import asyncio
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def finish_in_thread(function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function in a worker thread, to its end also when the caller is cancelled: only then is the caller told.

    For what works on a file or a lock that its caller closes: asyncio.to_thread lets a cancelled caller go on while the thread
    still writes.
    """
    call = partial(contextvars.copy_context().run, partial(function, *args, **kwargs))
    work = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            try:
                await asyncio.wait([work])
            except asyncio.CancelledError:
                continue
        work.exception()  # nobody asks for it any more: else it is told as one that was never looked at
        raise


async def in_thread(open_iterator: Callable[[], Iterator[T]]) -> AsyncGenerator[T, None]:
    """Yield what a blocking iterator of values other than None yields, each step in a worker thread.

    Whoever reads it closes it (`aclosing`): a collection of garbage may find it in any thread, while its loop closes it.
    """
    iterator = await asyncio.to_thread(open_iterator)
    try:
        while (value := await finish_in_thread(lambda: next(iterator, None))) is not None:
            yield value
    finally:
        if isinstance(iterator, Generator):
            iterator.close()
