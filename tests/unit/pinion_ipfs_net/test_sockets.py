"""A port that can't be had is told in one sentence, with its address as people write it."""

import socket

import pytest

from pinion_ipfs.net.sockets import listen


@pytest.mark.parametrize("host", ["127.0.0.1", "", "0.0.0.0", "::"])
def test_a_port_that_is_taken(host: str) -> None:
    with listen(host, 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="already in use") as refused:
            listen(host, port)
    shown = host if host == "127.0.0.1" else "[::]" if socket.has_dualstack_ipv6() else "0.0.0.0"
    assert refused.value.strerror == f"can't listen on {shown}:{port}: Address already in use"


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(OSError, match=r"can't listen on no-such-host\.invalid:0: .*[Nn]ame") as refused:
        listen("no-such-host.invalid", 0)
    assert "Unknown error" not in str(refused.value)
