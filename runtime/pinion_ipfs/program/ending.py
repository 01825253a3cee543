"""How a program of ours ends: at once when it is told so while it starts, and without waiting for threads when it is done."""

import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def end_when_told() -> None:
    """Let SIGTERM and SIGINT end this process at once and in silence, with exit code 143 or 130.

    For the second or two that the imports take, when nothing is there yet that would have to end well. Without a handler
    process 1 of a container never sees a SIGTERM, and a Ctrl-C prints whatever module was at hand.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # in this order: who sees that the latter is handled may send the former
        signal.signal(number, _end)


def end_now(code: int, *, flush: bool = True) -> NoReturn:
    """End the process: threads may still hash a file or ask the hub, and nothing of theirs is worth waiting for.

    Without `flush` nor is whoever should read our output.
    """
    if not flush:
        os._exit(code)
    import logging  # not at the top: it would delay the handlers

    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue  # whoever read it has gone
    os._exit(code)


def _end(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)
