"""Pods that are deleted in their first two seconds: each is gone at once, whatever it has just begun."""

import random

import pytest

from tests.support.contained_pods import ContainedPods, delete_after
from tests.support.hub import Hub

pytestmark = [pytest.mark.chaos, pytest.mark.model]

FIRST, LAST = 0.05, 2.0  # seconds after the start
DELETIONS_PER_ROUND = 20


def test_no_deletion_is_lost(pods: ContainedPods, hub: Hub, rounds: int, dice: random.Random) -> None:
    config = pods.config(hub.minilm)
    for _ in range(rounds * DELETIONS_PER_ROUND):
        delete_after(pods, config, dice.uniform(FIRST, LAST))
