"""A task that waits for the API server keeps no place; everybody gets one in the end."""

import asyncio

from pinion_operator.controller.slots import Slots


async def test_so_many_at_once_and_no_more() -> None:
    slots, working, most = Slots(2), 0, 0

    async def work() -> None:
        nonlocal working, most
        async with slots:
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*(work() for _ in range(20)))
    assert most == 2


async def test_who_waits_lets_others_work_and_goes_on_without_queueing() -> None:
    slots, told, order = Slots(1), asyncio.Event(), list[str]()

    async def waits() -> None:
        async with slots:
            with slots.parked():
                await told.wait()
            order.append("goes on")

    async def works() -> None:
        async with slots:
            told.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            order.append("worked")

    async with asyncio.timeout(5):
        await asyncio.gather(waits(), works())
    assert order == ["goes on", "worked"], "it did not wait for the other to end"


async def test_after_any_number_of_waits_there_are_as_many_places_as_before() -> None:
    slots, working, most = Slots(3), 0, 0

    async def wait_often() -> None:
        async with slots:
            for _ in range(5):
                with slots.parked():
                    await asyncio.sleep(0)

    async def work() -> None:
        nonlocal working, most
        async with slots:
            working += 1
            most = max(most, working)
            await asyncio.sleep(0)
            working -= 1

    await asyncio.gather(*(wait_often() for _ in range(30)))
    await asyncio.gather(*(work() for _ in range(30)))
    assert most == 3


async def test_a_task_that_works_in_no_place_gives_none_away() -> None:
    slots = Slots(1)

    async def beside() -> None:
        with slots.parked():
            await asyncio.sleep(0)

    async with slots:
        await asyncio.create_task(beside())
        another = asyncio.create_task(slots.__aenter__())
        await asyncio.sleep(0)
        assert not another.done(), "the only place is taken"
    await another


async def test_a_wait_that_is_cancelled_leaves_the_place_to_the_next() -> None:
    slots, parked = Slots(1), asyncio.Event()

    async def waits() -> None:
        async with slots:
            with slots.parked():
                parked.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await parked.wait()
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(5), slots:
        pass
