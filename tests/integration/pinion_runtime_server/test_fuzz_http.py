"""Whatever a client sends, it is answered in OpenAI's shape, never by an error of the program, and the model goes on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinion_runtime.model.chat_messages import ROLES
from pinion_runtime.server.tasks.generation.parameters import TABLES
from tests.support.decoders import generate, make_decoder
from tests.support.hub import Hub
from tests.support.serve import Serve, Served

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


def check(answer: httpx.Response, longest: int = 2000) -> None:
    assert answer.status_code == 200 or answer.status_code in REFUSALS, (answer.status_code, answer.text)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    body = json.loads(answer.text, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))
    if answer.status_code != 200:
        error = body["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert len(answer.text) < longest  # what was sent is not sent back


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


# --- the routes that generate

GENERATING = ("/v1/completions", "/v1/chat/completions")
PARAMETERS = sorted({*TABLES["completions"], *TABLES["chat"]})
NAME, CONTEXT = "tiny-llama", 48  # so that no answer takes long
TEMPLATE = "{% for message in messages %}{{ message.role + ': ' + message.content + '\\n' }}{% endfor %}"
PROMPT = [5, 6, 7]

ids = st.lists(st.integers(-1, 501), max_size=5)
written = text | st.sampled_from(["\ud800", "The kettle", "</s>"])
message = st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": written})
other = st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": value}, optional={"name": text, "tool_calls": value})
prompts = {
    GENERATING[0]: ("prompt", st.one_of(written, ids, st.lists(written, max_size=4), st.lists(ids, max_size=4), value)),
    GENERATING[1]: ("messages", st.lists(message, min_size=1, max_size=3) | st.lists(message | other, max_size=3) | value),
}
taken = st.fixed_dictionaries(
    {},
    optional={
        **{"temperature": st.floats(0, 2), "top_p": st.floats(0, 1, exclude_min=True), "top_k": st.integers(-1, 2**63)},
        **{"min_p": st.floats(0, 1), "seed": st.integers(-(2**63), 2**63 - 1), "n": st.integers(1, 3)},
        **{"presence_penalty": st.floats(-2, 2), "frequency_penalty": st.floats(-2, 2)},
        **{"repetition_penalty": st.floats(0.01, 100), "ignore_eos": st.booleans(), "min_tokens": st.integers(0, 4)},
        "logit_bias": st.dictionaries(st.integers(0, 499).map(str), st.floats(-100, 100), max_size=4),
        **{"stop": st.lists(st.text(min_size=1, max_size=3), max_size=4), "stream": st.booleans()},
        **{"stop_token_ids": st.lists(st.integers(0, 499), max_size=4), "skip_special_tokens": st.booleans()},
    },
)


@dataclass(frozen=True)
class Generating:
    """A pod that generates; `right` is the answer to PROMPT."""

    client: httpx.Client
    livez: str
    right: str

    def ask(self, path: str, content: bytes) -> httpx.Response:
        """Send a body, check its answer, and that the pod goes on: it lives, and answers what is right rightly."""
        answer = self.client.post(path, content=content)
        if answer.headers["content-type"].startswith("text/event-stream"):
            *parts, done, nothing = answer.text.split("\n\n")
            assert (done, nothing) == ("data: [DONE]", "")
            assert all("choices" in json.loads(part.removeprefix("data: ")) for part in parts), answer.text
        else:
            check(answer, 10_000)
        assert self.client.get(self.livez).status_code == 200
        asked = {"model": NAME, "prompt": PROMPT, "max_tokens": 3, "temperature": 0}
        assert self.client.post("/v1/completions", json=asked).json()["choices"][0]["text"] == self.right
        return answer


@pytest.fixture(scope="module")
def generating(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Generating]:
    from transformers import AutoTokenizer  # here: it takes seconds

    folder = make_decoder(tmp_path_factory.mktemp("decoder") / NAME)
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    right = AutoTokenizer.from_pretrained(folder).decode(generate(folder, PROMPT, 3))
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), tmp_path_factory.mktemp("cache"))
    try:
        served = starter.local(str(folder), NAME, "--context-length", str(CONTEXT), "--max-sequences", "4")
        served.wait_ready()
        with httpx.Client(base_url=served.base, timeout=60, verify=False) as client:
            yield Generating(client, served.management + "/livez", right)
        assert served.status().engine_restarts == 0
    finally:
        starter.stop_all()


@st.composite
def objects(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """Draw a path, and a body that mostly has what is required there, beside what may not be taken."""
    path = draw(st.sampled_from(GENERATING))
    field, prompt = prompts[path]
    more = draw(st.just({}) | st.dictionaries(st.sampled_from(PARAMETERS) | text, likely, max_size=2))
    return path, {"model": NAME, "max_tokens": 4, field: draw(prompt), **more}


def damaged(path: str, cut: int, flipped: int, byte: int) -> bytes:
    """Return a good body with a byte changed, or without its end."""
    prompt = {"messages": [{"role": "user", "content": "é"}]} if "chat" in path else {"prompt": ["é", "kettle"]}
    body = bytearray(json.dumps({"model": NAME, "max_tokens": 2, "logit_bias": {"7": 1.5}, **prompt}).encode())
    body[flipped % len(body)] = byte
    return bytes(body[: cut % len(body) or None])


@given(drawn=objects())
def test_any_object_for_a_text(generating: Generating, drawn: tuple[str, dict[str, Any]]) -> None:
    path, body = drawn
    generating.ask(path, json.dumps(body).encode())


@given(path=st.sampled_from(GENERATING), fields=taken, tokens=st.integers(4, 8))
def test_any_values_that_are_taken_together(generating: Generating, path: str, fields: dict[str, Any], tokens: int) -> None:
    prompt = {"messages": [{"role": "user", "content": "kettle"}]} if "chat" in path else {"prompt": "kettle"}
    answer = generating.ask(path, json.dumps({"model": NAME, "max_tokens": tokens, **prompt, **fields}).encode())
    assert answer.status_code == 200, answer.text


@given(
    path=st.sampled_from(GENERATING),
    body=st.binary(max_size=200)
    | st.builds(
        damaged, st.sampled_from(GENERATING), st.just(0) | st.integers(0, 200), st.integers(0, 200), st.integers(0, 255)
    ),
)
def test_any_bytes_for_a_text(generating: Generating, path: str, body: bytes) -> None:
    generating.ask(path, body)
