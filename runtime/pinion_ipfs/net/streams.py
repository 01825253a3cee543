"""Blocking iterators on an event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TypeVar

T = TypeVar("T")


async def in_thread(open_iterator: Callable[[], Iterator[T]]) -> AsyncIterator[T]:
    """Yield what a blocking iterator of values other than None yields, each step in a worker thread."""
    iterator = await asyncio.to_thread(open_iterator)
    try:
        while (value := await asyncio.to_thread(next, iterator, None)) is not None:
            yield value
    finally:
        if isinstance(iterator, Generator):
            iterator.close()
