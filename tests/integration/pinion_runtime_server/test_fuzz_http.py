"""Whatever a client sends, it is answered in OpenAI's shape, never by an error of the program, and the model goes on."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.serve import Served

pytestmark = pytest.mark.model

ROUTES = ("/v1/embeddings", "/", "/embed")
FIELDS = (
    *("model", "input", "inputs", "encoding_format", "dimensions", "truncate", "prompt", "prompt_name", "normalize"),
    *("truncation_direction", "parameters", "options", "user", "store", "metadata", "source_sentence", "sentences"),
)
REFUSALS = {400, 404, 413}

text = st.text(max_size=60) | st.sampled_from(["\x00", "\ufeff", "\u202e", "a\u0301" * 20, "𝕜" * 30, "<s>", "[MASK] [PAD]"])
number = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 384, 30521, 30522, 2**31, 2**63, 2**64, 1e308])
scalar = st.none() | st.booleans() | number | text
value = st.recursive(
    scalar, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=3), max_leaves=12
)
likely = st.one_of(text, st.lists(text, max_size=4), st.lists(st.integers(-1, 31000), max_size=5), value)


@pytest.fixture(scope="module")
def client(minilm_served: Served) -> Iterator[httpx.Client]:
    restarts = minilm_served.status().engine_restarts
    with httpx.Client(base_url=minilm_served.base, timeout=60, verify=False) as asking:
        yield asking
        answer = asking.post("/v1/embeddings", json={"model": minilm_served.model, "input": "kettle"})
        assert answer.status_code == 200
    assert minilm_served.status().engine_restarts == restarts


def check(answer: httpx.Response) -> None:
    assert answer.status_code == 200 or answer.status_code in REFUSALS, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))
    if answer.status_code != 200:
        error = body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert len(answer.text) < 2000  # what was sent is not sent back


@given(path=st.sampled_from(ROUTES), fields=st.dictionaries(st.sampled_from(FIELDS) | text, likely, max_size=5))
def test_any_object(client: httpx.Client, path: str, fields: dict[str, Any]) -> None:
    check(client.post(path, content=json.dumps(fields)))


@given(path=st.sampled_from(ROUTES), sent=likely, more=st.dictionaries(st.sampled_from(FIELDS), likely, max_size=2))
def test_any_input(minilm_served: Served, client: httpx.Client, path: str, sent: Any, more: dict[str, Any]) -> None:
    field = "input" if path.startswith("/v1") else "inputs"
    check(client.post(path, content=json.dumps(more | {"model": minilm_served.model, field: sent})))


@given(path=st.sampled_from(ROUTES), body=st.binary(max_size=200))
def test_any_bytes(client: httpx.Client, path: str, body: bytes) -> None:
    check(client.post(path, content=body))


@given(cut=st.integers(0, 200), flipped=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_good_body_with_a_byte_changed_or_its_end_gone(
    minilm_served: Served, client: httpx.Client, cut: int, flipped: int, byte: int
) -> None:
    body = bytearray(json.dumps({"model": minilm_served.model, "input": ["kettle", "é"], "encoding_format": "base64"}).encode())
    body[flipped % len(body)] = byte
    check(client.post("/v1/embeddings", content=bytes(body)))
    check(client.post("/v1/embeddings", content=bytes(body[: cut % len(body)])))


@given(
    headers=st.dictionaries(
        st.sampled_from(["content-type", "accept", "authorization", "x-request-id", "expect", "accept-encoding", "range"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40),
        max_size=4,
    )
)
def test_any_header(minilm_served: Served, client: httpx.Client, headers: dict[str, str]) -> None:
    body = json.dumps({"model": minilm_served.model, "input": "kettle"})
    answer = client.post("/v1/embeddings", content=body, headers=headers)
    check(answer)
    assert answer.status_code == 200
