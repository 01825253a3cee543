import random
from pathlib import Path

import msgspec
import pytest

from pinion_runtime.engines.frames import BrokenStreamError, FrameReader, encode_frame, frame_length, from_engine, to_engine
from pinion_runtime.engines.protocol import (
    Batch,
    Cancel,
    Capabilities,
    Done,
    EngineSpec,
    Failure,
    FromEngine,
    Generate,
    Heartbeat,
    Load,
    Loaded,
    LoadFailed,
    MemoryUse,
    Outcome,
    Part,
    Sampling,
    Shutdown,
    Step,
    Steps,
    ToEngine,
    TokenLogprobs,
)
from pinion_runtime.errors import (
    DeadlineExceeded,
    EngineDied,
    EngineError,
    EngineLoadError,
    EngineOutOfMemory,
    ErrorCode,
    InvalidInput,
    NonFiniteResult,
)

FAILURE = Failure(ErrorCode.CANCELLED, "gone")
TO_ENGINE: list[ToEngine] = [
    Load(EngineSpec(Path("/models/x"), dtype="bfloat16")),
    Batch(3, [Part(1, "req-1", 12.5, 2, 5)], b"\1\0\0\0", b"\2\0\0\0"),
    Generate(
        4, "req-4", 12.5, b"\1\0\0\0", 16, Sampling(seed=7, logit_bias={3: -100.0}), stop_ids=(2,), choices=2, owner="ann"
    ),
    Cancel([1, 2]),
    Shutdown(),
]
FROM_ENGINE: list[FromEngine] = [
    Loaded(
        Capabilities("embeddings", 3, 8, "float32", "cpu", "transformers/padded", "BertModel", 2, ("a",)),
        b"{}",
        1,
        MemoryUse(1),
    ),
    LoadFailed(Failure(ErrorCode.LOAD_FAILED, "why")),
    Done(3, [Outcome(1, b"\0" * 8), Outcome(2, failure=FAILURE)], 0.5, 9, MemoryUse(1, 2, 3)),
    Steps(
        [Step(4, 1, b"\2\0\0\0", [TokenLogprobs(-0.5, [2, 3], [-0.5, -1.5])], "stop", 3), Step(5, failure=FAILURE)],
        0.5,
        2,
        99,
        credits=3,
    ),
    Heartbeat(MemoryUse(5, 6, 7)),
]


@pytest.mark.parametrize("message", TO_ENGINE, ids=lambda m: type(m).__name__)
def test_what_the_front_says_arrives(message: ToEngine) -> None:
    frame = encode_frame(message)
    assert frame_length(frame) == len(frame) - 4
    assert to_engine.decode(frame[4:]) == message


@pytest.mark.parametrize("message", FROM_ENGINE, ids=lambda m: type(m).__name__)
def test_what_the_engine_says_arrives(message: FromEngine) -> None:
    assert from_engine.decode(encode_frame(message)[4:]) == message


def test_a_stream_in_any_pieces_gives_the_same_messages() -> None:
    stream = b"".join(encode_frame(message) for message in FROM_ENGINE * 20)
    rng = random.Random(1)
    for _ in range(20):
        reader, seen, at = FrameReader(), [], 0
        while at < len(stream):
            size = rng.choice([1, 2, 3, 7, 50, 400])
            seen += [from_engine.decode(data) for data in reader.feed(stream[at : at + size])]
            at += size
        assert seen == FROM_ENGINE * 20


def test_a_stream_out_of_step_is_seen() -> None:
    with pytest.raises(BrokenStreamError):
        FrameReader().feed(b"\xff\xff\xff\xff....")
    with pytest.raises(msgspec.DecodeError):
        from_engine.decode(b"\x93\x01\x02\x03")


@pytest.mark.parametrize(
    "error",
    [
        EngineLoadError("a"),
        EngineOutOfMemory("b"),
        EngineDied("c"),
        DeadlineExceeded("d"),
        NonFiniteResult("e"),
        InvalidInput("f"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_an_error_keeps_its_type_and_text(error: EngineError) -> None:
    again = Failure.of(error).to_error()
    assert type(again) is type(error)
    assert again.message == error.message
