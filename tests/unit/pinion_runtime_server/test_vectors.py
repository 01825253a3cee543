"""Between a request and the queue: ids of another tokenizer, the limit of tokens, what is done to vectors."""

import asyncio
import dataclasses
import json
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pinion_contract.config import Limits
from pinion_runtime.engines.protocol import Batch, Capabilities, Done, MemoryUse, Outcome
from pinion_runtime.model.files import read_model_files
from pinion_runtime.model.sentence_modules import Normalize
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.pod.state import VectorServing
from pinion_runtime.scheduling.texts import RequestQueue
from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.options import Options
from pinion_runtime.server.tasks.texts import parse_inputs
from pinion_runtime.server.tasks.vectors import embed, numbers_of

RAW = [3.0, 4.0]  # the vector of every text
FOREIGN = "check_embedding_ctx_length=False"


class Engine:
    """An engine's side of the protocol; it keeps what it was sent."""

    def __init__(self, queue: RequestQueue) -> None:
        self.queue = queue
        self.lengths: list[int] = []
        queue.grant(self, 1)

    def send(self, batch: Batch) -> None:
        self.lengths += array("i", batch.lengths)
        outcomes = [Outcome(part.key, array("f", RAW * part.texts).tobytes()) for part in batch.parts]
        done = Done(batch.number, outcomes, 0.01, 10, MemoryUse())
        asyncio.get_running_loop().call_soon(self.queue.finish, self, done)

    def cancel(self, keys: list[int]) -> None:
        """Nothing is under way."""


@pytest.fixture(scope="module")
def tokenizer(minilm: Path) -> Tokenizer:
    return Tokenizer.from_snapshot(minilm)


@pytest.fixture
async def serving(minilm: Path, tokenizer: Tokenizer) -> VectorServing:
    capabilities = Capabilities("feature-extraction", 2, 256, "float32", "cpu", "test", "BertModel", 1, ())
    return VectorServing(tokenizer, capabilities, read_model_files(minilm), RequestQueue(4, 4))


async def ask(serving: VectorServing, value: Any, options: Options | None = None, **limits: int) -> list[list[float]]:
    inputs = parse_inputs(msgspec.Raw(json.dumps(value).encode()), "input")
    answer = await embed(inputs, options or Options(), serving, limits=Limits(**limits), request_id="r")
    return [numbers_of(vector) for vector in answer.vectors]


async def refused(serving: VectorServing, value: Any, options: Options | None = None, **limits: int) -> ApiError:
    with pytest.raises(ApiError) as error:
        await ask(serving, value, options, **limits)
    return error.value


@pytest.mark.parametrize(
    ("ids", "param"),
    [
        ([100257], "input"),
        ([30522], "input"),
        ([10**30], "input"),
        ([[7592], [2088, 100256]], "input[1]"),
        ([[5] * 8191, [30522]], "input[1]"),  # before anything is said of the length
        ([[5] * 8190 + [99999]], "input[0]"),
    ],
)
@pytest.mark.parametrize("truncate", [False, True])
async def test_an_id_of_another_tokenizer_refuses_the_whole_request(
    serving: VectorServing, ids: Sequence[Any], param: str, truncate: bool
) -> None:
    error = await refused(serving, ids, Options(truncate=truncate))
    assert (error.status, error.param) == (400, param)
    assert FOREIGN in error.message
    assert "Send texts" in error.message
    assert "0 to 30521" in error.message


async def test_too_many_ids_may_be_another_tokenizers(serving: VectorServing) -> None:
    error = await refused(serving, [[5] * 257])
    assert error.code == "context_length_exceeded"
    assert "another tokenizer's" in error.message
    assert "another tokenizer's" not in (await refused(serving, "word " * 300)).message


async def test_tokens_of_a_request_up_to_the_limit(serving: VectorServing) -> None:
    engine = Engine(serving.queue)
    texts = ["word " * 148] * 20
    assert len(await ask(serving, texts, max_tokens_per_request=3000)) == 20
    assert engine.lengths == [150] * 20
    for value in (texts, [[5] * 150] * 20):
        error = await refused(serving, value, max_tokens_per_request=2999)
        assert (error.status, error.code, error.param) == (413, "request_too_large", "input")
        assert all(words in error.message for words in ("3000 tokens", "at most 2999", "limits.maxTokensPerRequest", "fewer"))


async def test_a_text_that_never_fits_is_told_before_the_size_of_the_request(serving: VectorServing) -> None:
    assert (await refused(serving, ["word " * 300] * 20, max_tokens_per_request=1)).status == 400


async def test_an_empty_text_is_what_the_tokenizer_adds(serving: VectorServing) -> None:
    engine = Engine(serving.queue)
    assert await ask(serving, ["kettle", ""]) == [RAW, RAW]
    assert engine.lengths == [3, 2]  # [CLS] kettle [SEP], and what is left of that without a word


async def test_a_text_of_no_token_at_all_is_refused(serving: VectorServing, minilm: Path) -> None:
    text = json.dumps(json.loads((minilm / "tokenizer.json").read_text()) | {"post_processor": None})
    bare = Tokenizer.from_snapshot(minilm, text.encode())
    error = await refused(dataclasses.replace(serving, tokenizer=bare), ["kettle", " "])
    assert (error.status, error.param) == (400, "input[1]")
    assert "no token" in error.message


@pytest.mark.parametrize("normalizes", [True, False], ids=["ends in Normalize", "any length"])
@pytest.mark.parametrize(
    ("options", "of_one_that_normalizes", "of_another"),
    [
        (Options(), RAW, RAW),
        (Options(normalize=False), RAW, RAW),
        (Options(normalize=True), RAW, [0.6, 0.8]),
        (Options(dimensions=1), [1.0], [3.0]),
        (Options(dimensions=1, normalize=True), [1.0], [1.0]),
        (Options(dimensions=1, normalize=False), [3.0], [3.0]),
    ],
)
async def test_what_is_done_to_vectors(
    serving: VectorServing, normalizes: bool, options: Options, of_one_that_normalizes: list[float], of_another: list[float]
) -> None:
    # The engine has done the model's own steps; whether its vectors have length 1 is not looked at again.
    stages = (*(stage for stage in serving.files.stages if not isinstance(stage, Normalize)), *[Normalize("")] * normalizes)
    files = dataclasses.replace(serving.files, stages=stages, matryoshka=(1,))
    serving = dataclasses.replace(serving, files=files)
    Engine(serving.queue)
    assert await ask(serving, ["x"], options) == [pytest.approx(of_one_that_normalizes if normalizes else of_another)]
