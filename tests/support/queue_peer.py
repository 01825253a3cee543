"""An engine's side of the protocol in the hands of a test: it sees each batch and decides when its results come."""

import asyncio
import time
from array import array
from collections.abc import Sequence

from pinion_runtime.engines.protocol import Batch, Done, Failure, MemoryUse, Outcome
from pinion_runtime.scheduling.texts import RequestQueue, Result


class Peer:
    """An engine's side of the protocol; the vector of a text is its first token id."""

    def __init__(self, queue: RequestQueue) -> None:
        self.queue = queue
        self.batches: list[Batch] = []
        self.cancelled: list[int] = []
        self.answered = 0

    def send(self, batch: Batch) -> None:
        self.batches.append(batch)

    def cancel(self, keys: list[int]) -> None:
        self.cancelled += keys

    def texts(self, place: int = -1) -> list[list[int]]:
        """Return the token ids of a batch."""
        batch = self.batches[place]
        lengths, tokens = array("i", batch.lengths), array("i", batch.tokens).tolist()
        result = []
        for length in lengths:
            result.append(tokens[:length])
            tokens = tokens[length:]
        return result

    def answer_next(self) -> None:
        """Finish the oldest batch that is not finished."""
        self.answered += 1
        self.answer(self.answered - 1)

    def answer(self, place: int = -1, failures: dict[int, Failure] | None = None) -> None:
        """Finish a batch; `failures` by the place of the part."""
        batch, texts, outcomes = self.batches[place], self.texts(place), []
        for index, part in enumerate(batch.parts):
            own, texts = texts[: part.texts], texts[part.texts :]
            failure = (failures or {}).get(index)
            vectors = b"" if failure else array("f", [float(text[0]) for text in own]).tobytes()
            outcomes.append(Outcome(part.key, vectors, failure))
        self.queue.finish(self, Done(batch.number, outcomes, 0.01, 10, MemoryUse()))


def soon() -> float:
    return time.monotonic() + 60


def in_a_moment() -> float:
    """Return a deadline that is waited for, yet not over before the request has been taken."""
    return time.monotonic() + 1.0


def numbers(result: Result) -> list[float]:
    return [array("f", vector)[0] for vector in result.vectors]


async def start(queue: RequestQueue, *requests: Sequence[Sequence[int]]) -> list[asyncio.Task[Result]]:
    """Submit and let every task reach its wait."""
    tasks = [asyncio.ensure_future(queue.submit(texts, deadline=soon(), request_id=str(n))) for n, texts in enumerate(requests)]
    for task in tasks:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # a test may look at some of them only
    await asyncio.sleep(0)
    return tasks
