"""What several async iterators yield, as it comes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TypeVar

T = TypeVar("T")


async def merge(iterators: Sequence[AsyncIterator[T]]) -> AsyncGenerator[T, None]:
    """Yield the items of all, each iterator's in its order; what one raises is raised, and the others are left as they are."""
    if len(iterators) == 1:
        async for item in iterators[0]:
            yield item
        return
    waiting = {_next(iterator): iterator for iterator in iterators}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                iterator = waiting.pop(task)
                try:
                    item = task.result()
                except StopAsyncIteration:
                    continue
                waiting[_next(iterator)] = iterator
                yield item
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _next(iterator: AsyncIterator[T]) -> "asyncio.Task[T]":
    async def step() -> T:
        return await anext(iterator)

    return asyncio.create_task(step())
