"""How the requests that wait share the batches: small ones pass large ones, large ones keep their speed, everybody drains."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable

import pytest

from pinion_runtime.errors import DeadlineExceeded, EngineDied
from pinion_runtime.scheduling.texts import RequestQueue, Result
from tests.support.queue_peer import Peer, in_a_moment, numbers, soon, start

BUDGET = 2048
BULK = [[7] * 100] * 512  # 26 batches


@pytest.fixture
async def make_queue() -> AsyncIterator[Callable[..., RequestQueue]]:
    """Makes queues that are closed with the test."""
    made: list[RequestQueue] = []

    def make(max_concurrent: int = 64, *, credits: int = 1) -> tuple[RequestQueue, Peer]:
        queue = RequestQueue(max_concurrent, 4096, BUDGET, max_tokens=10**9)
        made.append(queue)
        peer = Peer(queue)
        queue.grant(peer, credits)
        return queue, peer

    yield make
    for queue in made:
        queue.close(EngineDied("the test is over"))


async def drain(peer: Peer, *tasks: asyncio.Task[Result], batches: int = 10_000) -> int:
    """Answer batch by batch until these are done; return how many batches that took."""
    for number in range(batches):
        if all(task.done() for task in tasks):
            await asyncio.sleep(0)  # their callbacks
            return number
        peer.answer_next()
        await asyncio.sleep(0)
    raise AssertionError(f"not done within {batches} batches")


@pytest.mark.parametrize("text", [[1, 2, 3], [1] * 256, [1] * 2048, [1] * 8192], ids=len)
@pytest.mark.parametrize("bulks", [1, 5, 64])
@pytest.mark.parametrize("max_concurrent", [1, 64])
async def test_one_text_waits_for_two_batches_at_most(
    make_queue: Callable[..., tuple[RequestQueue, Peer]], text: list[int], bulks: int, max_concurrent: int
) -> None:
    queue, peer = make_queue(max_concurrent)
    await start(queue, *([BULK] * bulks))
    for _ in range(2 * bulks):  # all of them are under way
        peer.answer_next()
    for _ in range(3):
        (small,) = await start(queue, [text])
        assert await drain(peer, small) <= 2


@pytest.mark.parametrize("credits", [1, 2])
async def test_the_large_request_keeps_its_speed(make_queue: Callable[..., tuple[RequestQueue, Peer]], credits: int) -> None:
    alone, own = make_queue(credits=credits)
    (bulk,) = await start(alone, BULK)
    batches_alone = await drain(own, bulk)
    queue, peer = make_queue(credits=credits)
    (bulk,) = await start(queue, BULK)
    batches = 0
    while not bulk.done():
        if batches % 5 == 0:
            await start(queue, [[1, 2, 3]])
        peer.answer_next()
        await asyncio.sleep(0)
        batches += 1
    assert batches <= batches_alone * 1.05
    assert numbers(bulk.result()) == [7.0] * 512


async def test_large_requests_share_by_tokens_not_by_texts(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    queue, peer = make_queue()
    long, short = await start(queue, [[1] * 500] * 100, [[2] * 10] * 5000)
    for _ in range(20):
        peer.answer_next()
    tokens = {1: 0, 2: 0}
    for place in range(1, 21):
        for text in peer.texts(place):
            tokens[text[0]] += len(text)
    assert abs(tokens[1] - tokens[2]) <= 0.05 * sum(tokens.values())
    long.cancel()
    short.cancel()


async def test_who_comes_later_does_not_have_to_be_caught_up_with(
    make_queue: Callable[..., tuple[RequestQueue, Peer]],
) -> None:
    queue, peer = make_queue()
    await start(queue, BULK)
    for _ in range(12):
        peer.answer_next()
    await start(queue, [[8] * 100] * 512)
    for _ in range(10):
        peer.answer_next()
        shares = [text[0] for text in peer.texts()]
        assert 8 <= shares.count(7) <= 12
        assert 8 <= shares.count(8) <= 12


async def test_an_endless_stream_of_new_ones_starves_nobody(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    queue, peer = make_queue()
    (bulk,) = await start(queue, BULK)
    batches = 0
    while not bulk.done():
        await start(queue, *([[[1] * 200]] * 11))  # more than a batch of them, for each batch
        peer.answer_next()
        await asyncio.sleep(0)
        batches += 1
        assert batches <= 65  # 26 alone; half of each batch, less what does not fit


@pytest.mark.parametrize("stream", [[1] * 3, [1] * 100, [1] * BUDGET, [1] * 3 * BUDGET], ids=len)
async def test_a_long_text_of_a_begun_request_is_not_passed_for_ever(
    make_queue: Callable[..., tuple[RequestQueue, Peer]], stream: list[int]
) -> None:
    queue, peer = make_queue()
    (bulk,) = await start(queue, [[7] * BUDGET] * 20)
    batches = 0
    while not bulk.done():
        await start(queue, *([[stream]] * 3))
        peer.answer_next()
        await asyncio.sleep(0)
        batches += 1
        assert batches < 100


async def test_new_ones_are_taken_in_the_order_they_came(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    queue, peer = make_queue()
    await start(queue, BULK)
    smalls = await start(queue, *([[[number] * 100] for number in range(40)]))
    done: list[int] = []
    for number, small in enumerate(smalls):
        small.add_done_callback(lambda _, number=number: done.append(number))
    await drain(peer, *smalls)
    assert done == list(range(40))


async def test_all_kinds_at_once_drain_with_their_own_vectors(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    dice = random.Random(5)
    queue, peer = make_queue(8, credits=2)
    requests = [
        [[number * 10_000 + text] * dice.choice((1, 3, 50, 700, 5000)) for text in range(dice.choice((1, 2, 10, 200)))]
        for number in range(40)
    ]
    tasks = await start(queue, *requests)
    gone = tasks.pop(20)
    del requests[20]
    peer.answer_next()
    gone.cancel()
    while not all(task.done() for task in tasks):
        peer.answer_next()
        await asyncio.sleep(0)
    for task, texts in zip(tasks, requests, strict=True):
        assert numbers(task.result()) == [float(text[0]) for text in texts]
    assert (queue.queued_requests, queue.running_requests) == (0, 0)
    for batch in range(len(peer.batches)):
        texts = peer.texts(batch)
        assert len(texts) == 1 or sum(map(len, texts)) <= BUDGET
        assert len(peer.batches[batch].parts) <= 8


async def test_a_large_request_past_its_deadline_makes_room(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    queue, peer = make_queue()
    late = asyncio.ensure_future(queue.submit(BULK, deadline=in_a_moment()))
    (other,) = await start(queue, [[8] * 100] * 100)
    peer.answer_next()
    with pytest.raises(DeadlineExceeded, match="while it was computed"):
        await late
    peer.answer_next()
    assert {text[0] for text in peer.texts()} == {8}
    await drain(peer, other)


async def test_a_request_as_large_as_a_queue_may_hold(make_queue: Callable[..., tuple[RequestQueue, Peer]]) -> None:
    queue, peer = make_queue()
    (large,) = await start(queue, [[5] * 150] * 2000)
    began = time.process_time()
    assert await drain(peer, large) <= 300_000 // 1950 + 1
    assert time.process_time() - began < 2
    assert soon() > began
