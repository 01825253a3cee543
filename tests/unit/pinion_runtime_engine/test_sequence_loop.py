"""What a generating engine does between two passes, with the test as the front and as the model."""

import socket
from collections.abc import Callable, Collection, Iterator

import pytest

from pinion_runtime.engines.channel import Channel
from pinion_runtime.engines.frames import FrameReader, encode_frame, from_engine
from pinion_runtime.engines.protocol import Cancel, FromEngine, Generate, Shutdown, Step, Steps, ToEngine
from pinion_runtime.engines.resident import Trim
from pinion_runtime.engines.sequence_loop import SequenceLoop
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.errors import ComputeFailed, ErrorCode
from tests.support.sequence_peer import prompt


class Front:
    """The other end of the socket."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        self._theirs = theirs
        self.channel = Channel(theirs.fileno())

    def say(self, *messages: ToEngine) -> None:
        for message in messages:
            self._socket.sendall(encode_frame(message))

    def heard(self) -> list[FromEngine]:
        self._socket.setblocking(False)
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return []
        return [from_engine.decode(message) for message in FrameReader().feed(data)]

    def close(self) -> None:
        self._socket.close()
        self._theirs.detach()  # the channel's
        self.channel._socket.close()


class Model:
    """Gives each request a token a pass, and does what the test wants in the middle of one."""

    def __init__(self, within: Callable[[int], None]) -> None:
        self.within, self.passes = within, 0
        self.seen: list[list[int]] = []
        self._left: dict[int, int] = {}

    def add(self, request: Generate) -> None:
        self._left[request.key] = request.max_tokens

    def cancel(self, keys: Collection[int]) -> int:
        return sum(self._left.pop(key, None) is not None for key in keys)

    def step(self) -> list[Step]:
        self.passes += 1
        self.seen.append(sorted(self._left))
        self.within(self.passes)
        steps = []
        for key in list(self._left):
            self._left[key] -= 1
            steps.append(Step(key, ids=int32_bytes([9]), finish="" if self._left[key] else "length"))
            if not self._left[key]:
                del self._left[key]
        return steps

    @property
    def busy(self) -> bool:
        return bool(self._left)

    @property
    def running(self) -> int:
        return len(self._left)

    used_tokens = 7


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.close()


def request(key: int, tokens: int) -> Generate:
    made = prompt(str(key), answer=tokens)
    return Generate(key, made.request_id, made.deadline, made.prompt, tokens, made.sampling)


def run(front: Front, model: Model) -> list[Steps]:
    SequenceLoop(front.channel, Trim(), model, lambda error: ComputeFailed(str(error))).run()
    return [message for message in front.heard() if isinstance(message, Steps)]


def test_what_comes_during_a_pass_counts_for_the_next(front: Front) -> None:
    def within(number: int) -> None:
        if number == 1:
            front.say(Cancel([1]), request(3, 1))
        if number == 3:
            front.say(Shutdown())

    front.say(request(1, 50), request(2, 50))
    model = Model(within)
    told = run(front, model)
    assert model.seen == [[1, 2], [2, 3], [2]]
    assert [[(step.key, step.finish, step.failure is not None) for step in steps.steps] for steps in told] == [
        [(1, "", False), (2, "", False)],
        [(1, "", True)],
        [(2, "", False), (3, "length", False)],
        [(2, "", False)],
    ]
    assert [steps.credits for steps in told] == [0, 1, 1, 0]
    assert [steps.running for steps in told] == [2, 1, 1, 1]


def test_a_pass_that_raises_fails_what_it_had_and_nothing_after(front: Front) -> None:
    def within(number: int) -> None:
        if number == 1:
            front.say(request(3, 1))
            raise ValueError("broken")
        front.say(Shutdown())

    front.say(request(1, 50), request(2, 50))
    failed, after = run(front, Model(within))
    assert [(step.key, step.failure and step.failure.code) for step in failed.steps] == [
        (1, ErrorCode.COMPUTE_FAILED),
        (2, ErrorCode.COMPUTE_FAILED),
    ]
    assert (failed.credits, [step.key for step in after.steps], after.credits) == (2, [3], 1)


def test_who_is_cancelled_twice_or_after_the_end_returns_no_more(front: Front) -> None:
    def within(number: int) -> None:
        front.say(Cancel([1, 2, 99]), Cancel([1]), Shutdown())

    front.say(request(1, 1), request(2, 50))
    told = run(front, Model(within))
    assert sum(steps.credits for steps in told) == 2
