"""Server-sent events as OpenAI's API streams them: one line of data each, and a last one that says that nothing is missing.

Source: the HTML standard, "Server-sent events".
"""

from .http import Headers

HEADERS: Headers = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx holds events back otherwise
]


def event(data: bytes) -> bytes:
    """Return an event with this data; raise ValueError where it is not one line."""
    if b"\n" in data or b"\r" in data:
        raise ValueError("the data of an event is one line")
    return b"data: %b\n\n" % data


DONE = event(b"[DONE]")
