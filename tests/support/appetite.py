"""Requests of every size, and how large the batches were that came of them."""

import random

from pinion_contract import metric_names as names
from tests.support.serve import Served

BATCH_TOKENS = 2048  # the most that a batch holds


def ask_all_sizes(served: Served, dice: random.Random, requests: int, largest: int) -> None:
    """Send requests of 1 to `largest` texts, each of one token up to what the model takes."""
    for _ in range(requests):
        texts = ["heron " * dice.randint(1, 254) for _ in range(dice.randint(1, largest))]
        answer = served.post({"model": served.model, "input": texts, "encoding_format": "base64"}, timeout=300)
        assert answer.status_code == 200, answer.text


def largest_batch_is_bounded(served: Served) -> bool:
    """Tell whether no batch had more tokens than a batch may have, whatever the number of its texts."""
    within = served.metric(names.BATCH_TOKENS + "_bucket", le=f"{BATCH_TOKENS}.0")
    return within == served.metric(names.BATCH_TOKENS + "_count") > 0
