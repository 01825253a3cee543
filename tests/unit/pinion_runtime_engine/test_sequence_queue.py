"""The queue of prompts, with the test on the engine's side of the protocol."""

import asyncio
from array import array

import pytest

from pinion_runtime.engines.protocol import Done, Failure, MemoryUse, Step
from pinion_runtime.errors import DeadlineExceeded, EngineDied, EngineError, ErrorCode, NonFiniteResult
from pinion_runtime.scheduling.refusals import QueueFull, RequestTooLarge
from pinion_runtime.scheduling.sequences import Generation, PassStats, SequenceQueue
from tests.support.sequence_peer import SequencePeer, prompt


@pytest.fixture
async def queue() -> SequenceQueue:
    return SequenceQueue(max_running=8, max_waiting=3, max_tokens=100)


async def ids(generation: Generation) -> list[int]:
    return [number for step in [step async for step in generation] for number in array("i", step.ids)]


async def test_steps_are_read_as_they_come(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    generation = queue.submit(prompt("a"))
    peer.step("a", 5)
    assert array("i", (await anext(generation)).ids).tolist() == [5]
    waiting = asyncio.ensure_future(anext(generation))
    await asyncio.sleep(0)
    assert not waiting.done()
    peer.step("a", 6, 7, finish="length")
    assert (await waiting).finish == "length"
    with pytest.raises(StopAsyncIteration):
        await anext(generation)
    assert (queue.queued_requests, queue.running_requests) == (0, 0)


async def test_steps_that_nobody_reads_are_kept_in_order(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    generation = queue.submit(prompt("a"))
    for number in range(5):
        peer.step("a", number)
    peer.step("a", 5, finish="stop")
    assert await ids(generation) == [0, 1, 2, 3, 4, 5]


async def test_a_request_waits_for_room_and_a_finish_gives_it(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 2)
    for name in "abc":
        queue.submit(prompt(name))
    assert (peer.names, queue.queued_requests, queue.running_requests) == (["a", "b"], 1, 2)
    peer.step("b", 1)
    assert peer.names == ["a", "b"]
    peer.step("b", 2, finish="stop")
    assert peer.names == ["a", "b", "c"]


async def test_choices_take_a_place_each_and_end_each_for_itself(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 3)
    generation = queue.submit(prompt("two", choices=2))
    queue.submit(prompt("three", choices=3))
    queue.submit(prompt("one"))
    assert peer.names == ["two"], "a request that needs less room does not pass one that needs more"
    peer.step("two", 1, choice=1, finish="stop")
    peer.step("two", 2, choice=0)
    assert peer.names == ["two"]
    peer.step("two", 3, choice=0, finish="length")
    assert peer.names == ["two", "three"]
    assert [(step.choice, step.finish) async for step in generation] == [(1, "stop"), (0, ""), (0, "length")]


async def test_clients_take_turns(queue: SequenceQueue) -> None:
    queue.set_limits(8, 100, 10_000)
    peer = SequencePeer(queue, 2)
    for number in range(4):
        queue.submit(prompt(f"a{number}", owner="a"))
    queue.submit(prompt("b0", owner="b"))
    queue.submit(prompt("b1", owner="b"))
    assert peer.names == ["a0", "a1"]
    for finished in ("a0", "a1", "b0", "a2", "b1"):
        peer.step(finished, 1, finish="stop")
    assert peer.names == ["a0", "a1", "b0", "a2", "b1", "a3"]


async def test_engines_share_by_the_room_they_have(queue: SequenceQueue) -> None:
    small, large = SequencePeer(queue, 1), SequencePeer(queue, 3)
    for name in "abcd":
        queue.submit(prompt(name))
    assert (len(small.names), len(large.names)) == (1, 3)


async def test_requests_with_an_engine_are_bounded(queue: SequenceQueue) -> None:
    queue.set_limits(1, 3, 100)
    peer = SequencePeer(queue, 8)
    queue.submit(prompt("a"))
    queue.submit(prompt("b"))
    assert peer.names == ["a"]
    queue.set_limits(2, 3, 100)
    assert peer.names == ["a", "b"]


@pytest.mark.parametrize(
    ("waiting", "refused"),
    [(["a", "b", "c"], prompt("d")), (["long"], prompt("d", answer=60))],
    ids=["requests", "tokens"],
)
async def test_what_waits_is_bounded(queue: SequenceQueue, waiting: list[str], refused: object) -> None:
    for name in waiting:
        queue.submit(prompt(name, answer=90 if name == "long" else 6))
    assert queue.queued_requests == len(waiting)
    with pytest.raises(QueueFull) as caught:
        queue.submit(prompt("d", answer=60 if waiting == ["long"] else 6))
    assert 1 <= caught.value.retry_after_seconds <= 120
    assert queue.queued_requests == len(waiting)


async def test_what_never_fits_is_told_so_though_the_queue_is_full(queue: SequenceQueue) -> None:
    for name in "abc":
        queue.submit(prompt(name))
    with pytest.raises(RequestTooLarge, match=r"up to 101 tokens .* queue of 100"):
        queue.submit(prompt("d", tokens=1, answer=50, choices=2))


# The queue takes 8 that run and 3 that wait, of 100 tokens together; a prompt has 1, each answer to it 6.
@pytest.mark.parametrize(
    ("count", "choices", "sequences", "refusal"),
    [
        (3, 1, 0, ""),
        (4, 1, 0, "4 prompts in one request are more than the 3 that the whole queue takes"),
        (5, 1, 2, ""),
        (6, 1, 2, "6 prompts in one request are more than the 5 that the whole queue takes"),
        (11, 1, 99, ""),
        (12, 1, 99, "12 prompts in one request are more than the 11 that the whole queue takes"),
        (4, 2, 2, ""),
        (5, 2, 3, "5 prompts in one request are more than the 4 that the whole queue takes"),
        (2, 9, 9, ""),
        (3, 9, 9, "a request of up to 110 tokens is larger than the whole queue of 100"),
    ],
)
async def test_prompts_that_come_as_one_are_refused_where_they_never_fit_together(
    queue: SequenceQueue, count: int, choices: int, sequences: int, refusal: str
) -> None:
    queue.set_limits(8, 3, 100)
    requests = [prompt("a", tokens=1, answer=6, choices=choices)] * count
    if not refusal:
        queue.check_together(requests, sequences)
        return
    with pytest.raises(RequestTooLarge, match=f"^{refusal}$"):
        queue.check_together(requests, sequences)


async def test_of_an_answer_of_any_length_what_is_expected_counts(queue: SequenceQueue) -> None:
    queue.set_limits(8, 3, 100)
    requests = [prompt("a", tokens=1, answer=1000)] * 3
    queue.check_together(requests, 0, expected_tokens=32)
    with pytest.raises(RequestTooLarge, match="up to 102 tokens"):
        queue.check_together(requests, 0, expected_tokens=33)


async def test_a_full_queue_takes_what_can_begin_at_once(queue: SequenceQueue) -> None:
    queue.set_limits(8, 0, 100)
    SequencePeer(queue, 1)
    queue.submit(prompt("a"))
    with pytest.raises(QueueFull):
        queue.submit(prompt("b"))


async def test_that_nothing_can_come_in_is_known_before_it_comes(queue: SequenceQueue) -> None:
    queue.set_limits(8, 1, 100)
    peer = SequencePeer(queue, 1)
    queue.check_room()
    queue.submit(prompt("a"))
    queue.check_room()
    queue.submit(prompt("b"))
    with pytest.raises(QueueFull):
        queue.check_room()
    peer.step("a", 1, finish="stop")  # b begins
    queue.check_room()
    queue.set_limits(8, 0, 100)
    with pytest.raises(QueueFull):
        queue.check_room()
    peer.step("b", 1, finish="stop")
    queue.check_room()  # nothing may wait, and it can begin at once


async def test_a_closed_queue_says_why_and_not_that_it_is_full(queue: SequenceQueue) -> None:
    queue.set_limits(8, 0, 100)
    queue.close(EngineDied("shutting down"))
    queue.check_room()
    with pytest.raises(EngineDied):
        queue.submit(prompt("a"))


async def test_who_leaves_while_waiting_is_not_sent(queue: SequenceQueue) -> None:
    with queue.submit(prompt("gone")):
        queue.submit(prompt("stays"))
    peer = SequencePeer(queue, 1)
    assert (peer.names, peer.cancelled) == (["stays"], [])


async def test_who_leaves_while_running_is_cancelled_and_its_place_comes_back_from_the_engine(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    with queue.submit(prompt("gone")):
        queue.submit(prompt("next"))
        peer.step("gone", 1)
    assert peer.cancelled == [peer.requests[0].key]
    assert peer.names == ["gone"], "the engine still has it"
    peer.step("gone", failure=Failure(ErrorCode.CANCELLED, "nobody waits"))
    assert peer.names == ["gone", "next"]


async def test_who_leaves_after_the_end_cancels_nothing(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    with queue.submit(prompt("a")) as generation:
        peer.step("a", 1, finish="stop")
        assert await ids(generation) == [1]
    assert peer.cancelled == []


async def test_a_failure_comes_behind_the_steps_before_it(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 2)
    generation, other = queue.submit(prompt("a")), queue.submit(prompt("b"))
    peer.step("a", 1)
    peer.step("a", failure=Failure(ErrorCode.NON_FINITE_RESULT, "nan"))
    assert array("i", (await anext(generation)).ids).tolist() == [1]
    with pytest.raises(NonFiniteResult):
        await anext(generation)
    peer.step("b", 2, finish="stop")
    assert await ids(other) == [2]


async def test_a_lost_engine_fails_what_it_had_and_nothing_else(queue: SequenceQueue) -> None:
    lost = SequencePeer(queue, 1)
    held, waiting = queue.submit(prompt("held")), queue.submit(prompt("waiting"))
    lost.step("held", 1)
    queue.lose(lost, EngineDied("killed"))
    await anext(held)
    with pytest.raises(EngineDied, match="killed"):
        await anext(held)
    lost.step("held", 2)  # said before its end, read after it
    other = SequencePeer(queue, 1)
    assert other.names == ["waiting"]
    other.step("waiting", 3, finish="stop")
    assert await ids(waiting) == [3]


@pytest.mark.parametrize("place", ["waiting", "running"])
async def test_a_deadline_ends_a_request_wherever_it_is(queue: SequenceQueue, place: str) -> None:
    peer = SequencePeer(queue, 1 if place == "running" else 0)
    generation = queue.submit(prompt("a", seconds=0.5))
    with pytest.raises(DeadlineExceeded, match="while it was computed" if place == "running" else "in the queue"):
        await anext(generation)
    assert peer.cancelled == ([peer.requests[0].key] if place == "running" else [])
    assert (queue.queued_requests, queue.running_requests) == (0, 0)


async def test_a_deadline_that_has_passed_is_refused(queue: SequenceQueue) -> None:
    with pytest.raises(DeadlineExceeded):
        queue.submit(prompt("late", seconds=-1))


async def test_closing_fails_all_and_refuses_what_comes(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    generations = [queue.submit(prompt(name)) for name in "ab"]
    queue.close(EngineDied("shutting down"))
    for generation in generations:
        with pytest.raises(EngineError, match="shutting down"):
            await anext(generation)
    with pytest.raises(EngineDied):
        queue.submit(prompt("c"))
    assert peer.cancelled == [peer.requests[0].key]


async def test_the_drain_rate_says_when_to_try_again(queue: SequenceQueue) -> None:
    queue.set_limits(8, 0, 100_000)
    peer = SequencePeer(queue, 1)
    queue.submit(prompt("a", answer=20_000))
    with pytest.raises(QueueFull) as before:
        queue.submit(prompt("b"))
    assert before.value.retry_after_seconds == 5, "nothing has told how fast it drains"
    peer.step("a", *range(1000))  # in 0.01 s
    with pytest.raises(QueueFull) as after:
        queue.submit(prompt("b"))
    assert after.value.retry_after_seconds == 1


async def test_each_pass_is_told() -> None:
    told: list[PassStats] = []
    queue = SequenceQueue(8, 3, 100, on_pass=told.append)
    peer = SequencePeer(queue, 2)
    queue.submit(prompt("a"))
    peer.step("a", 1, 2)
    peer.step("a", 3, finish="stop")
    assert [tuple(map(len, (one.wait_seconds, one.first_seconds, one.next_seconds))) for one in told] == [(1, 1, 0), (0, 0, 1)]


async def test_what_an_engine_holds_is_told_and_goes_with_it(queue: SequenceQueue) -> None:
    one, other = SequencePeer(queue, 1), SequencePeer(queue, 1)
    assert (queue.running_sequences, queue.used_tokens) == (0, 0)
    for peer, running in ((one, 2), (other, 1), (one, 3)):
        peer.tell(running=running, used=10 * running)
    assert (queue.running_sequences, queue.used_tokens) == (4, 40)
    queue.lose(one, EngineDied("killed"))
    assert (queue.running_sequences, queue.used_tokens) == (1, 10)
    one.tell(running=9, used=90)  # said before its end, read after it
    assert (queue.running_sequences, queue.used_tokens) == (1, 10)


async def test_what_is_no_step_is_refused(queue: SequenceQueue) -> None:
    peer = SequencePeer(queue, 1)
    with pytest.raises(TypeError, match="Done"):
        queue.finish(peer, Done(1, [], 0.1, 1, MemoryUse()))


async def test_steps_of_nobody_are_passed_over(queue: SequenceQueue) -> None:
    SequencePeer(queue, 1).tell(Step(99, finish="stop"))
    assert queue.running_requests == 0
