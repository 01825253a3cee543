"""A generating engine's side of the protocol in the hands of a test: it sees each request and decides which steps come."""

import time

from pinion_runtime.engines.protocol import Batch, Failure, Finish, Generate, Sampling, Step, Steps
from pinion_runtime.engines.token_bytes import int32_bytes
from pinion_runtime.scheduling.sequences import SequenceQueue


class SequencePeer:
    """An engine with room for so many sequences."""

    def __init__(self, queue: SequenceQueue, credits: int = 0) -> None:
        self.queue = queue
        self.requests: list[Generate] = []
        self.cancelled: list[int] = []
        if credits:
            queue.grant(self, credits)

    def send(self, work: Batch | Generate) -> None:
        assert isinstance(work, Generate), f"{work} is no prompt"
        self.requests.append(work)

    def cancel(self, keys: list[int]) -> None:
        self.cancelled += keys

    @property
    def names(self) -> list[str]:
        """Return the caller's names of the requests that came, in order."""
        return [request.request_id for request in self.requests]

    def step(self, name: str, *ids: int, finish: Finish = "", choice: int = 0, failure: Failure | None = None) -> None:
        """Say that these ids came of a request; a finish returns its credit, a failure those of all its choices."""
        request = self.requests[self.names.index(name)]
        step = Step(request.key, choice, int32_bytes(ids), finish=finish, failure=failure)
        self.tell(step, credits=request.choices if failure else int(bool(finish)))

    def tell(self, *steps: Step, credits: int = 0, running: int = 1, used: int = 7) -> None:
        """Say that one pass gave these steps, and what goes on."""
        self.queue.finish(self, Steps(list(steps), 0.01, running, used, credits))


def prompt(name: str, *, tokens: int = 4, answer: int = 6, choices: int = 1, owner: str = "", seconds: float = 60) -> Generate:
    """Return a request of a prompt of so many tokens, for an answer of at most so many."""
    deadline = time.monotonic() + seconds
    return Generate(0, name, deadline, int32_bytes([1] * tokens), answer, Sampling(), choices=choices, owner=owner)
