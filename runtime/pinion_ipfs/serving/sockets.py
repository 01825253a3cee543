"""The listening socket of the content port: one for both families where the system has both."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Bind and return a socket; '' and the two unspecified addresses mean every address of both families. Raises OSError."""
    everywhere = host in ("", "0.0.0.0", "::")
    if everywhere and socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=256)
    if everywhere:
        host = "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on {host}:{port}: {error.strerror}") from None
