"""Why a queue takes a request not now, or never."""


class QueueFull(Exception):
    """No room; try again after `retry_after_seconds` (1 to 120), computed from the drain rate."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"the queue is full; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class RequestTooLarge(Exception):
    """The request would not fit an empty queue: trying again does not help."""
