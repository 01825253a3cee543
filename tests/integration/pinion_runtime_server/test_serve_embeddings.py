"""Real all-MiniLM-L6-v2 over HTTP: the vectors are those of sentence-transformers, whatever the form of asking."""

import asyncio
import base64
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from tests.support.hub import Hub
from tests.support.serve import Served, wait_until
from tests.support.vectors import answered

pytestmark = pytest.mark.model

TOLERANCE = 1e-5
LIMIT = 256  # tokens, of sentence_bert_config.json
TEXTS = [
    "A kettle of water is on the stove.",
    "The teapot is being filled.",
    "Kubernetes schedules pods on nodes.",
    "水壶在炉子上。",
    "",
    " ",
    "\0",
    "é" * 40,
    "😀 emoji and\ttabs\nand lines",
    "word " * 200,
]


@pytest.fixture(scope="module")
def oracle(hub: Hub) -> SentenceTransformer:
    return SentenceTransformer(str(hub.root / hub.minilm), device="cpu")


@pytest.fixture(scope="module")
def tokenizer(hub: Hub) -> Any:
    return AutoTokenizer.from_pretrained(str(hub.root / hub.minilm))


@pytest.fixture
def client(minilm_served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{minilm_served.base}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def ask(served: Served, value: Any, **fields: Any) -> np.ndarray:
    return answered(served.post({"model": served.model, "input": value} | fields))


def test_vectors_are_those_of_sentence_transformers(minilm_served: Served, oracle: SentenceTransformer) -> None:
    got = ask(minilm_served, TEXTS)
    assert got.shape == (len(TEXTS), 384)
    assert np.abs(got - oracle.encode(TEXTS)).max() < TOLERANCE
    assert np.abs(np.linalg.norm(got, axis=1) - 1).max() < TOLERANCE


def test_a_string_alone_and_in_a_crowd(minilm_served: Served) -> None:
    alone = ask(minilm_served, TEXTS[3])[0]
    for position in (0, 1, 31):
        crowd = [*TEXTS * 4][:31]
        crowd.insert(position, TEXTS[3])
        assert np.abs(ask(minilm_served, crowd)[position] - alone).max() < TOLERANCE


def test_base64_and_float_are_the_same_numbers(minilm_served: Served) -> None:
    body = {"model": minilm_served.model, "input": TEXTS[:3]}
    coded = minilm_served.post(body | {"encoding_format": "base64"}).json()["data"]
    bits = [base64.b64decode(entry["embedding"], validate=True) for entry in coded]
    assert [len(each) for each in bits] == [4 * 384] * 3
    floats = ask(minilm_served, TEXTS[:3], encoding_format="float")
    # Of two passes over the same texts, which need not have the same last bits.
    np.testing.assert_allclose([np.frombuffer(each, "<f4") for each in bits], floats, atol=1e-6)


def test_the_official_client(client: openai.OpenAI, minilm_served: Served, oracle: SentenceTransformer) -> None:
    answer = client.embeddings.create(model=minilm_served.model, input=TEXTS[:2])  # asks for base64 by itself
    assert np.abs(np.array([entry.embedding for entry in answer.data]) - oracle.encode(TEXTS[:2])).max() < TOLERANCE
    assert [entry.index for entry in answer.data] == [0, 1]
    assert answer.model == minilm_served.model
    assert [model.id for model in client.models.list()] == [minilm_served.model]
    assert client.models.retrieve(minilm_served.model).id == minilm_served.model
    with pytest.raises(openai.NotFoundError) as missing:
        client.embeddings.create(model="gpt-4", input="x")
    assert missing.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.embeddings.create(model=minilm_served.model, input=[])
    assert wrong.value.param == "input"


def test_token_ids_are_taken_as_they_are(minilm_served: Served, tokenizer: Any) -> None:
    ids = [tokenizer(text)["input_ids"] for text in TEXTS[:2]]
    assert np.abs(ask(minilm_served, ids) - ask(minilm_served, TEXTS[:2])).max() < TOLERANCE
    assert ask(minilm_served, ids[0]).shape == (1, 384)
    assert ask(minilm_served, [[7592], [2088, 999]]).shape == (2, 384)


def test_usage_counts_the_tokens(minilm_served: Served, tokenizer: Any) -> None:
    answer = minilm_served.post({"model": minilm_served.model, "input": TEXTS[:3]}).json()
    expected = sum(len(ids) for ids in tokenizer(TEXTS[:3])["input_ids"])
    assert answer["usage"] == {"prompt_tokens": expected, "total_tokens": expected}


@pytest.mark.parametrize("value", ["word " * 700, ["x", "word " * 700]], ids=["a string", "in a list"])
def test_a_text_that_is_too_long(minilm_served: Served, value: Any) -> None:
    answer = minilm_served.post({"model": minilm_served.model, "input": value})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["param"] == ("input" if isinstance(value, str) else "input[1]")
    assert str(LIMIT) in error["message"]
    assert "702" in error["message"]


@pytest.mark.parametrize("words", [LIMIT - 2, LIMIT - 1])
def test_the_limit_itself(minilm_served: Served, words: int) -> None:
    status = minilm_served.post({"model": minilm_served.model, "input": "word " * words}).status_code
    assert status == (200 if words + 2 <= LIMIT else 400)


def test_truncation_keeps_the_beginning(minilm_served: Served, oracle: SentenceTransformer) -> None:
    long = "word " * 300 + "kettle " * 400
    for value in (long, ["x", long]):
        got = ask(minilm_served, value, truncate=True)[-1]
        assert np.abs(got - ask(minilm_served, "word " * (LIMIT - 2))[0]).max() < TOLERANCE
        assert np.abs(got - oracle.encode(long)).max() < TOLERANCE
    assert minilm_served.post({"model": minilm_served.model, "input": long, "truncate": False}).status_code == 400


def test_a_huge_text_is_refused_or_cut_fast(minilm_served: Served) -> None:
    huge = "kettle " * 1_000_000
    answer = minilm_served.post({"model": minilm_served.model, "input": huge}, timeout=60)
    assert answer.status_code == 400
    assert answer.elapsed.total_seconds() < 25
    assert ask(minilm_served, huge, truncate=True).shape == (1, 384)


@pytest.mark.parametrize("size", [384, None])
def test_the_native_size_is_accepted(minilm_served: Served, size: int | None) -> None:
    assert ask(minilm_served, "kettle", dimensions=size).shape == (1, 384)


def test_an_empty_text_alone_and_in_company(minilm_served: Served, oracle: SentenceTransformer) -> None:
    expected = oracle.encode("")
    for value in ("", ["x", ""], ["", *TEXTS]):
        got = ask(minilm_served, value)
        assert np.abs(got[value.index("") if value else 0] - expected).max() < TOLERANCE
    for path in ("/", "/embed"):
        answer = minilm_served.post({"inputs": ["x", ""]}, path=path).json()
        assert np.abs(np.array(answer[1], dtype=np.float32) - expected).max() < TOLERANCE
    scores = minilm_served.post({"inputs": {"source_sentence": "", "sentences": ["", "x"]}}, path="/").json()
    assert scores == pytest.approx([1, expected @ oracle.encode("x")], abs=TOLERANCE)


async def test_short_texts_under_load(minilm_served: Served) -> None:
    chance = random.Random(4)
    alone = {text: ask(minilm_served, text)[0] for text in ["a", ".", "1", "é", "word " * 200]}
    texts = [chance.choice(["a", ".", "1", "é"]) if number % 10 else "word " * 200 for number in range(300)]
    places = asyncio.Semaphore(32)
    async with httpx.AsyncClient(base_url=minilm_served.base, timeout=60) as client:

        async def one(text: str) -> np.ndarray:
            async with places:
                answer = await client.post("/v1/embeddings", json={"model": minilm_served.model, "input": text})
            return answered(answer)[0]

        rows = await asyncio.gather(*(one(text) for text in texts))
    for text, row in zip(texts, rows, strict=True):
        assert np.isfinite(row).all()
        assert np.abs(row - alone[text]).max() < TOLERANCE


def test_status_tells_what_is_served(minilm_served: Served, hub: Hub) -> None:
    status = minilm_served.status()
    model = status.model
    assert (model.name, model.repo, model.task, model.dimensions) == (hub.minilm, hub.minilm, "feature-extraction", 384)
    assert (model.max_sequence_length, model.dtype, model.device) == (LIMIT, "float32", "cpu")
    assert (model.architecture, model.engine) == ("BertModel", "transformers/padded")
    assert (model.pooling, model.pooling_assumed) == ("mean", False)
    assert model.opened_cid == model.cid != ""
    assert model.manifest_cid
    assert len(model.commit) == 40
    files = [path for path in Path(hub.root / hub.minilm).rglob("*") if path.is_file() and path.name != ".mirror.json"]
    assert model.file_count <= len(files)
    assert model.size_bytes > 80_000_000
    assert sum(source.bytes for source in status.transfer.sources) == status.transfer.total_bytes == model.size_bytes
    assert status.warm.done
    assert status.warm.inputs > 0
    # Sampled every few seconds, the last time perhaps before the model was loaded.
    wait_until(lambda: minilm_served.status().memory.resident_bytes > 100_000_000, 60, "a sample of the loaded model")
    assert status.timings.load_seconds > 0
    assert status.timings.cold_start_seconds >= status.timings.load_seconds
    assert status.versions["torch"]
    answer = minilm_served.post({"model": minilm_served.model, "input": "x"})
    assert answer.headers["x-model-cid"] == model.opened_cid
    assert answer.headers["x-request-id"]
