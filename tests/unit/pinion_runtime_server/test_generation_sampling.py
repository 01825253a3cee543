"""From a request to the engine's sampling: the model's own defaults, and ids that the model has."""

import json
from typing import Any

import pytest

from pinion_runtime.engines.protocol import Sampling
from pinion_runtime.model.sampling_defaults import SamplingDefaults
from pinion_runtime.server.errors import ApiError
from pinion_runtime.server.tasks.completions.protocol import parse_request
from pinion_runtime.server.tasks.generation.options import GenerationOptions
from pinion_runtime.server.tasks.generation.sampling import check_prompt_ids, sampling_of

DEFAULTS = SamplingDefaults(temperature=0.6, top_p=0.9, top_k=20, min_p=0.1, repetition_penalty=1.05)


def options(**fields: Any) -> GenerationOptions:
    return parse_request(json.dumps({"model": "m", "prompt": "x"} | fields).encode()).options


def sampling(defaults: SamplingDefaults, **fields: Any) -> Sampling:
    return sampling_of(options(**fields), defaults, 100, drawn_seed=7)


@pytest.mark.parametrize(
    ("defaults", "fields", "expected"),
    [
        (SamplingDefaults(), {}, Sampling(seed=7)),
        (DEFAULTS, {}, Sampling(7, 0.6, 0.9, 20, 0.1, repetition_penalty=1.05)),
        (DEFAULTS, {"temperature": 0, "min_p": 0}, Sampling(7, 0.0, 0.9, 20, 0.0, repetition_penalty=1.05)),
        (DEFAULTS, {"top_k": 0, "top_p": 1}, Sampling(7, 0.6, 1.0, 0, 0.1, repetition_penalty=1.05)),
        (DEFAULTS, {"top_k": -1, "repetition_penalty": 1}, Sampling(7, 0.6, 0.9, 0, 0.1)),
        (SamplingDefaults(), {"top_k": 99}, Sampling(7, top_k=99)),
        (SamplingDefaults(), {"top_k": 100}, Sampling(7)),
        (SamplingDefaults(top_k=2**40), {}, Sampling(7)),
        (SamplingDefaults(), {"seed": 0}, Sampling(0)),
        (SamplingDefaults(), {"seed": -1}, Sampling(2**63 - 1)),
        (SamplingDefaults(), {"seed": -(2**63)}, Sampling(0)),
        (SamplingDefaults(), {"presence_penalty": 1}, Sampling(7, presence_penalty=1.0)),
        (SamplingDefaults(), {"frequency_penalty": -1}, Sampling(7, frequency_penalty=-1.0)),
        (SamplingDefaults(), {"logit_bias": {"99": 5}}, Sampling(7, logit_bias={99: 5.0})),
    ],
)
def test_the_request_then_the_model_then_the_whole_distribution(
    defaults: SamplingDefaults, fields: dict[str, Any], expected: Sampling
) -> None:
    found = sampling(defaults, **fields)
    assert found == expected
    assert all(type(getattr(found, name)) is type(getattr(expected, name)) for name in Sampling.__struct_fields__)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"logit_bias": {"99999999": 1}}, "logit_bias.99999999"),
        ({"logit_bias": {"0": 1, "100": 1}}, "logit_bias.100"),
        ({"stop_token_ids": [99, 100]}, "stop_token_ids[1]"),
    ],
)
def test_an_id_that_the_model_does_not_have(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ApiError, match="ids are 0 to 99") as refused:
        sampling(SamplingDefaults(), **fields)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(("prompt", "param"), [([1, 100], "prompt"), ([[5], [99, 10**300, 3]], "prompt[1]")])
def test_a_prompt_of_ids_that_the_model_does_not_have(prompt: Any, param: str) -> None:
    request = parse_request(json.dumps({"model": "m", "prompt": prompt}).encode())
    with pytest.raises(ApiError, match="ids are 0 to 99") as refused:
        check_prompt_ids(request.prompts, 100)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert len(refused.value.message) < 200


@pytest.mark.parametrize("prompt", ["a kettle", [0, 99], [[5], [99]]])
def test_a_prompt_that_the_model_has_the_ids_of(prompt: Any) -> None:
    check_prompt_ids(parse_request(json.dumps({"model": "m", "prompt": prompt}).encode()).prompts, 100)
