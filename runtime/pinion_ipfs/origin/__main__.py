"""The child: `python -m pinion_ipfs.origin` reads a job, downloads into its own staging cache, verifies, moves into the store.

It dies with its parent: the end of standard input is the end of the process.
"""

import json
import os
import sys
import threading
from typing import BinaryIO

from ..errors import ContentError
from .download import Downloads
from .job import OriginJob
from .locks import do_without_locks

DETAILS = ("retry_after", "source", "path", "needed_bytes", "available_bytes", "cause")  # of an error, for the parent


class Events:
    """Writes events, a line each, whole even when several threads report."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, kind: str, **values: object) -> None:
        """Write one event."""
        line = json.dumps({"event": kind, **values}).encode() + b"\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


def _die_with_parent() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(143)


def main() -> int:
    """Run one job; exit 0 when every file is in the store, 1 after an `error` event."""
    # Libraries print to standard output at times: the event stream is a descriptor that they don't know.
    events = Events(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    job = OriginJob.decode(sys.stdin.buffer.readline())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    do_without_locks()
    events.send("started")
    try:
        Downloads(job, events.send).run()
    except ContentError as error:
        details = {name: getattr(error, name) for name in DETAILS if hasattr(error, name)}
        events.send("error", name=type(error).__name__, message=str(error), details=details)
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    # Threads of the transfer library may still hold connections; nothing of theirs is worth waiting for.
    os._exit(code)
