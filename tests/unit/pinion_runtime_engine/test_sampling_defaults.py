"""What is read of generation_config.json for requests that do not say how tokens are chosen."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.sampling_defaults import SamplingDefaults, read_sampling_defaults


def read(folder: Path, said: Any = None) -> SamplingDefaults:
    if said is not None:
        (folder / "generation_config.json").write_text(json.dumps(said))
    return read_sampling_defaults(folder)


def test_what_a_model_says(tmp_path: Path) -> None:
    said = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1}
    assert read(tmp_path, said) == SamplingDefaults(0.6, 0.9, 20, 0.05, 1.1)


@pytest.mark.parametrize("said", [None, {}, {"temperature": None}, {"transformers_version": "5.24.0", "eos_token_id": [1, 2]}])
def test_what_it_does_not_say_is_the_whole_distribution(tmp_path: Path, said: Any) -> None:
    assert read(tmp_path, said) == SamplingDefaults()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("top_p", 0),
        ("top_p", 1.01),
        ("top_k", -1),
        ("min_p", -0.1),
        ("min_p", 1.1),
        ("repetition_penalty", 0),
        ("temperature", "warm"),
        ("top_k", 2.5),
    ],
)
def test_what_can_not_be_meant_is_refused_by_its_name(tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(EngineLoadError, match=rf"generation_config\.json.*{field}"):
        read(tmp_path, {field: value})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "generation_config.json").write_text('{"temperature": ')
    with pytest.raises(EngineLoadError, match=r"generation_config\.json is not valid"):
        read_sampling_defaults(tmp_path)
