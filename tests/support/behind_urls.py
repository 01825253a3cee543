"""What may be behind a URL that somebody wrote into an object: the kinds of silence that an operator must not tell apart."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

BANNER = b"SSH-2.0-OpenSSH_9.2p1 of-the-inside\r\n"


@contextmanager
def behind_urls(allowed: str, inside: str) -> Iterator[dict[str, str]]:
    """Yield a URL for each kind; `allowed` is an address that may be asked, `inside` one that may not."""
    with ExitStack() as stack:
        closed = stack.enter_context(socket.socket())
        closed.bind((allowed, 0))  # and nobody listens
        silent = stack.enter_context(socket.create_server((allowed, 0)))  # the kernel takes connections, nobody answers
        speaks = stack.enter_context(_banner(allowed))
        hidden = stack.enter_context(socket.create_server((inside, 0)))
        shut = stack.enter_context(socket.socket())
        shut.bind((inside, 0))
        yield {
            "refused": _url(closed),
            "silent": _url(silent),
            "no-http": _url(speaks),
            "inside": _url(hidden),
            "inside-shut": _url(shut),
            "no-name": "http://nowhere.invalid",
        }


@contextmanager
def _banner(address: str) -> Iterator[socket.socket]:
    """Listen as a daemon that speaks first, and no HTTP."""
    server = socket.create_server((address, 0))

    def greet() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return  # closed
            with connection, suppress(OSError):
                connection.sendall(BANNER)
                connection.settimeout(5)
                connection.recv(65536)

    thread = threading.Thread(target=greet, name="banner", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _url(one: socket.socket) -> str:
    return "http://{}:{}".format(*one.getsockname())
