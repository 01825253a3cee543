"""What a folder can do, as its files declare it, and what is made of a task that was asked for."""

from typing import Any

import pytest

from pinion_runtime.errors import EngineLoadError
from pinion_runtime.model.task import Task, choose_task, tasks_of

EMBEDS: Task = "feature-extraction"
GENERATES: Task = "text-generation"


@pytest.mark.parametrize(
    ("architecture", "told", "tasks"),
    [
        ("LlamaForCausalLM", {}, (GENERATES, EMBEDS)),
        ("GPT2LMHeadModel", {}, (GENERATES, EMBEDS)),
        ("Qwen3ForCausalLM", {"has_modules": True}, (EMBEDS, GENERATES)),
        ("Qwen2ForCausalLM", {"is_causal": False}, (EMBEDS,)),
        ("Qwen2ForCausalLM", {"is_causal": True}, (GENERATES, EMBEDS)),
        ("BertModel", {"has_modules": True}, (EMBEDS,)),
        ("GPT2Model", {}, (EMBEDS,)),
        ("BertForSequenceClassification", {}, (EMBEDS,)),
        ("T5ForConditionalGeneration", {}, (EMBEDS,)),
        ("ForCausalLMThing", {}, (EMBEDS,)),
    ],
)
def test_what_a_folder_can_do(architecture: str, told: dict[str, Any], tasks: tuple[Task, ...]) -> None:
    assert tasks_of(architecture, **{"is_causal": None, "has_modules": False, **told}) == tasks


@pytest.mark.parametrize(
    ("wanted", "possible", "task"),
    [
        ("", (GENERATES, EMBEDS), GENERATES),
        ("", (EMBEDS,), EMBEDS),
        (EMBEDS, (GENERATES, EMBEDS), EMBEDS),
        (GENERATES, (EMBEDS, GENERATES), GENERATES),
    ],
)
def test_the_task_that_is_meant(wanted: str, possible: tuple[Task, ...], task: Task) -> None:
    assert choose_task(wanted, possible, "X") == task


@pytest.mark.parametrize("wanted", [GENERATES, "fill-mask", "TEXT-GENERATION"])
def test_a_task_that_the_model_cannot_do_is_refused_by_name(wanted: str) -> None:
    with pytest.raises(EngineLoadError, match=f"BertModel can't do {wanted}; it can do feature-extraction"):
        choose_task(wanted, (EMBEDS,), "BertModel")
