"""What a client may not send, each refused in OpenAI's shape; afterwards the same process still answers."""

from typing import Any

import httpx
import pytest

from tests.support.serve import Served

pytestmark = pytest.mark.model


@pytest.fixture(scope="module", autouse=True)
def still_answers(minilm_served: Served) -> Any:
    engines = minilm_served.status().engine_restarts
    yield
    assert minilm_served.post({"model": minilm_served.model, "input": "x"}).status_code == 200
    assert minilm_served.status().engine_restarts == engines


def refused(answer: httpx.Response, status: int, code: str, param: str | None = None) -> str:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    assert answer.headers["x-model-cid"]
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    "body", [b"", b"{", b"not json", b"[]", b'"x"', b"[" * 50_000, b'{"model":"m","input":"\xff"}', rb'{"input":"\ud800"}']
)
def test_what_is_no_json_object(minilm_served: Served, body: bytes) -> None:
    refused(minilm_served.post(body), 400, "invalid_json")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": []}, "input"),
        ({"input": ["a", None]}, "input[1]"),
        ({"input": [[]]}, "input[0]"),
        ({"input": ["a", [5]]}, "input[1]"),
        ({"input": ["x"] * 2049}, "input"),
        ({"input": [[30522]]}, "input[0]"),
        ({"input": [100257]}, "input"),
        ({"input": [[7592], [-1]]}, "input[1][0]"),
        ({"input": [[10**30]]}, "input[0]"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": 64}, "dimensions"),
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": -1}, "dimensions"),
        ({"dimensions": 100_000}, "dimensions"),
        ({"dimensions": "64"}, "dimensions"),
        ({"truncate": 1}, "truncate"),
        ({"model": None}, "model"),
    ],
)
def test_a_wrong_field(minilm_served: Served, fields: dict[str, Any], param: str) -> None:
    refused(minilm_served.post({"model": minilm_served.model, "input": "x"} | fields), 400, "invalid_request", param)


def test_a_field_that_would_change_a_vector_names_ours(minilm_served: Served) -> None:
    for path, field in (("/v1/embeddings", "input"), ("/", "inputs"), ("/embed", "inputs")):
        for name, ours in (("input_type", "prompt_name"), ("truncate_prompt_tokens", "truncate"), ("nonsense", "normalize")):
            answer = minilm_served.post({"model": minilm_served.model, field: "x", name: 5}, path=path)
            assert f"{ours}" in refused(answer, 400, "unsupported_parameter", name)


@pytest.mark.parametrize(("path", "field"), [("/v1/embeddings", "input"), ("/", "inputs"), ("/embed", "inputs")])
def test_a_field_in_the_query_string(minilm_served: Served, path: str, field: str) -> None:
    body = {"model": minilm_served.model, field: "x"}
    assert minilm_served.post(body, path=f"{path}?api-version=1&user=me").status_code == 200
    refused(minilm_served.post(body, path=f"{path}?dimensions=64"), 400, "unsupported_parameter", "dimensions")


def test_an_unknown_model(minilm_served: Served) -> None:
    message = refused(minilm_served.post({"model": "gpt-4", "input": "x"}), 404, "model_not_found", "model")
    assert minilm_served.model in message
    answer = httpx.get(f"{minilm_served.base}/v1/models/gpt-4", timeout=60)
    refused(answer, 404, "model_not_found", "model")
    assert answer.headers["x-should-retry"] == "false"


def test_a_body_that_is_too_large(minilm_served: Served) -> None:
    limit = minilm_served.status().limits.max_body_bytes
    refused(minilm_served.post(b"x" * (limit + 1)), 413, "request_too_large")


def test_a_request_of_too_many_tokens(minilm_served: Served) -> None:
    body = {"model": minilm_served.model, "input": ["word " * 254] * 2048}
    message = refused(minilm_served.post(body, timeout=120), 413, "request_too_large", "input")
    assert "at most 300000" in message
    assert "fewer inputs" in message


@pytest.mark.parametrize(
    "path", ["/v1/embeddings/", "/embeddings", "/openai/v1/embeddings", "//v1/embeddings", "/v1/responses"]
)
def test_another_path_is_no_redirect(minilm_served: Served, path: str) -> None:
    answer = minilm_served.post({"model": minilm_served.model, "input": "x"}, path=path, follow_redirects=False)
    assert "/v1/embeddings" in refused(answer, 404, "not_found")


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT", "DELETE"])
def test_another_method(minilm_served: Served, method: str) -> None:
    answer = httpx.request(method, f"{minilm_served.base}/v1/embeddings", timeout=60)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
