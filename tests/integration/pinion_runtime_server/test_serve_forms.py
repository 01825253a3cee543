"""One model in every form of asking: prompts, cut sizes and truncation, on OpenAI's route and on those of the hub's clients."""

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from numpy.typing import NDArray

from tests.support.hub import Hub
from tests.support.models import TinyModels
from tests.support.serve import Serve, Served

pytestmark = pytest.mark.model

TOLERANCE = 1e-5
LIMIT = 48  # tokens, special ones included
PROMPTS = {"query": "The heron waits for: ", "title": "In the year 1887, ", "plain": ""}
TEXTS = ["The kettle sings before the water boils.", "a", "我们今天去公园散步", "Bread rises slowly in a cold kitchen."]
ROUTES = ("/v1/embeddings", "/", "/embed")
SIZES = [8, 16]


@dataclass
class Asked:
    """A server and the reference for what it serves."""

    served: Served
    oracle: Any

    def send(self, path: str, value: Any, **fields: Any) -> httpx.Response:
        body = {"model": self.served.model, "input": value} if path.startswith("/v1") else {"inputs": value}
        return self.served.post(body | fields, path=path)

    def ask(self, path: str, value: Any, **fields: Any) -> NDArray[np.float32]:
        answer = self.send(path, value, **fields)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return np.array([entry["embedding"] for entry in found["data"]] if path.startswith("/v1") else found, dtype=np.float32)

    def refused(self, path: str, value: Any, **fields: Any) -> dict[str, str]:
        answer = self.send(path, value, **fields)
        assert answer.status_code == 400, answer.text
        error: dict[str, str] = answer.json()["error"]
        return error


def near(found: NDArray[np.float32], expected: NDArray[np.float32]) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() < TOLERANCE)


Start = Callable[..., Asked]


@pytest.fixture(scope="module")
def start(
    hub: Hub,
    tiny_models: TinyModels,
    reference: Callable[[Path], Any],
    tmp_path_factory: pytest.TempPathFactory,
    serve_cache: Path,
) -> Iterator[Start]:
    starter = Serve(hub, tmp_path_factory.mktemp("forms"), serve_cache)

    def begin(name: str, prompts: dict[str, Any], config: dict[str, Any], **recipe: Any) -> Asked:
        folder = tiny_models.copy(hub.root / name, max_seq_length=LIMIT, **recipe)
        (folder / "config_sentence_transformers.json").write_text(json.dumps(prompts))
        known = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(known | config))
        served = starter.flags(name)
        served.wait_ready(300)
        return Asked(served, reference(folder))

    try:
        yield begin
    finally:
        starter.stop_all()


@pytest.fixture(scope="module")
def prompted(start: Start) -> Asked:
    """A model that leaves the prompt out of its vectors, whose vectors have length 1 and may be cut to two sizes."""
    pooling = {"pooling_mode": ["mean", "cls"], "include_prompt": False}
    prompts = {"prompts": PROMPTS, "default_prompt_name": "title"}
    config = {"is_matryoshka": True, "matryoshka_dimensions": SIZES}
    return start("tests/forms-prompted", prompts, config, pooling=pooling)


@pytest.fixture(scope="module")
def plain(start: Start) -> Asked:
    """A model whose vectors have any length, with a prompt that counts and none by default."""
    return start("tests/forms-plain", {"prompts": PROMPTS}, {}, normalize=False, pooling={"pooling_mode": "lasttoken"})


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    "prompt", [{}, {"prompt_name": "query"}, {"prompt_name": "plain"}, {"prompt": "Numbers: "}, {"prompt": ""}]
)
def test_prompts_as_sentence_transformers_applies_them(prompted: Asked, path: str, prompt: dict[str, str]) -> None:
    assert near(prompted.ask(path, TEXTS, **prompt), prompted.oracle.encode(TEXTS, **prompt))
    assert near(prompted.ask(path, TEXTS[0], **prompt), prompted.oracle.encode(TEXTS[:1], **prompt))


def test_a_prompt_that_counts_and_none_by_default(plain: Asked) -> None:
    for prompt in ({}, {"prompt_name": "query"}, {"prompt_name": "document"}, {"prompt": "Numbers: "}):
        assert near(plain.ask("/v1/embeddings", TEXTS, **prompt), plain.oracle.encode(TEXTS, **prompt))
    assert not near(plain.ask("/", TEXTS), plain.ask("/", TEXTS, prompt_name="query"))


@pytest.mark.parametrize("path", ROUTES)
def test_an_unknown_prompt_is_told_the_known_ones(prompted: Asked, path: str) -> None:
    error = prompted.refused(path, "x", prompt_name="nosuch")
    assert error["param"] == "prompt_name"
    assert all(f"'{name}'" in error["message"] for name in ("document", "nosuch", "plain", "query", "title"))


def test_a_prompt_can_not_go_before_token_ids_nor_fill_the_model(prompted: Asked) -> None:
    assert prompted.refused("/", [5, 6], prompt_name="query")["param"] == "prompt_name"
    assert near(prompted.ask("/", [5, 6]), prompted.ask("/", [5, 6], prompt=""))  # ids are taken as they are
    long = "heron " * 100
    assert prompted.refused("/", "x", prompt=long)["code"] == "context_length_exceeded"
    # The tokenizer ends a text with no token that it calls special, so that nothing but the prompt is left.
    error = prompted.refused("/", ["x", "a"], prompt=long, truncate=True)
    assert error["param"] == "inputs[0]"
    assert "no token beside the prompt" in error["message"]


def test_a_declared_size_is_cut_and_made_a_unit_again(prompted: Asked) -> None:
    whole = prompted.ask("/v1/embeddings", TEXTS)
    for size in SIZES:
        expected = whole[:, :size] / np.linalg.norm(whole[:, :size], axis=1, keepdims=True)
        for path in ROUTES:
            assert near(prompted.ask(path, TEXTS, dimensions=size), expected)
    assert near(prompted.ask("/", TEXTS, dimensions=whole.shape[1]), whole)
    for size in (1, 9, 32, 100_000):
        message = prompted.refused("/v1/embeddings", "x", dimensions=size)["message"]
        assert "8, 16" in message
        assert str(size) in message


def test_the_size_of_a_model_that_declares_none(plain: Asked) -> None:
    assert near(plain.ask("/", TEXTS, dimensions=32), plain.ask("/", TEXTS))
    assert "can't be shortened" in plain.refused("/", "x", dimensions=16)["message"]


def test_length_one_where_it_is_asked_for(plain: Asked, prompted: Asked) -> None:
    raw = plain.oracle.encode(TEXTS)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    assert near(plain.ask("/", TEXTS), raw)
    assert near(plain.ask("/", TEXTS, normalize=True), unit)
    assert near(plain.ask("/embed", TEXTS), unit)  # as text-embeddings-inference has it
    assert near(plain.ask("/embed", TEXTS, normalize=False), raw)
    for path in ROUTES:
        assert near(plain.ask(path, TEXTS, normalize=True), unit)
        assert near(plain.ask(path, TEXTS, normalized=False), raw)
        assert near(prompted.ask(path, TEXTS, normalize=False), prompted.oracle.encode(TEXTS))
        assert near(prompted.ask(path, TEXTS, normalize=False, dimensions=8), prompted.oracle.encode(TEXTS, truncate_dim=8))


@pytest.mark.parametrize("path", ROUTES)
def test_truncation_is_one_rule_for_a_text_and_for_a_list(plain: Asked, path: str) -> None:
    long = "heron " * 300 + "kettle"
    expected = plain.oracle.encode(["heron " * 300])  # cut to its first tokens
    if path == "/embed":
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for value in (long, [long, "x"]):
        assert near(plain.ask(path, value, truncate=True)[:1], expected)
    field = "input" if path.startswith("/v1") else "inputs"
    for value, param in ((long, field), (["x", long], f"{field}[1]")):
        for fields in ({}, {"truncate": False}):
            error = plain.refused(path, value, **fields)
            assert (error["code"], error["param"]) == ("context_length_exceeded", param)
            assert str(LIMIT) in error["message"]
            assert any(int(word) > 300 for word in error["message"].split() if word.isdecimal())


@pytest.mark.parametrize("path", ROUTES)
def test_truncation_as_other_services_spell_it(plain: Asked, path: str) -> None:
    long = "heron " * 300 + "kettle sings"
    for theirs, ours in (("END", "right"), ("START", "left")):
        assert near(plain.ask(path, long, truncate=theirs), plain.ask(path, long, truncate=True, truncation_direction=ours))
    assert plain.refused(path, long, truncate="NONE")["code"] == "context_length_exceeded"


@pytest.mark.parametrize("path", ROUTES)
def test_what_can_not_change_a_vector_is_ignored_on_every_route(plain: Asked, path: str) -> None:
    extra = {"user": "me", "timeout": 5, "options": {"wait_for_model": True}, "parameters": {}, "embedding_type": "float"}
    null = dict.fromkeys(("truncate", "dimensions", "prompt", "prompt_name", "normalize", "encoding_format", "input_type"))
    assert near(plain.ask(path, TEXTS, **extra, **null), plain.ask(path, TEXTS))


def test_base64_on_every_route(plain: Asked) -> None:
    numbers = plain.ask("/", TEXTS)
    for path in ("/", "/embed"):
        coded = plain.send(path, TEXTS, encoding_format="base64", normalize=False).json()
        assert near(np.stack([np.frombuffer(base64.b64decode(each), "<f4") for each in coded]), numbers)


def test_truncation_from_the_other_side(plain: Asked) -> None:
    long = "heron " * 300 + "kettle sings"
    for side in ("left", "Left"):
        assert near(
            plain.ask("/", long, truncate=True, truncation_direction=side),
            plain.ask("/", long[6 * 100 :], truncate=True, truncation_direction="left"),
        )
    assert not near(plain.ask("/", long, truncate=True, truncation_direction="left"), plain.ask("/", long, truncate=True))


def test_the_hubs_own_client(plain: Asked) -> None:
    client = InferenceClient(plain.served.base + "/", timeout=60)
    assert near(client.feature_extraction(TEXTS[0]), plain.oracle.encode(TEXTS[:1]))
    assert near(client.feature_extraction(TEXTS), plain.oracle.encode(TEXTS))
    assert near(client.feature_extraction(TEXTS, prompt_name="query"), plain.oracle.encode(TEXTS, prompt_name="query"))
    long = "heron " * 300
    assert near(client.feature_extraction(long, truncate=True, truncation_direction="Right"), plain.oracle.encode([long]))
    expected = plain.oracle.similarity(plain.oracle.encode(TEXTS[:1]), plain.oracle.encode(TEXTS[1:])).numpy()[0]
    assert near(np.array(client.sentence_similarity(TEXTS[0], TEXTS[1:]), dtype=np.float32), expected)
    with pytest.raises(HfHubHTTPError) as refused:
        client.feature_extraction(long)
    assert refused.value.response.status_code == 400
    assert str(LIMIT) in str(refused.value)


def test_a_wrong_shape_is_told_the_right_ones(plain: Asked) -> None:
    for value in (None, 5, {"text": "x"}):
        error = plain.refused("/", value)
        assert error["param"] == "inputs"
        assert "source_sentence" in error["message"]
    assert plain.send("/", "x", model="other").status_code == 404
    assert plain.send("/", "x", model=plain.served.model).status_code == 200
    assert httpx.get(f"{plain.served.base}/", timeout=30).status_code == 405


def test_the_same_batch_gives_the_same_bits(plain: Asked) -> None:
    texts = [*TEXTS, "heron " * 40]
    first = plain.ask("/", texts)
    assert all(np.allclose(plain.ask("/", texts), first, atol=1e-6) for _ in range(20))
    for text, vector in zip(texts, first, strict=True):
        assert near(plain.ask("/", text), vector[None])


def test_the_queue_takes_two_large_requests_at_once(plain: Asked) -> None:
    texts = ["heron " * (LIMIT - 2)] * 2048
    with ThreadPoolExecutor(2) as both:
        answers = [both.submit(plain.send, "/", texts, encoding_format="base64") for _ in range(2)]
        assert [len(answer.result().json()) for answer in answers] == [2048, 2048]


def test_tokens_are_counted_on_every_route(plain: Asked) -> None:
    for path in ROUTES:
        before = plain.served.metric("hf_server_tokens_total", direction="in")
        plain.ask(path, TEXTS)
        assert plain.served.metric("hf_server_tokens_total", direction="in") > before
        assert plain.served.metric("hf_server_requests_total", endpoint=path, status="200") >= 1
