"""An operator that asks, leads and reconciles is gone soon after it is told to end, and gives its Lease back."""

import contextlib
import json
import signal
import socket
import threading
import time

import pytest

from devcluster.control import ControlPlane
from tests.support.model_objects import Models
from tests.support.operator_process import Operators
from tests.support.process_one import BIN

pytestmark = pytest.mark.control_plane

SOON = 25.0  # seconds: it asks the API server for two things more, and shares the machine with that; a kubelet gives it 30
INIT = (str(BIN / "dumb-init"), "--")


def test_it_is_gone_soon_at_every_moment_of_its_start(operators: Operators) -> None:
    took = {}
    for number in range(12):
        moment = 0.05 + number / 11 * 1.95
        operator = operators.start(prefix=INIT)
        time.sleep(moment)  # the moment is what is tried
        told = time.monotonic()
        # -SIGTERM: the end of dumb-init itself, which on a busy machine does not handle signals yet by then.
        assert operator.stop() in (143, 0, -signal.SIGTERM), operator.log.read_text()
        took[round(moment, 2)] = time.monotonic() - told
        assert "Traceback" not in operator.log.read_text()
    print(took)
    assert max(took.values()) < SOON, took


def test_one_that_leads_is_gone_soon_and_gives_the_lease_back(operators: Operators) -> None:
    operator = operators.start(prefix=INIT)
    operator.wait_leading()
    told = time.monotonic()
    assert operator.stop() == 0
    seconds = time.monotonic() - told
    print(seconds)
    lease = json.loads(operators.control_plane.kubectl("-n", operators.namespace, "get", "leases", "-o", "json"))["items"]
    assert [one["spec"].get("holderIdentity") for one in lease] == [""]
    assert seconds < SOON, f"it took {seconds:.2f} s"


def test_it_waits_for_no_hub(operators: Operators, control_plane: ControlPlane, namespace: str) -> None:
    """A pass that has begun has its time to end; what it asks a hub that never ends its answer holds up nothing."""
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.settimeout(90)
        endpoint = f"http://127.0.0.1:{hub.getsockname()[1]}"
        settings = {"PINION_HUB_ENDPOINT": endpoint, "PINION_STOP_SECONDS": "0.5"}
        operator = operators.start(prefix=INIT, environment=settings)
        Models(control_plane, namespace).apply("m", "org/model")
        asked, _ = hub.accept()
        over = threading.Event()
        dripping = threading.Thread(target=drip, args=(asked, over), daemon=True)
        dripping.start()
        try:
            told = time.monotonic()
            assert operator.stop() == 0, operator.log.read_text()
            assert time.monotonic() - told < 0.5 + SOON
        finally:
            over.set()
            dripping.join()


def drip(asked: socket.socket, over: threading.Event) -> None:
    """Answer without an end: a question to a hub that says nothing at all is given up after ten seconds."""
    with asked, contextlib.suppress(OSError):
        asked.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not over.wait(1):
            asked.sendall(b".")
