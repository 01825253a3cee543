"""Rounds of a model's way to Ready on a whole cluster, with something killed at a random time in each."""

import random

import pytest

from tests.support.cluster import Cluster
from tests.support.journeys import kubo_backend, random_kill, travel

pytestmark = [pytest.mark.chaos, pytest.mark.cluster]

NAMESPACE = "kills"


def test_it_serves_in_the_end(cluster: Cluster, rounds: int, dice: random.Random) -> None:
    with cluster.namespace(NAMESPACE), cluster.slow_hub(16 * 1024 * 1024):
        cluster.apply(kubo_backend("ipfs"), NAMESPACE)
        cluster.kubectl("wait", "-n", NAMESPACE, "ipfsb/ipfs", "--for=condition=Ready", "--timeout=120s")
        killed = 0
        for number in range(rounds):
            kill = random_kill(dice)
            journey = travel(cluster, NAMESPACE, f"model-{number}", [kill])
            killed += journey.killed
            print(f"round {number}: {', '.join(journey.kills)}: Ready, {journey.origin_bytes} bytes of the origin", flush=True)
            cluster.kubectl("delete", "-n", NAMESPACE, f"mdep/model-{number}", "--timeout=120s")
        assert killed, "nothing was ever killed: all were served too soon"
