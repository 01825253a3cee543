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
from ..model.task import Task

DType = Literal["auto", "float32", "bfloat16", "float16"]
Finish = Literal["", "stop", "length"]  # "" = it goes on


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
    task: Task = "feature-extraction"
    dtype: DType = "auto"  # auto = the checkpoint's
    threads: int = 0  # of torch; 0 = the CPUs this process may use
    credits: int = 1  # batches the engine holds at a time: 1 = a worker asks when it is idle
    context_length: int = 0  # tokens of prompt and answer; 0 = the model's own, or what memory gives to a few sequences
    max_sequences: int = 0  # that are generated at a time; 0 = as many as memory gives


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
    engine_reason: str = ""  # what was found at load, where the model is computed otherwise than it might be
    context_length: int = 0  # tokens of prompt and answer together; 0 where nothing is generated, as the next three
    max_sequences: int = 0
    vocabulary_size: int = 0  # logits of a step: the ids that can be chosen
    end_ids: tuple[int, ...] = ()  # ids that end an answer, as the model's own files say


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


class Sampling(Message, frozen=True):
    """How a token is chosen; the defaults draw from the whole distribution. Penalties as in OpenAI's API and transformers."""

    seed: int = 0  # of this sequence's own random numbers, 64 bits; choice i of a request adds i
    temperature: float = 1.0  # below 1e-4: always the likeliest token
    top_p: float = 1.0
    top_k: int = 0  # 0 = all
    min_p: float = 0.0
    presence_penalty: float = 0.0  # of tokens of the answer
    frequency_penalty: float = 0.0  # the same
    repetition_penalty: float = 1.0  # of tokens of prompt and answer
    logit_bias: dict[int, float] = {}  # added to the logits of these ids


class Generate(Message, frozen=True):
    """Continue a prompt; takes as many credits as there are choices. Its steps follow until each choice has finished."""

    key: int  # the queue's own name of the request
    request_id: str
    deadline: float  # CLOCK_MONOTONIC in seconds
    prompt: bytes  # int32, not empty
    max_tokens: int  # with the prompt at most the context length
    sampling: Sampling
    min_tokens: int = 0  # before this many no end id and no stop id is chosen
    stop_ids: tuple[int, ...] = ()  # beside the model's end ids
    ignore_end: bool = False  # end ids are tokens like any other
    choices: int = 1
    logprobs: int = -1  # of each token, and of so many of the likeliest; -1 = none
    owner: str = ""  # what was computed of a prompt is used again for the same owner only


class Cancel(Message, frozen=True):
    """Nobody waits for these requests any more; what has not been computed is dropped."""

    keys: list[int]


class Shutdown(Message, frozen=True):
    """Finish the batch at hand and exit 0."""


ToEngine = Load | Batch | Generate | Cancel | Shutdown

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


class TokenLogprobs(Message, frozen=True):
    """Natural logarithms of a token's probability and of those of the likeliest, the likeliest first.

    Of the model's own distribution: before temperature, penalties, bias and truncation.
    """

    logprob: float
    top_ids: list[int] = []
    top_logprobs: list[float] = []


class Step(Message, frozen=True):
    """What came of one choice of a request.

    With `finish` "stop" the last id is the one that ended it. With a failure the whole request has ended.
    """

    key: int
    choice: int = 0
    ids: bytes = b""  # int32
    logprobs: list[TokenLogprobs] = []  # one for each id, where they were asked for
    finish: Finish = ""
    cached_tokens: int = 0  # of the prompt, which had been computed for an earlier request; told once, with the first step
    failure: Failure | None = None


class Steps(Message, frozen=True):
    """What one pass over the running sequences gave; each finish, and each cancelled choice, returns a credit."""

    steps: list[Step]
    seconds: float
    running: int  # sequences that go on
    used_tokens: int  # places of the cache that are in use
    credits: int = 0


class Heartbeat(Message, frozen=True):
    """The process lives; sent every second."""

    memory: MemoryUse


FromEngine = Loaded | LoadFailed | Done | Steps | Heartbeat


Work = Batch | Generate  # an engine takes one of the two, as its task is
Progress = Done | Steps  # what comes of it


class Worker(Protocol):
    """One engine process as the queue sees it."""

    def send(self, work: Work) -> None:
        """Hand work over; its `Done`, its steps to the last, or the worker's loss will follow."""

    def cancel(self, keys: list[int]) -> None:
        """Tell the engine that nobody waits for these requests."""


class WorkSource(Protocol):
    """The queue as an engine's supervisor sees it."""

    def grant(self, worker: Worker, credits: int) -> None:
        """Take note that the worker can take this much more work."""

    def finish(self, worker: Worker, progress: Progress) -> None:
        """Give what came of work to those who wait for it; raise TypeError for what is not of the queue's kind."""

    def lose(self, worker: Worker, error: EngineError) -> None:
        """Fail what the worker held; it is gone, and its credits with it."""
