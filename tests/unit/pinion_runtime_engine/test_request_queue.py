"""The queue, with the test on the other side of the protocol: it sees each batch and decides when its results come."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from pinion_runtime.engines.protocol import Done, Failure, MemoryUse
from pinion_runtime.errors import DeadlineExceeded, EngineDied, NonFiniteResult
from pinion_runtime.scheduling.refusals import QueueFull, RequestTooLarge
from pinion_runtime.scheduling.texts import BatchStats, RequestQueue, Result
from tests.support.queue_peer import Peer, in_a_moment, numbers, soon, start


@pytest.fixture
async def queue() -> AsyncIterator[RequestQueue]:
    made = RequestQueue(4, 2, 10)
    yield made
    made.close(EngineDied("the test is over"))


async def test_an_idle_worker_gets_a_request_at_once(queue: RequestQueue) -> None:
    peer = Peer(queue)
    queue.grant(peer, 1)
    (task,) = await start(queue, [[7, 8]])
    assert peer.texts() == [[7, 8]]
    assert (queue.queued_requests, queue.running_requests) == (0, 1)
    peer.answer()
    assert numbers(await task) == [7.0]
    assert (queue.queued_requests, queue.running_requests) == (0, 0)


async def test_a_credit_takes_all_that_waits_up_to_the_budget(queue: RequestQueue) -> None:
    peer = Peer(queue)
    tasks = await start(queue, [[1] * 4], [[2] * 4], [[3] * 4])
    assert queue.queued_requests == 3
    queue.grant(peer, 1)
    assert [text[0] for text in peer.texts()] == [1, 2]  # 8 of 10 tokens: the third does not fit
    assert len(peer.batches) == 1
    peer.answer()
    assert [text[0] for text in peer.texts()] == [3]
    peer.answer()
    assert [numbers(await task) for task in tasks] == [[1.0], [2.0], [3.0]]


async def test_idle_workers_share_what_waits(queue: RequestQueue) -> None:
    peers = Peer(queue), Peer(queue)
    await start(queue, [[1]], [[2]], [[3]])
    queue.set_limits(0, 6)  # hold everything back until both are idle
    for peer in peers:
        queue.grant(peer, 1)
    queue.set_limits(4, 2)
    assert sorted(len(peer.texts()) for peer in peers) == [1, 2]


async def test_a_large_request_is_cut_into_batches_and_put_together(queue: RequestQueue) -> None:
    peer = Peer(queue)
    (task,) = await start(queue, [[n] * 4 for n in range(5)])
    queue.grant(peer, 1)
    for _ in range(3):
        assert not task.done()
        peer.answer()
    result = await task
    assert numbers(result) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert result.tokens == 20
    assert [len(peer.texts(place)) for place in range(3)] == [2, 2, 1]


async def test_a_text_longer_than_a_batch_goes_alone(queue: RequestQueue) -> None:
    peer = Peer(queue)
    tasks = await start(queue, [[1] * 30], [[2]])
    queue.grant(peer, 1)
    assert [len(text) for text in peer.texts()] == [30]
    peer.answer()
    peer.answer()
    await asyncio.gather(*tasks)


async def test_concurrency_is_bounded() -> None:
    queue = RequestQueue(2, 4, 100)
    peer = Peer(queue)
    tasks = await start(queue, [[1]], [[2]], [[3]])
    queue.grant(peer, 2)
    assert [text[0] for text in peer.texts()] == [1, 2]
    assert len(peer.batches) == 1
    assert (queue.queued_requests, queue.running_requests) == (1, 2)
    peer.answer()
    peer.answer()
    await asyncio.gather(*tasks)


async def test_full_is_refused_with_a_time_from_the_drain_rate() -> None:
    queue = RequestQueue(1, 1, 100)
    peer = Peer(queue)
    await start(queue, [[1]])
    queue.grant(peer, 1)
    await start(queue, [[2]])
    with pytest.raises(QueueFull) as refused:
        await queue.submit([[3]], deadline=soon())
    assert 1 <= refused.value.retry_after_seconds <= 120
    began = time.monotonic()
    peer.answer()
    await start(queue, [[3] * 100])
    rate_at_least = 1 / (time.monotonic() - began + 60)
    assert 1 <= queue.retry_after() <= min(120, 101 / rate_at_least)


async def test_too_large_is_told_from_full() -> None:
    queue = RequestQueue(2, 2, 10, max_tokens=20)
    with pytest.raises(RequestTooLarge, match="21 tokens is larger than the whole queue of 20"):
        await queue.submit([[1] * 21], deadline=soon())
    await start(queue, [[1] * 15])
    with pytest.raises(QueueFull):
        await queue.submit([[1] * 6], deadline=soon())


async def test_a_request_past_its_deadline_is_not_computed(queue: RequestQueue) -> None:
    peer = Peer(queue)
    with pytest.raises(DeadlineExceeded, match="in the queue"):
        await queue.submit([[1]], deadline=in_a_moment())
    with pytest.raises(DeadlineExceeded, match="before the request was queued"):
        await queue.submit([[1]], deadline=time.monotonic())
    queue.grant(peer, 1)
    assert peer.batches == []
    assert queue.queued_requests == 0


async def test_a_running_request_past_its_deadline_fails_and_is_cancelled(queue: RequestQueue) -> None:
    peer = Peer(queue)
    queue.grant(peer, 1)
    with pytest.raises(DeadlineExceeded, match="while it was computed"):
        await queue.submit([[1]], deadline=in_a_moment())
    assert peer.cancelled == [peer.batches[0].parts[0].key]
    assert queue.running_requests == 0
    peer.answer()  # comes too late for anybody, and gives the credit back
    (task,) = await start(queue, [[2]])
    peer.answer()
    assert numbers(await task) == [2.0]


async def test_the_earliest_deadline_counts_whatever_the_order(queue: RequestQueue) -> None:
    (late,) = await start(queue, [[1]])
    with pytest.raises(DeadlineExceeded):
        await queue.submit([[2]], deadline=in_a_moment())
    assert not late.done()
    assert queue.queued_requests == 1


async def test_a_client_that_goes_is_dropped_before_compute(queue: RequestQueue) -> None:
    peer = Peer(queue)
    first, gone, last = await start(queue, [[1]], [[2]], [[3]])
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert queue.queued_requests == 2
    queue.grant(peer, 1)
    assert [text[0] for text in peer.texts()] == [1, 3]
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert peer.cancelled == [peer.batches[0].parts[0].key]
    peer.answer()
    assert numbers(await last) == [3.0]


async def test_one_failure_is_one_request_s(queue: RequestQueue) -> None:
    peer = Peer(queue)
    bad, good = await start(queue, [[1]], [[2]])
    queue.grant(peer, 1)
    peer.answer(failures={0: Failure.of(NonFiniteResult("NaN"))})
    with pytest.raises(NonFiniteResult, match="NaN"):
        await bad
    assert numbers(await good) == [2.0]


async def test_a_lost_worker_fails_what_it_held_and_nothing_else(queue: RequestQueue) -> None:
    peer, other = Peer(queue), Peer(queue)
    held, waiting = await start(queue, [[1] * 8], [[2] * 8])
    queue.grant(peer, 1)
    queue.lose(peer, EngineDied("killed by SIGKILL"))
    with pytest.raises(EngineDied, match="SIGKILL"):
        await held
    assert not waiting.done()
    queue.finish(peer, Done(peer.batches[0].number, [], 0.0, 0, MemoryUse(), credits=0))  # its last words change nothing
    queue.grant(other, 1)
    other.answer()
    assert numbers(await waiting) == [2.0]
    assert len(peer.batches) == 1


async def test_a_lost_worker_s_credits_are_gone(queue: RequestQueue) -> None:
    peer = Peer(queue)
    queue.grant(peer, 2)
    queue.lose(peer, EngineDied("gone"))
    (task,) = await start(queue, [[1]])
    assert peer.batches == []
    task.cancel()


async def test_close_fails_everybody_and_refuses_the_next(queue: RequestQueue) -> None:
    peer = Peer(queue)
    queue.grant(peer, 1)
    tasks = await start(queue, [[1] * 8], [[2] * 8])
    queue.close(EngineDied("shutting down"))
    for task in tasks:
        with pytest.raises(EngineDied, match="shutting down"):
            await task
    with pytest.raises(EngineDied):
        await queue.submit([[1]], deadline=soon())


async def test_what_metrics_are_told() -> None:
    seen: list[BatchStats] = []
    queue = RequestQueue(4, 4, 100, on_batch=seen.append)
    peer = Peer(queue)
    tasks = await start(queue, [[1, 1], [1]], [[2, 2, 2]])
    queue.grant(peer, 1)
    peer.answer()
    await asyncio.gather(*tasks)
    (stats,) = seen
    assert (stats.requests, stats.texts, stats.tokens, stats.padded_tokens, stats.compute_seconds) == (2, 3, 6, 10, 0.01)
    assert len(stats.wait_seconds) == 2
    assert all(0 <= wait < 60 for wait in stats.wait_seconds)


async def test_no_texts_are_no_work(queue: RequestQueue) -> None:
    assert await queue.submit([], deadline=soon()) == Result([], 0)
