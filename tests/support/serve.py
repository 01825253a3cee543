"""`python -m pinion_runtime` as a process of its own on loopback, against the hub mirror: what a pod runs."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pinion_contract.config import HuggingFaceSource, Limits, LiveConfig, RuntimeConfig
from pinion_contract.status import FailureReason, Phase, PodStatus
from tests.support.hub import Hub
from tests.support.ports import free_port

READY_SECONDS = 240.0  # to fetch, to import torch, to load and to warm up; less than the limit of a whole test
LOOK_SECONDS = 15.0  # that an engine may be stopped: after 20 of silence it is replaced


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until `condition` holds; raise AssertionError naming `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process while the block runs; of an engine for LOOK_SECONDS at most, or it is taken for one that hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


async def eventually(condition: Callable[[], bool], seconds: float = 60.0, what: str = "the condition") -> None:
    """Wait for `condition` beside other tasks; it may block for as long as one request takes."""
    deadline = time.monotonic() + seconds
    while True:
        if condition():
            return
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        await asyncio.sleep(0.01)


@dataclass
class Served:
    """A running runtime."""

    process: subprocess.Popen[bytes]
    port: int
    management_port: int
    log: Path
    model: str = ""
    content_port: int = 0

    @property
    def base(self) -> str:
        """Return the address of the inference port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def management(self) -> str:
        """Return the address of the management port."""
        return f"http://127.0.0.1:{self.management_port}"

    def get(self, path: str) -> httpx.Response:
        """Ask the management port."""
        # There is no TLS here, and to make its context takes longer than all the rest.
        return httpx.get(self.management + path, timeout=60, verify=False)

    def post(self, body: Any, *, path: str = "/v1/embeddings", timeout: float = 60.0, **options: Any) -> httpx.Response:
        """Send JSON (or bytes as they are) to the inference port."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(self.base + path, content=content, timeout=timeout, **options)

    def status(self) -> PodStatus:
        """Return the pod's status, parsed by the contract."""
        return PodStatus.model_validate_json(self.get("/status").content)

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Return all samples by name: (labels, value)."""
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(self.get("/metrics").text):
            for sample in family.samples:
                samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
        return samples

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels; 0 when there is none."""
        return sum(value for found, value in self.metrics().get(name, []) if labels.items() <= found.items())

    def wait_for(self, *phases: Phase, seconds: float = READY_SECONDS) -> PodStatus:
        """Wait until the pod is in one of these phases, and return its status."""
        self.wait_until(lambda: self.phase() in phases, seconds, str(phases))
        return self.status()

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait until `condition` holds; raise AssertionError with `what` and the log as it is by then."""
        try:
            wait_until(condition, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the log ends:\n{self.log_end()}") from None

    def phase(self) -> Phase | None:
        """Return the phase, None while nobody answers; a process that has ended is an error."""
        if self.process.poll() is not None:
            raise AssertionError(f"the runtime ended with {self.process.returncode}:\n{self.log_end()}")
        try:
            return self.status().phase
        except httpx.TransportError:
            return None

    def wait_ready(self, seconds: float = READY_SECONDS) -> PodStatus:
        """Wait for 200 from /readyz; a final failure is an error at once."""
        self.wait_for(Phase.READY, Phase.FAILED, seconds=seconds)
        assert self.get("/readyz").status_code == 200, self.log_end()
        return self.status()

    def wait_ready_after_failure(self, seconds: float = READY_SECONDS) -> PodStatus:
        """Wait for Ready of one that has failed for good, and is told something else."""
        return self.wait_for(Phase.READY, seconds=seconds)

    def wait_failure(self, reason: FailureReason, seconds: float = READY_SECONDS) -> PodStatus:
        """Wait until the pod tells of this failure, final or not."""

        def told() -> bool:
            if self.phase() is None:
                return False
            failure = self.status().failure
            return failure is not None and failure.reason is reason

        self.wait_until(told, seconds, str(reason))
        return self.status()

    def log_end(self) -> str:
        """Return the last lines of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-40:])

    def terminate(self) -> None:
        """Send SIGTERM."""
        os.kill(self.process.pid, signal.SIGTERM)

    def wait_ended(self, seconds: float = 60.0) -> int:
        """Wait for the process to end and return its exit code."""
        return self.process.wait(timeout=seconds)


@dataclass
class Serve:
    """Starts runtimes and ends all of them."""

    hub: Hub
    folder: Path
    cache: Path  # shared, so that a model is fetched once where the fetch is not what is tested
    prefix: Sequence[str] = ()  # of the command, to run it as somebody else
    without: Sequence[str] = ()  # variables of the environment that it does not get
    variables: Mapping[str, str] = field(default_factory=dict)  # and others that it gets
    _running: list[Served] = field(default_factory=list)

    def flags(self, model: str, *flags: str, cache: Path | None = None, port: int = 0) -> Served:
        """Start `pinion-serve MODEL`; return at once."""
        return self._start([model, "--endpoint", self.hub.endpoint, *flags], model, cache, port)

    def local(self, folder: str, name: str, *flags: str) -> Served:
        """Start `pinion-serve FOLDER`, which calls the model `name`; return at once."""
        return self._start([folder, *flags], name, None, 0)

    def write(self, config: RuntimeConfig, live: LiveConfig) -> None:
        """Write the two files of a pod as config.json and live.json into `folder`."""
        (self.folder / "config.json").write_text(config.model_dump_json(by_alias=True))
        (self.folder / "live.json").write_text(live.model_dump_json(by_alias=True))

    def files(self, model: str, *flags: str, cache: Path | None = None) -> Served:
        """Start as a pod does, with the two files that lie in `folder`; return at once."""
        config, live = self.folder / "config.json", self.folder / "live.json"
        arguments = ["--config", str(config), "--live", str(live), "--host", "127.0.0.1", "--live-seconds", "0.2"]
        return self._start([*arguments, *flags], model, cache, 0)

    def config(self, config: RuntimeConfig, live: LiveConfig, *flags: str, cache: Path | None = None) -> Served:
        """Write the two files and start; the model is called by its repository where `live` does not name it."""
        live = live if live.served_names else live.model_copy(update={"served_names": (config.source.repo,)})
        self.write(config, live)
        return self.files(live.served_names[0], *flags, cache=cache)

    def _start(self, arguments: Sequence[str], model: str, cache: Path | None, port: int) -> Served:
        port, management_port, content_port = port or free_port(), free_port(), free_port()
        log = self.folder / f"serve-{len(self._running)}.log"
        # setpriv: nothing survives a test run that was killed.
        command = [
            *self.prefix,
            "setpriv",
            "--pdeathsig",
            "KILL",
            sys.executable,
            "-m",
            "pinion_runtime",
            *arguments,
            "--cache-dir",
            str(cache or self.cache),
        ]
        command += ["--port", str(port), "--management-port", str(management_port), "--content-port", str(content_port)]
        # The machine's own hub settings have no say in a test.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and key not in self.without}
        environment = {**inherited, **self.variables}
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        served = Served(process, port, management_port, log, model, content_port)
        self._running.append(served)
        return served

    def stop_all(self) -> None:
        """End what still runs."""
        for served in self._running:
            if served.process.poll() is None:
                served.terminate()
        for served in self._running:
            try:
                served.wait_ended(45)
            except subprocess.TimeoutExpired:
                served.process.kill()
                served.process.wait()


def commit_of(hub: Hub, repo: str) -> str:
    """Return the commit that the mirror names for a repository's main."""
    answer = httpx.get(f"{hub.endpoint}/api/models/{repo}/revision/main", timeout=60)
    sha: str = answer.json()["sha"]
    return sha


def make_config(hub: Hub, repo: str, commit: str, **changes: Any) -> RuntimeConfig:
    """Return the configuration of a pod that serves `repo` at `commit` from the mirror."""
    values: dict[str, Any] = {
        "namespace": "tests",
        "deployment": "model",
        "revision": "model-1",
        "source": HuggingFaceSource(repo=repo, commit=commit, endpoint=hub.endpoint, allow_local_addresses=True),
        "termination_grace_period_seconds": 30,
    }
    return RuntimeConfig(**(values | changes))


def make_live(**limits: int) -> LiveConfig:
    """Return a live.json with these limits."""
    return LiveConfig(limits=Limits(**limits))


@pytest.fixture(scope="session")
def serve_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store that the runtimes of this session share."""
    return tmp_path_factory.mktemp("hf-home")


@pytest.fixture
def serve(hub: Hub, tmp_path: Path, serve_cache: Path) -> Iterator[Serve]:
    """Yield a starter of runtimes; they end with the test."""
    starter = Serve(hub, tmp_path, serve_cache)
    try:
        yield starter
    finally:
        starter.stop_all()


@pytest.fixture(scope="session")
def minilm_served(hub: Hub, tmp_path_factory: pytest.TempPathFactory, serve_cache: Path) -> Iterator[Served]:
    """Yield one Ready runtime with all-MiniLM-L6-v2, shared by the tests that only ask."""
    starter = Serve(hub, tmp_path_factory.mktemp("serve"), serve_cache)
    try:
        served = starter.flags(hub.minilm)
        served.wait_ready()
        yield served
    finally:
        starter.stop_all()
