"""A Ctrl-C ends `pinion-ipfs` at once and in silence, also while it imports, and while nobody answers."""

import signal
import socket
from pathlib import Path

import pytest

from tests.support.process_one import Starter
from tests.support.serve import wait_until

AT_ONCE = 1.0  # seconds
PROGRAM = ("python", "-m", "pinion_ipfs")
TOLD = {"SIGINT": (signal.SIGINT, 130), "SIGTERM": (signal.SIGTERM, 143)}


@pytest.mark.parametrize(("number", "code"), TOLD.values(), ids=TOLD.keys())
def test_while_it_imports(starter: Starter, number: signal.Signals, code: int) -> None:
    command = starter.ordinary(*PROGRAM, "fetch", "org/model", "--endpoint", "http://127.0.0.1:9")
    wait_until(lambda: command.handles(signal.SIGTERM), 60, "a handler")
    ended = command.end(number)
    assert (ended.code, command.output()) == (code, "")


@pytest.mark.parametrize(("number", "code"), TOLD.values(), ids=TOLD.keys())
def test_while_the_hub_is_silent(starter: Starter, tmp_path: Path, number: signal.Signals, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hub:
        hub.settimeout(60)
        endpoint = f"http://127.0.0.1:{hub.getsockname()[1]}"
        home = {"HF_HOME": str(tmp_path)}
        command = starter.ordinary(*PROGRAM, "fetch", "org/model", "--endpoint", endpoint, environment=home)
        asked, _ = hub.accept()
        with asked:
            asked.settimeout(60)
            assert b"/api/models/org/model" in asked.recv(4096)
            ended = command.end(number)
    assert ended.seconds < AT_ONCE
    assert (ended.code, command.output()) == (code, "")
