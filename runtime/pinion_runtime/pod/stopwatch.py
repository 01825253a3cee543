"""Takes the time of a stage into the pod's status."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from .state import Pod

Stage = Literal["fetch_seconds", "verify_seconds", "pin_seconds", "load_seconds", "warmup_seconds"]


@contextmanager
def stopwatch(pod: Pod, stage: Stage) -> Iterator[None]:
    """Add the time that the body takes, tries that failed included, once it has ended."""
    started = time.monotonic()
    try:
        yield
    finally:
        seconds = getattr(pod.timings, stage) + time.monotonic() - started
        pod.timings = pod.timings.model_copy(update={stage: round(seconds, 3)})
