"""The program of `helm test`'s pod, as the chart renders it, against a real model server and the real operator."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.charts import one, render
from tests.support.decoders import make_decoder
from tests.support.hub import Hub
from tests.support.operator_process import OperatorProcess
from tests.support.serve import Serve, Served

KEY = "sk-of-the-test"


def program(*settings: str) -> tuple[str, dict[str, str]]:
    """Return the text of the program and where its environment comes from."""
    container = one(render(*settings), "Pod")["spec"]["containers"][0]
    assert container["command"] == ["python", "-c"]
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"]["name"] for one in container.get("env", [])}
    return container["args"][0], secrets


def run(text: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-c", text], {**os.environ, **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def guarded(hub: Hub, tmp_path_factory: pytest.TempPathFactory, serve_cache: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("helm-test")
    (folder / "keys").mkdir()
    (folder / "keys/client").write_text(KEY)
    starter = Serve(hub, folder, serve_cache)
    try:
        served = starter.flags(hub.minilm, "--api-keys-dir", str(folder / "keys"))
        served.wait_ready(300)
        yield served
    finally:
        starter.stop_all()


@pytest.mark.model
def test_it_asks_the_model_that_the_values_name(guarded: Served) -> None:
    address = f"test.model=127.0.0.1:{guarded.port}"
    text, secrets = program(address, "test.keySecretRef.name=clients", "test.keySecretRef.key=search")
    assert secrets == {"API_KEY": "clients"}
    done = run(text, API_KEY=KEY)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{guarded.model} ({guarded.status().model.cid}) answered with a vector of 384 numbers\n"
    text, secrets = program(address)
    assert not secrets
    assert "401" in run(text).stderr, "a request that is refused fails the test"


@pytest.mark.model
def test_a_model_that_generates_text_is_asked_for_one(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/client").write_text(KEY)
    folder = make_decoder(tmp_path / "tiny")
    served = serve.local(str(folder), "tiny", "--api-keys-dir", str(tmp_path / "keys"), "--max-sequences", "2")
    cid = served.wait_ready().model.cid
    text, _ = program(f"test.model=127.0.0.1:{served.port}", "test.keySecretRef.name=clients", "test.keySecretRef.key=search")
    done = run(text, API_KEY=KEY)
    assert (done.returncode, done.stdout) == (0, f"tiny ({cid}) answered with a text of 8 tokens\n"), done.stderr


@pytest.mark.control_plane
def test_without_a_model_it_asks_the_operator(operator: OperatorProcess) -> None:
    text, _ = program()
    assert "http://r-operator.ns:8080" in text, "the Service of the chart"
    done = run(text.replace("r-operator.ns:8080", f"127.0.0.1:{operator.port}"))
    assert (done.returncode, done.stdout) == (0, "the operator is ready\n"), done.stderr
