"""Several iterators as one: what comes, in which order, and what becomes of the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from pinion_runtime.server.tasks.generation.merging import merge


async def numbers(*values: int, gate: asyncio.Event | None = None) -> AsyncIterator[int]:
    for value in values:
        if gate is not None:
            await gate.wait()
        yield value


async def endless() -> AsyncIterator[int]:
    await asyncio.Event().wait()
    yield 0


async def failing() -> AsyncIterator[int]:
    yield 7
    raise ValueError("broken")


@pytest.mark.parametrize("lists", [[], [()], [(1, 2, 3)], [(1, 2), (3, 4)], [(1,), (), (2, 3)]], ids=str)
async def test_all_items_come_each_list_in_its_order(lists: list[tuple[int, ...]]) -> None:
    found = [item async for item in merge([numbers(*values) for values in lists])]
    assert sorted(found) == sorted(value for values in lists for value in values)
    for values in lists:
        assert [item for item in found if item in values] == list(values)


async def test_nobody_waits_for_one_that_is_slow() -> None:
    gate = asyncio.Event()
    merged = merge([numbers(1, 2, gate=gate), numbers(3, 4)])
    assert [await anext(merged), await anext(merged)] == [3, 4]
    gate.set()
    assert [item async for item in merged] == [1, 2]


async def test_what_one_raises_is_raised_and_nothing_is_left_waiting() -> None:
    before = asyncio.all_tasks()
    with pytest.raises(ValueError, match="broken"):
        async for _ in merge([endless(), failing()]):
            pass
    assert asyncio.all_tasks() == before


async def test_who_leaves_leaves_nothing_waiting() -> None:
    before = asyncio.all_tasks()
    async with aclosing(merge([endless(), numbers(1, 2)])) as merged:
        async for _ in merged:
            break
    assert asyncio.all_tasks() == before
