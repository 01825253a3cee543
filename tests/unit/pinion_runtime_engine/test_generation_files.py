"""What is read of generation_config.json and config.json for generation."""

import json
from pathlib import Path
from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.generation_files import GenerationFiles, SamplingDefaults, read_generation_files


def read(folder: Path, config: dict[str, Any], generation: Any = None) -> GenerationFiles:
    (folder / "config.json").write_text(json.dumps(config))
    if generation is not None:
        (folder / "generation_config.json").write_text(json.dumps(generation))
    return read_generation_files(folder)


@pytest.mark.parametrize(
    ("config", "generation", "ids"),
    [
        ({}, None, ()),
        ({"eos_token_id": 2}, None, (2,)),
        ({"eos_token_id": [5, 3]}, None, (3, 5)),
        ({"eos_token_id": 2}, {"eos_token_id": [128001, 128009, 128008]}, (128001, 128008, 128009)),
        ({"eos_token_id": 2}, {}, (2,)),
        ({"eos_token_id": 2}, {"eos_token_id": None}, (2,)),
        ({"eos_token_id": None}, None, ()),
        ({"eos_token_id": -1}, None, ()),  # how some say that there is none
        ({"eos_token_id": 0}, None, (0,)),
    ],
)
def test_the_ids_that_end_an_answer(tmp_path: Path, config: dict[str, Any], generation: Any, ids: tuple[int, ...]) -> None:
    assert read(tmp_path, config, generation).end_ids == ids


def test_what_a_model_says_of_sampling(tmp_path: Path) -> None:
    said = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "repetition_penalty": 1.1}
    assert read(tmp_path, {}, said).sampling == SamplingDefaults(0.6, 0.9, 20, 0.05, 1.1)


@pytest.mark.parametrize("generation", [None, {}, {"temperature": None}, {"transformers_version": "5.24.0"}])
def test_what_it_does_not_say_is_the_whole_distribution(tmp_path: Path, generation: Any) -> None:
    assert read(tmp_path, {}, generation).sampling == SamplingDefaults()


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
        ("eos_token_id", "</s>"),
        ("eos_token_id", [1, None]),
    ],
)
def test_what_can_not_be_meant_is_refused_by_its_name(tmp_path: Path, field: str, value: Any) -> None:
    with pytest.raises(EngineLoadError, match=rf"generation_config\.json.*{field}"):
        read(tmp_path, {}, {field: value})


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "generation_config.json").write_text('{"temperature": ')
    with pytest.raises(EngineLoadError, match=r"generation_config\.json is not valid"):
        read_generation_files(tmp_path)
