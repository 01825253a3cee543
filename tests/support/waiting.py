"""Waiting on conditions."""

import time
from collections.abc import Callable
from typing import TypeVar

from devcluster.kubectl import KubectlError

T = TypeVar("T")


def wait_until(true: Callable[[], T], what: str, timeout: float = 90.0) -> T:
    """Poll until the result is truthy and return it; fail with `what` when that does not come.

    A question that kubectl answers with an error is asked again, and its error raised when the time is over.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            if result := true():
                return result
        except KubectlError:
            if time.monotonic() > deadline:
                raise
            result = None
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {result!r}")
        time.sleep(0.2)  # most of the time a kubectl is asked: 0.3 s of CPU
