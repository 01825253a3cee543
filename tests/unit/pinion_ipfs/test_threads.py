"""Blocking work in threads: what it uses is closed when it has ended, also for a caller that was cancelled."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pinion_ipfs.store.in_use import in_use
from pinion_ipfs.threads import finish_in_thread, in_thread


class Step:
    """A piece of blocking work that says when it has begun, and ends when it is told to."""

    def __init__(self) -> None:
        self.begun, self.may_end, self.ended = threading.Event(), threading.Event(), False

    def run(self) -> str:
        self.begun.set()
        assert self.may_end.wait(30)
        self.ended = True
        return "done"

    async def wait_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 30)


async def test_it_returns_what_the_function_returns_and_raises_what_it_raises() -> None:
    assert await finish_in_thread(int, "12", base=16) == 18
    with pytest.raises(ZeroDivisionError):
        await finish_in_thread(lambda: 1 // 0)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_caller_that_is_cancelled_waits_for_the_function(times: int) -> None:
    step = Step()
    task = asyncio.create_task(finish_in_thread(step.run))
    await step.wait_begun()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done(), "the thread has not ended"
    step.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert step.ended


async def test_a_timeout_is_one_after_the_function_has_ended() -> None:
    step, loop = Step(), asyncio.get_running_loop()

    async def work() -> None:
        async with asyncio.timeout(None) as limit:
            loop.call_later(0.01, limit.reschedule, 0)
            loop.call_later(0.05, step.may_end.set)  # after it
            await finish_in_thread(step.run)

    with pytest.raises(TimeoutError):
        await work()
    assert step.ended


async def test_the_error_of_a_function_that_nobody_waits_for_any_more_is_not_told() -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    step = Step()

    def fail() -> None:
        step.run()
        raise OSError("the disk is full")

    task = asyncio.create_task(finish_in_thread(fail))
    await step.wait_begun()
    task.cancel()
    step.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    gc.collect()
    assert told == []


async def test_an_iterator_is_closed_after_the_step_in_which_its_reader_was_cancelled() -> None:
    step, closed = Step(), []

    def numbers() -> Iterator[int]:
        try:
            yield 1
            step.run()
            yield 2
        finally:
            closed.append(step.ended)

    seen: list[int] = []

    async def read() -> None:
        async for number in in_thread(numbers):
            seen.append(number)

    task = asyncio.create_task(read())
    await step.wait_begun()
    task.cancel()
    await asyncio.sleep(0)
    step.may_end.set()
    with pytest.raises(asyncio.CancelledError):  # not a ValueError: generator already executing
        await task
    assert (seen, closed) == ([1], [True])


async def test_a_lock_that_came_after_its_waiter_was_cancelled_is_given_back() -> None:
    step, held = Step(), []

    @contextmanager
    def lock() -> Iterator[None]:
        step.run()
        held.append("taken")
        try:
            yield
        finally:
            held.append("given back")

    async def hold() -> None:
        async with in_use(lock()):
            held.append("used")

    task = asyncio.create_task(hold())
    await step.wait_begun()
    task.cancel()
    await asyncio.sleep(0)
    step.may_end.set()
    with suppress(asyncio.CancelledError):
        await task
    assert held == ["taken", "given back"]
