"""The listening socket of a port: one for both families where the system has both."""

import socket


def listen(host: str, port: int) -> socket.socket:
    """Bind and return a socket; '' and the two unspecified addresses mean every address of both families. Raises OSError."""
    everywhere = host in ("", "0.0.0.0", "::")
    dualstack = everywhere and socket.has_dualstack_ipv6()
    if everywhere:
        host = "::" if dualstack else "0.0.0.0"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, dualstack_ipv6=dualstack, backlog=256)
    except OSError as error:
        reason = str(error.strerror).partition(" (while attempting")[0]  # Python adds the address to what the system says
        raise OSError(error.errno, f"can't listen on {f'[{host}]' if ':' in host else host}:{port}: {reason}") from None
