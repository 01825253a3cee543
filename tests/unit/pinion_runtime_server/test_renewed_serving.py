"""An engine that takes the place of another may have less room, or more: requests and metrics go by what it has."""

from pathlib import Path

import pytest

from pinion_contract import metric_names as names
from pinion_runtime.bringup.served_task import make_task
from pinion_runtime.engines.protocol import Capabilities
from pinion_runtime.model.files import read_model_files
from pinion_runtime.model.task import Task
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.pod.lifecycle import Lifecycle
from pinion_runtime.pod.metrics import Metrics
from pinion_runtime.pod.state import Pod, TextServing
from pinion_runtime.server.errors import ApiError, Code
from pinion_runtime.server.tasks.generation.options import GenerationOptions
from pinion_runtime.server.tasks.generation.prompts import Caller, to_generate


def capable(task: Task, context: int, sequences: int) -> Capabilities:
    numbers = {"context_length": context, "max_sequences": sequences, "vocabulary_size": 30522}
    return Capabilities(task, 0, context, "float32", "cpu", "test", "X", 1, (), **numbers)


@pytest.mark.parametrize("task", ["feature-extraction", "text-generation"])
async def test_requests_go_by_what_the_new_engine_has(minilm: Path, task: Task) -> None:
    pod = Pod(Lifecycle(), Metrics())
    served = await make_task(task, pod, minilm)
    tokenizer, files = Tokenizer.from_snapshot(minilm, max_length=64), read_model_files(minilm)
    serving = await served.serving(tokenizer, capable(task, 64, 4), files)
    renewed = served.renewed(serving, capable(task, 32, 2))
    assert (serving.capabilities.context_length, renewed.capabilities.context_length) == (64, 32)
    assert (renewed.tokenizer, renewed.files, renewed.queue) == (serving.tokenizer, serving.files, serving.queue)
    if isinstance(renewed, TextServing):
        with pytest.raises(ApiError, match="context has 32 tokens") as refused:
            to_generate([5] * 40, GenerationOptions("m"), renewed, Caller("r", "", 1e9), where="prompt")
        assert refused.value.code is Code.CONTEXT_LENGTH_EXCEEDED
        free = pod.metrics.registry.get_sample_value(names.KV_CACHE_TOKENS, {"model": pod.metrics.model, "state": "free"})
        assert free == 32 * 2
    await served.close()
