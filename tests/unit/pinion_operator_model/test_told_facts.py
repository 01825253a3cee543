"""What pods say of how they serve is told in the status of the object, and stays told while none is there to say so."""

from tests.support.model_world import World


def test_pooling_is_told_as_the_pods_tell_it() -> None:
    world = World().backend("ipfs").serve()
    assert (world.status.model.task, world.status.model.pooling) == ("feature-extraction", "")
    world.pod("pod-0", status=world.says(model={"pooling": "lasttoken", "pooling_assumed": True})).settle()
    assert (world.status.model.pooling, world.status.model.pooling_assumed) == ("lasttoken", True)
    world.change(suspend=True).no_pods().settle()
    assert (world.status.model.pooling, world.status.model.pooling_assumed) == ("lasttoken", True)
