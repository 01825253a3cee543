"""What the front and an engine say to each other: msgpack arrays over a socket.

A request has an id, a deadline and a token count, and can be cancelled. Work goes only against credits that the engine
grants, so the front's queue is the only one. Token ids travel as little-endian int32, vectors as little-endian float32.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from ..errors import (
    Cancelled,
    ComputeFailed,
    DeadlineExceeded,
    EngineDied,
    EngineError,
    EngineLoadError,
    EngineOutOfMemory,
    ErrorCode,
    InvalidInput,
    NonFiniteResult,
)

DType = Literal["auto", "float32", "bfloat16", "float16"]


_ERRORS: dict[ErrorCode, Callable[[str], EngineError]] = {
    ErrorCode.LOAD_FAILED: EngineLoadError,
    ErrorCode.OUT_OF_MEMORY: EngineOutOfMemory,
    ErrorCode.ENGINE_DIED: EngineDied,
    ErrorCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    ErrorCode.CANCELLED: Cancelled,
    ErrorCode.INVALID_INPUT: InvalidInput,
    ErrorCode.NON_FINITE_RESULT: NonFiniteResult,
    ErrorCode.COMPUTE_FAILED: ComputeFailed,
}


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """The base of everything on the wire: an array that begins with the type's name."""


class Failure(Message, frozen=True):
    """An error on the wire."""

    code: ErrorCode
    message: str

    @classmethod
    def of(cls, error: EngineError) -> "Failure":
        """Return the wire form of an error."""
        return cls(error.code, str(error))

    def to_error(self) -> EngineError:
        """Return the error that a caller in the front sees."""
        return _ERRORS[self.code](self.message)


class MemoryUse(Message, frozen=True):
    """Measured memory of the engine process, in bytes."""

    resident_bytes: int = 0
    shared_bytes: int = 0  # the part of it that is mapped from files
    device_bytes: int = 0


class EngineSpec(Message, frozen=True):
    """What an engine loads, and how."""

    snapshot: Path
    task: Literal["feature-extraction"] = "feature-extraction"  # as Hugging Face names it
    dtype: DType = "auto"  # auto = the checkpoint's
    threads: int = 0  # of torch; 0 = the CPUs this process may use
    credits: int = 1  # batches the engine holds at a time: 1 = a worker asks when it is idle


class Capabilities(Message, frozen=True):
    """What a loaded engine is and takes."""

    task: str
    dimensions: int
    max_sequence_length: int  # tokens, special ones included
    dtype: str
    device: str
    engine: str  # implementation/strategy, for one: transformers/padded
    architecture: str
    threads: int
    opened_files: tuple[str, ...]  # relative to the snapshot, sorted: the files this process read
    special_ids: tuple[int, ...] = ()  # token ids that the tokenizer of transformers calls special
    engine_reason: str = ""  # what was found at load, where texts can't be padded to go through the model together


class WarmupReport(Message, frozen=True):
    """Real inference before the engine took work."""

    inputs: int
    tokens: int
    seconds: float


# --- front -> engine


class Load(Message, frozen=True):
    """The first message: load this."""

    spec: EngineSpec


class Part(Message, frozen=True):
    """The texts of one request in one batch."""

    key: int  # the queue's own name of the request; request_id is the caller's and may repeat
    request_id: str
    deadline: float  # CLOCK_MONOTONIC in seconds, which is one clock for all processes of a machine
    texts: int
    tokens: int
    skip: int = 0  # the first tokens of each text are a prompt that the pooling leaves out


class Batch(Message, frozen=True):
    """Work for one credit: the texts of all parts, one after the other."""

    number: int
    parts: list[Part]
    lengths: bytes  # int32, tokens of each text
    tokens: bytes  # int32, the ids of all texts


class Cancel(Message, frozen=True):
    """Nobody waits for these requests any more; what has not been computed is dropped."""

    keys: list[int]


class Shutdown(Message, frozen=True):
    """Finish the batch at hand and exit 0."""


ToEngine = Load | Batch | Cancel | Shutdown

# --- engine -> front


class Loaded(Message, frozen=True):
    """The model is in memory; the engine takes `credits` batches."""

    capabilities: Capabilities
    tokenizer: bytes  # tokenizer.json as transformers makes it, which may differ from the file: classes rebuild parts of it
    credits: int
    memory: MemoryUse


class LoadFailed(Message, frozen=True):
    """The model is not in memory; the engine exits."""

    failure: Failure


class Outcome(Message, frozen=True):
    """The vectors of one part (float32, in the order of its texts), or why there are none."""

    key: int
    vectors: bytes = b""
    failure: Failure | None = None


class Done(Message, frozen=True):
    """A batch is finished, each of its parts for itself; returns the credit."""

    number: int
    outcomes: list[Outcome]
    seconds: float
    padded_tokens: int  # what was computed, padding included
    memory: MemoryUse
    credits: int = 1


class Heartbeat(Message, frozen=True):
    """The process lives; sent every second."""

    memory: MemoryUse


FromEngine = Loaded | LoadFailed | Done | Heartbeat


class Worker(Protocol):
    """One engine process as the queue sees it."""

    def send(self, batch: Batch) -> None:
        """Hand a batch over; its `Done`, or the worker's loss, will follow."""

    def cancel(self, keys: list[int]) -> None:
        """Tell the engine that nobody waits for these requests."""


class WorkSource(Protocol):
    """The queue as an engine's supervisor sees it."""

    def grant(self, worker: Worker, credits: int) -> None:
        """Take note that the worker can take this many more batches."""

    def finish(self, worker: Worker, done: Done) -> None:
        """Give the results of a batch to those who wait for them."""

    def lose(self, worker: Worker, error: EngineError) -> None:
        """Fail what the worker held; it is gone, and its credits with it."""
