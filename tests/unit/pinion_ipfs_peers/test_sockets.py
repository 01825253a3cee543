"""A port that can't be had is told in one sentence, with its address as people write it."""

import socket

import pytest

from pinion_ipfs.serving.sockets import listen


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("", None), ("0.0.0.0", None)])
def test_a_port_that_is_taken(host: str, shown: str | None) -> None:
    try:
        taken = listen(host, 0)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="already in use") as refused:
            listen(host, port)
    shown = shown or ("[::]" if socket.has_dualstack_ipv6() else "0.0.0.0")
    assert refused.value.strerror == f"can't listen on {shown}:{port}: Address already in use"


def test_a_host_that_nobody_knows() -> None:
    with pytest.raises(OSError, match=r"can't listen on no-such-host\.invalid:0: .*[Nn]ame") as refused:
        listen("no-such-host.invalid", 0)
    assert "Unknown error" not in str(refused.value)
