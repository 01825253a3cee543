"""How much chaos: the number of rounds, and the seed that makes a bad one come again."""

import os
import random
import secrets

import pytest


@pytest.fixture
def rounds() -> int:
    """Return how many rounds of each fault: PINION_CHAOS_ROUNDS, or ten."""
    return int(os.environ.get("PINION_CHAOS_ROUNDS") or 10)


@pytest.fixture
def dice() -> random.Random:
    """Return the source of what is random; PINION_CHAOS_SEED repeats a run."""
    seed = os.environ.get("PINION_CHAOS_SEED") or secrets.token_hex(4)
    print(f"PINION_CHAOS_SEED={seed}")
    return random.Random(seed)
