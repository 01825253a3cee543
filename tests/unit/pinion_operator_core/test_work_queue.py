import asyncio
from collections import Counter

import pytest

from pinion_operator.controller.queue import LONGEST, SHORTEST, WorkQueue
from pinion_operator.resources.kinds import IPFSBACKEND, MODELDEPLOYMENT, Ref

A, B = Ref(MODELDEPLOYMENT, "ns", "a"), Ref(MODELDEPLOYMENT, "ns", "b")


async def empty(queue: WorkQueue) -> bool:
    """Return whether nothing is handed out now."""
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    taken = waiting.done()
    waiting.cancel()
    return not taken


async def test_many_wishes_for_one_are_one() -> None:
    queue = WorkQueue()
    for _ in range(5):
        queue.add(A)
    queue.add(B)
    assert queue.depth == 2
    assert [await queue.get(), await queue.get()] == [A, B]
    assert await empty(queue)


async def test_the_same_name_of_another_kind_is_another() -> None:
    queue = WorkQueue()
    queue.add(A)
    queue.add(Ref(IPFSBACKEND, "ns", "a"))
    assert queue.depth == 2


async def test_one_that_is_being_worked_on_is_not_handed_out_and_comes_again_after() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert await queue.get() == A
    queue.add(A)
    queue.add(A)
    assert await empty(queue)
    queue.done(A)
    assert await queue.get() == A
    queue.done(A)
    assert await empty(queue)


async def test_never_with_two_workers() -> None:
    queue, active, seen = WorkQueue(), Counter[Ref](), Counter[Ref]()
    refs = [Ref(MODELDEPLOYMENT, "ns", str(number)) for number in range(10)]
    finished = {ref: asyncio.Event() for ref in refs}

    async def work() -> None:
        while ref := await queue.get():
            active[ref] += 1
            assert active[ref] == 1
            await asyncio.sleep(0)
            active[ref] -= 1
            seen[ref] += 1
            queue.done(ref)
            finished[ref].set()

    workers = [asyncio.create_task(work()) for _ in range(8)]
    for _ in range(50):
        for ref in refs:
            queue.add(ref)
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await asyncio.gather(*(once.wait() for once in finished.values()))
    queue.close()
    await asyncio.gather(*workers)
    assert set(seen) == set(refs)


async def test_the_earliest_wish_wins() -> None:
    queue = WorkQueue()
    queue.add(A, after=1000)
    queue.add(A, after=2000)
    assert queue.delayed == 1
    queue.add(A, after=0.01)
    assert queue.delayed == 1
    async with asyncio.timeout(5):
        assert await queue.get() == A
    queue.done(A, after=1000)
    assert queue.delayed == 1
    queue.add(A)
    assert (queue.depth, queue.delayed) == (1, 0)


async def test_failures_in_a_row_wait_longer_until_one_succeeds() -> None:
    queue = WorkQueue()
    waits = []
    for _ in range(20):
        queue.add(A)
        await queue.get()
        waits.append(queue.failed(A))
    assert waits[0] == pytest.approx(SHORTEST, rel=0.25)
    assert waits[3] == pytest.approx(SHORTEST * 8, rel=0.25)
    assert waits[-1] == pytest.approx(LONGEST, rel=0.25)
    queue.add(A)
    await queue.get()
    queue.done(A)
    queue.add(A)
    await queue.get()
    assert queue.failed(A) == pytest.approx(SHORTEST, rel=0.25)


async def test_a_server_that_names_a_time_is_given_it() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    assert queue.failed(A, at_least=30) == 30


async def test_an_event_cuts_a_backoff_short() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.failed(A, at_least=1000)
    queue.add(A)
    assert await queue.get() == A


async def test_whoever_was_asked_to_wait_waits_whatever_happens() -> None:
    queue = WorkQueue()
    queue.add(A)
    await queue.get()
    queue.add(A)  # while it is being worked on
    queue.failed(A, at_least=2, hold=True)
    queue.add(A)
    queue.add(B)
    assert await queue.get() == B
    assert await empty(queue)
    assert queue.delayed == 1
    async with asyncio.timeout(20):
        assert await queue.get() == A
    queue.done(A)
    queue.add(A)
    assert await queue.get() == A, "only once"


async def test_closing_wakes_all_workers_and_hands_out_nothing() -> None:
    queue = WorkQueue()
    queue.add(B, after=1000)
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.add(A)
    queue.close()
    assert set(await asyncio.gather(*waiting)) <= {None, A}
    queue.add(A)
    assert await queue.get() is None
    assert queue.delayed == 0


async def test_the_time_in_the_queue_is_told() -> None:
    waits: list[float] = []
    queue = WorkQueue(on_wait=waits.append)
    queue.add(A)
    await queue.get()
    assert len(waits) == 1
    assert waits[0] >= 0


async def test_what_is_held_at_its_end_comes_no_sooner_whatever_happens_meanwhile() -> None:
    queue = WorkQueue()
    queue.add(A)
    assert await queue.get() == A
    queue.add(A)  # what the pass itself has written comes back as an event
    started = asyncio.get_running_loop().time()
    queue.done(A, after=60.0, hold=0.3)
    queue.add(A)
    async with asyncio.timeout(20):
        assert await queue.get() == A
    assert asyncio.get_running_loop().time() - started >= 0.3
