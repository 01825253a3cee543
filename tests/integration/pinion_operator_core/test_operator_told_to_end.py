"""An operator that is told to end soon after its start is gone at once, whether it imports or waits."""

import json
import signal
import socket
from pathlib import Path

import pytest

from tests.support.held_programs import MOMENTS, held_at, looks_for
from tests.support.ports import free_port
from tests.support.process_one import BIN, Starter

AT_ONCE = 25.0  # seconds: on a machine that does other things, and less than the 30 s that a kubelet gives
LIMIT = 40.0  # seconds: what takes longer than AT_ONCE is told with its time
ALL_MOMENTS = {**MOMENTS, "the HTTP client": ("aiohttp", "aiohttp.tracing")}
PROGRAM = ("python", "-m", "pinion_operator")
INIT = (str(BIN / "dumb-init"), "--")
SETTINGS = {"PINION_RUNTIME_IMAGE": "runtime:1", "PINION_KUBO_IMAGE": "kubo:1", "KUBECONFIG": "/nowhere"}


@pytest.mark.parametrize(("loaded", "next_one"), ALL_MOMENTS.values(), ids=ALL_MOMENTS.keys())
def test_signals_count_while_it_imports_even_as_process_1(starter: Starter, tmp_path: Path, loaded: str, next_one: str) -> None:
    with held_at(looks_for(next_one), tmp_path / "held") as held:
        operator = starter.process_one(*PROGRAM, environment=SETTINGS | held.environment)
        held.wait(next_one)
        assert operator.handles(signal.SIGTERM), "there was time to import before signals counted"
        assert operator.has_loaded(loaded or next_one) == bool(loaded)
        ended = operator.end(limit=LIMIT)
    assert ended.seconds < AT_ONCE
    assert (ended.code, operator.output()) == (143, "")


def test_a_ctrl_c_while_it_imports_ends_it_in_silence(starter: Starter, tmp_path: Path) -> None:
    with held_at(looks_for("aiohttp"), tmp_path / "held") as held:
        operator = starter.ordinary(*PROGRAM, environment=SETTINGS | held.environment)
        held.wait("aiohttp")
        ended = operator.end(signal.SIGINT, limit=LIMIT)
    assert (ended.code, operator.output()) == (130, "")


def test_while_the_api_server_is_silent(starter: Starter, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        cluster = {"name": "silent", "cluster": {"server": f"http://127.0.0.1:{server.getsockname()[1]}"}}
        context = {"name": "silent", "context": {"cluster": "silent", "user": ""}}
        kubeconfig = {"apiVersion": "v1", "kind": "Config", "current-context": "silent"}
        (tmp_path / "kubeconfig").write_text(json.dumps({**kubeconfig, "clusters": [cluster], "contexts": [context]}))
        where = {"KUBECONFIG": str(tmp_path / "kubeconfig"), "PINION_HEALTH_PORT": str(free_port())}
        where |= {"PINION_LEASE_SECONDS": "300", "PINION_REQUEST_TIMEOUT_SECONDS": "60"}  # it would wait for longer than that
        operator = starter.process_one(*INIT, *PROGRAM, environment=SETTINGS | where)
        asked, _ = server.accept()
        with asked:
            ended = operator.end(limit=LIMIT)
    assert ended.seconds < AT_ONCE, f"it took {ended.seconds:.2f} s"
    assert ended.code == 0, operator.output()
    assert "Traceback" not in operator.output()
