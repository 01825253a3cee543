"""The engine's end of the socket to the front, and the end of a process whose front is gone."""

import os
import socket
import threading
from select import select

from .frames import HEADER_BYTES, encode_frame, frame_length, to_engine
from .protocol import FromEngine, ToEngine


class Channel:
    """The engine's end of the socket; sending is safe from two threads, receiving belongs to the main thread."""

    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()

    def send(self, message: FromEngine) -> None:
        """Send, or end the process when the front is gone."""
        frame = encode_frame(message)
        try:
            with self._lock:
                self._socket.sendall(frame)
        except OSError:
            leave()

    def receive(self) -> ToEngine:
        """Wait for a message; end the process when the front is gone."""
        message: ToEngine = to_engine.decode(self._read(frame_length(self._read(HEADER_BYTES))))
        return message

    def ready(self, seconds: float | None = 0.0) -> bool:
        """Tell whether `receive` would not wait, now or within `seconds`; None: wait until it is so."""
        return bool(select([self._socket], [], [], seconds)[0])

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view, have = memoryview(data), 0
        while have < size:
            try:
                got = self._socket.recv_into(view[have:])
            except OSError:
                got = 0
            if not got:
                leave()
            have += got
        return data


def leave() -> None:
    """End at once: nobody is left to talk to, and neither a compute thread nor the end of torch may hold us up."""
    os._exit(0)
