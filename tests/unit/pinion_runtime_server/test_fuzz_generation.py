"""Bodies that nobody thought of: a request or a refusal that names a field of the body, and never anything else."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinion_runtime.model.sampling_defaults import SamplingDefaults
from pinion_runtime.server.errors import ApiError, Code, shorten
from pinion_runtime.server.tasks.chat import protocol as chat
from pinion_runtime.server.tasks.chat.messages import ROLES
from pinion_runtime.server.tasks.completions import protocol as completions
from pinion_runtime.server.tasks.generation.options import GenerationOptions
from pinion_runtime.server.tasks.generation.parameters import TABLES
from pinion_runtime.server.tasks.generation.sampling import sampling_of
from pinion_runtime.server.tasks.tokenize import protocol as tokenize

Parse = Callable[[bytes], Any]

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-5, 200),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**30]),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXT,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)
MESSAGES = st.lists(
    st.dictionaries(st.sampled_from(["role", "content", "name", "audio"]), st.sampled_from(ROLES) | VALUES) | VALUES
)
LIKELY = {
    "model": st.just("m"),
    "prompt": st.one_of(TEXT, st.lists(TEXT), st.lists(st.integers(0, 9)), st.lists(st.lists(st.integers(0, 9)))),
    "messages": MESSAGES | st.lists(st.fixed_dictionaries({"role": st.sampled_from(ROLES), "content": VALUES}), min_size=1),
    "logit_bias": st.dictionaries(st.integers(-1, 200).map(str), SCALARS, max_size=4),
    "stop": TEXT | st.lists(TEXT, max_size=20),
    "stream_options": st.dictionaries(st.sampled_from(["include_usage", "include_obfuscation", "x"]), SCALARS),
    "chat_template_kwargs": st.dictionaries(TEXT, VALUES),
    "tokens": st.lists(st.integers(0, 9)),
}
ROUTES: dict[str, tuple[Parse, list[str], tuple[str, ...]]] = {
    "completions": (completions.parse_request, sorted(TABLES["completions"]), ("model", "prompt")),
    "chat": (chat.parse_request, sorted(TABLES["chat"]), ("model", "messages")),
    "tokenize": (tokenize.parse_tokenize, sorted(tokenize.TOKENIZE), ("prompt",)),
    "detokenize": (tokenize.parse_detokenize, sorted(tokenize.DETOKENIZE), ("tokens",)),
}


@st.composite
def bodies(draw: st.DrawFn, names: list[str], required: tuple[str, ...]) -> dict[str, Any]:
    """Draw an object of known names, mostly with what is required."""
    chosen = draw(st.lists(st.sampled_from(names) | TEXT, max_size=4, unique=True))
    found = [*(name for name in required if draw(st.integers(0, 9))), *chosen]
    return {name: draw(st.one_of(LIKELY[name], VALUES) if name in LIKELY else VALUES) for name in found}


def refusal(parse: Parse, body: bytes) -> ApiError | None:
    try:
        parse(body)
    except ApiError as error:
        return error
    return None


@pytest.mark.parametrize("route", ROUTES)
@given(data=st.data())
def test_any_object_is_a_request_or_a_refusal_of_one_of_its_fields(route: str, data: st.DataObject) -> None:
    parse, names, required = ROUTES[route]
    body = data.draw(bodies(names, required))
    error = refusal(parse, json.dumps(body).encode())
    if error is None:
        return
    assert error.status in (400, 413), error.message
    assert len(error.message) < 8000
    if error.code is not Code.INVALID_JSON:
        missing = [name for name in required if body.get(name) is None]
        assert error.param is not None
        assert error.param in missing or any(error.param.startswith(shorten(name)) for name in body), error.param


@pytest.mark.parametrize("route", ROUTES)
@given(value=VALUES | st.binary(max_size=40))
def test_anything_else_is_refused_too(route: str, value: Any) -> None:
    error = refusal(ROUTES[route][0], value if isinstance(value, bytes) else json.dumps(value).encode())
    assert error is not None
    assert error.status == 400


@given(
    st.fixed_dictionaries(
        {"model": st.just("m"), "prompt": st.just("x")},
        optional={
            "temperature": st.floats(0, 2),
            "top_p": st.floats(0, 1, exclude_min=True),
            "top_k": st.integers(-1, 2**63),
            "seed": st.integers(-(2**63), 2**63 - 1),
            "logit_bias": st.dictionaries(st.integers(0, 120).map(str), st.floats(-100, 100), max_size=4),
        },
    )
)
def test_what_is_in_range_becomes_sampling_within_the_engines_bounds(body: dict[str, Any]) -> None:
    options: GenerationOptions = completions.parse_request(json.dumps(body).encode()).options
    if any(number >= 100 for number in options.logit_bias):
        with pytest.raises(ApiError, match="ids are 0 to 99"):
            sampling_of(options, SamplingDefaults(), 100, drawn_seed=1)
        return
    sampling = sampling_of(options, SamplingDefaults(), 100, drawn_seed=1)
    assert 0 <= sampling.seed < 2**63
    assert 0 <= sampling.top_k < 100
    assert (sampling.temperature, sampling.top_p) == (body.get("temperature", 1), body.get("top_p", 1))
