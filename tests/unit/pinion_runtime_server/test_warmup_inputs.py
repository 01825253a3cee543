"""What a model is warmed up with: the inputs that were given, or ours, as long as the model takes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pinion_runtime.bringup.served_task import make_task
from pinion_runtime.engines.protocol import Capabilities
from pinion_runtime.model.task import Task
from pinion_runtime.model.tokenizing import Tokenizer
from pinion_runtime.pod.lifecycle import Lifecycle
from pinion_runtime.pod.metrics import Metrics
from pinion_runtime.pod.state import Pod

CONTEXT = 64


@pytest.mark.parametrize(
    ("task", "context", "inputs", "lengths"),
    [
        ("feature-extraction", CONTEXT, (), [3, 13, 38, CONTEXT]),
        ("feature-extraction", CONTEXT, ("a kettle", "word " * 200), [4, CONTEXT]),
        ("text-generation", CONTEXT, (), [3, 13, 38, CONTEXT - 2]),
        ("text-generation", CONTEXT, ("a kettle", "word " * 200), [4, CONTEXT - 2]),
        ("text-generation", 4, ("a kettle",), [2]),
        ("text-generation", 2, (), [1, 1, 1, 1]),
    ],
)
async def test_inputs(minilm: Path, task: Task, context: int, inputs: Sequence[str], lengths: list[int]) -> None:
    served = await make_task(task, Pod(Lifecycle(), Metrics()), minilm)
    capabilities = Capabilities(task, 0, context, "float32", "cpu", "test", "X", 1, (), context_length=context)
    found = await served.warmup_ids(Tokenizer.from_snapshot(minilm, max_length=context), inputs, capabilities)
    assert [len(ids) for ids in found] == lengths
    await served.close()
