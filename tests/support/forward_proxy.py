"""A forward proxy on loopback: CONNECT, and plain requests in absolute form; it alone knows where names lead."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

Address = tuple[str, int]


@dataclass
class ForwardProxy:
    """Leads `host:port` where `names` says, elsewhere literally; `answers` puts a status in the place of a connection."""

    names: dict[str, Address] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)  # by host:port: `407 Proxy Authentication Required`
    asked: list[str] = field(default_factory=list)  # `CONNECT host:port`, `GET http://host/path`
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def hosts(self) -> set[str]:
        """Return the hosts, with their ports, that it was asked for."""
        return {_host(line) for line in self.asked}

    def serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = _read_head(client)
            if not head:
                return
            method, target, _ = head.partition(b"\r\n")[0].decode("latin-1").split(" ", 2)
            self.asked.append(f"{method} {target}")
            host = _host(self.asked[-1])
            if status := self.answers.get(host):
                client.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                return
            name, _, port = host.rpartition(":")
            try:
                server = socket.create_connection(self.names.get(host, (name.strip("[]"), int(port))), timeout=20)
            except OSError:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            with server:
                server.settimeout(None)
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    parts = urlsplit(target)
                    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                    rest = head.partition(b"\r\n")[2].replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
                    server.sendall(f"{method} {path} HTTP/1.1\r\n".encode() + rest)
                other = threading.Thread(target=_pump, args=(client, server), daemon=True)
                other.start()
                _pump(server, client)
                other.join(20)


@contextmanager
def forward_proxy(**names: Address) -> Iterator[ForwardProxy]:
    """Run a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = ForwardProxy(dict(names), port=listener.getsockname()[1])

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=running.serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield running
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)


def _host(line: str) -> str:
    method, target = line.split(" ", 1)
    if method == "CONNECT":
        return target
    parts = urlsplit(target)
    return f"{parts.hostname}:{parts.port or 80}"


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 65536:
        if not (more := client.recv(65536)):
            return b""
        head += more
    return head


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
