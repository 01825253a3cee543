"""What pods say of how they serve is told in the status of the object, and stays told while none is there to say so."""

from pinion_contract.config import RuntimeConfig
from tests.support.model_world import World


def test_pooling_is_told_as_the_pods_tell_it() -> None:
    world = World().backend("ipfs").serve()
    assert (world.status.model.task, world.status.model.pooling) == ("feature-extraction", "")
    world.pod("pod-0", status=world.says(model={"pooling": "lasttoken", "pooling_assumed": True})).settle()
    assert (world.status.model.pooling, world.status.model.pooling_assumed) == ("lasttoken", True)
    world.change(suspend=True).no_pods().settle()
    assert (world.status.model.pooling, world.status.model.pooling_assumed) == ("lasttoken", True)


def test_the_engine_and_its_strategy_are_told_as_the_pods_tell_them() -> None:
    world = World().backend("ipfs").serve()
    said = {
        "task": "text-generation",
        "engine": "transformers/one-at-a-time",
        "engine_reason": "beside others a text differs",
        "context_length": 2048,
        "max_sequences": 1,
    }
    world.pod("pod-0", status=world.says(model=said)).settle()

    def told() -> tuple[object, ...]:
        model = world.status.model
        return model.task, model.engine, model.strategy, model.strategy_reason, model.context_length, model.max_sequences

    expected = ("text-generation", "transformers", "one-at-a-time", "beside others a text differs", 2048, 1)
    assert told() == expected
    world.change(suspend=True).no_pods().settle()
    assert told() == expected


def test_what_the_model_is_served_for_reaches_its_pods() -> None:
    world = World().backend("ipfs").serve()

    def told() -> tuple[str, int, int]:
        config = RuntimeConfig.model_validate_json(world.config)
        return config.task, config.context_length, config.max_sequences

    assert told() == ("auto", 0, 0)
    model = {"source": {"huggingFace": {"repo": "org/model"}}, "task": "text-generation"}
    world.change(model=model, runtime={"contextLength": 4096, "maxSequences": 8}).settle()
    assert told() == ("text-generation", 4096, 8)
