"""A port that leads to another while it is told to: a daemon that is down, back, or cut off in the middle of an answer."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Relay:
    """Relays connections on a fixed port of 127.0.0.1 to `target`; without one it refuses them."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._target: tuple[str, int] | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._cut_after = 0
        self.relayed = 0  # bytes of answers
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, url: str, *, cut_after: int = 0) -> None:
        """Relay to a URL's host and port; `cut_after` so many bytes of answers everything is cut, and down from then on."""
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target, self._cut_after, self.relayed = (parts.hostname, parts.port), cut_after, 0

    def take_down(self) -> None:
        """Cut every connection and refuse new ones."""
        self._target = None
        with self._lock:
            sockets = tuple(self._open)
        for each in sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it."""
        self.take_down()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            target = self._target
            try:
                if target is None:
                    raise ConnectionRefusedError
                server = socket.create_connection(target, timeout=20)
                server.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._open |= {client, server}
            for source, sink, counts in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, counts), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if counts:
                    self.relayed += len(data)
                    if 0 < self._cut_after <= self.relayed:
                        self.take_down()
        except OSError:
            pass
        finally:
            for each in (source, sink):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            if counts:
                with self._lock:
                    self._open -= {source, sink}
                source.close()
                sink.close()


@contextmanager
def relay() -> Iterator[Relay]:
    """Yield a relay that is down."""
    running = Relay()
    try:
        yield running
    finally:
        running.close()
