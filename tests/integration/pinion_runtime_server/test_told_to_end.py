"""Told to end before it serves, a runtime is gone at once, whatever it does at that moment, and leaves nothing."""

import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinion_contract.config import KuboBackend
from tests.support.contained_pods import AT_ONCE, LONG_WARMUP, ContainedPods, check, delete_after
from tests.support.held_programs import MOMENTS, held_at, looks_for
from tests.support.hub import Hub
from tests.support.process_one import BIN, Started, Starter
from tests.support.serve import READY_SECONDS, wait_until

pytestmark = pytest.mark.model

ALL_MOMENTS = {**MOMENTS, "the loop": ("uvloop", "uvloop._version")}


@pytest.fixture
def silence() -> Iterator[str]:
    """Return the URL of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def silent_hub(hub: Hub) -> Iterator[Hub]:
    """Return the mirror with a repository of which it can be silent."""
    hub.add_repo("pinion/silent", {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": b"1" * 100})
    try:
        yield hub
    finally:
        hub.order("pinion/silent")


@pytest.fixture
def large(hub: Hub) -> Iterator[str]:
    """Return a repository that takes a while to verify."""
    folder = hub.add_repo("pinion/large", {"config.json": b"{}", "tokenizer.json": b"[]"})
    with (folder / "model.safetensors").open("wb") as weights:
        weights.truncate(256 << 20)
    yield "pinion/large"
    shutil.rmtree(folder)


def has_said(pod: Started, word: str) -> None:
    """Wait until the log says that a phase has begun."""
    wait_until(lambda: f"INFO {word}\n" in pod.output(), READY_SECONDS, f"{word}; the log:\n{pod.output()}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_command_that_handles_no_signal_is_not_ended_by_one_as_process_1(starter: Starter, number: signal.Signals) -> None:
    """The ground that the other tests stand on."""
    asleep = starter.process_one("sleep", "60")
    with pytest.raises(AssertionError, match="goes on"):
        asleep.end(number, limit=0.5)


@pytest.mark.parametrize(("loaded", "next_one"), ALL_MOMENTS.values(), ids=ALL_MOMENTS.keys())
def test_signals_count_while_it_imports_even_as_process_1(
    pods: ContainedPods, hub: Hub, tmp_path: Path, loaded: str, next_one: str
) -> None:
    """As of revisions that were made when there was no init."""
    with held_at(looks_for(next_one), tmp_path / "held") as held:
        pod = pods.start(pods.config(hub.minilm), with_init=False, environment=held.environment)
        held.wait(next_one)
        assert pod.handles(signal.SIGTERM), "there was time to import before signals counted"
        assert pod.has_loaded(loaded or next_one) == bool(loaded)
        check(pod, pod.end(), 143)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize(("loaded", "next_one"), MOMENTS.values(), ids=MOMENTS.keys())
def test_on_a_laptop_it_ends_in_silence_while_it_imports(
    starter: Starter, tmp_path: Path, number: signal.Signals, code: int, loaded: str, next_one: str
) -> None:
    with held_at(looks_for(next_one), tmp_path / "held") as held:
        command = (str(BIN / "pinion-serve"), "org/model", "--endpoint", "http://127.0.0.1:9")
        serving = starter.ordinary(*command, environment=held.environment)
        held.wait(next_one)
        assert serving.has_loaded(loaded or next_one) == bool(loaded)
        ended = serving.end(number)
    assert (ended.code, serving.output()) == (code, "")
    assert ended.seconds < AT_ONCE


def test_a_pod_that_is_deleted_soon_after_its_start_is_gone_at_once(pods: ContainedPods, hub: Hub) -> None:
    """A short form of what `make chaos` does 200 times."""
    config = pods.config(hub.minilm)
    for number in range(12):
        delete_after(pods, config, 0.05 + number / 11 * 1.95)


def test_process_1_reaps_what_others_leave(pods: ContainedPods) -> None:
    orphans = "for number in 1 2 3; do (sleep 0 &); done; echo left; exec sleep 60"
    pod = pods.starter.process_one(*pods.init(), "sh", "-c", orphans)
    wait_until(lambda: "left" in pod.output(), 60, "orphans")
    wait_until(lambda: len(pod.children()) == 1, 60, f"process 1 keeps the dead: {pod.children()}")
    assert pod.end().code == 143


def test_while_the_hub_is_asked(pods: ContainedPods, silent_hub: Hub) -> None:
    config = pods.config("pinion/silent")
    silent_hub.order("pinion/silent", {"kind": "silent", "on": "* api/info"})
    asked = silent_hub.stats()["api_requests"]
    pod = pods.start(config)
    wait_until(lambda: silent_hub.stats()["api_requests"] > asked, 60, f"a question; the log:\n{pod.output()}")
    check(pod, pod.end())


def test_while_it_waits_for_another_try(pods: ContainedPods, hub: Hub) -> None:
    config = pods.config(hub.minilm)
    nobody = config.source.model_copy(update={"endpoint": "http://127.0.0.1:9"})
    pod = pods.start(config.model_copy(update={"source": nobody}))
    wait_until(lambda: "trying again" in pod.output(), 60, "a failure")
    ended = pod.end()
    assert ended.seconds < AT_ONCE
    assert ended.code == 0


def test_while_it_fetches(pods: ContainedPods, silent_hub: Hub) -> None:
    config = pods.config("pinion/silent")
    silent_hub.order("pinion/silent", {"kind": "silent", "on": "GET *model.safetensors"})
    gets = silent_hub.repo_stats("pinion/silent").get("file_gets", 0)
    pod = pods.start(config)
    has_said(pod, "Fetching")
    wait_until(lambda: silent_hub.repo_stats("pinion/silent").get("file_gets", 0) > gets, 60, "a file is asked for")
    check(pod, pod.end())


def test_while_it_verifies(pods: ContainedPods, large: str) -> None:
    pod = pods.start(pods.config(large))
    has_said(pod, "Verifying")
    check(pod, pod.end())


def test_while_a_backend_is_silent(pods: ContainedPods, hub: Hub, silence: str) -> None:
    backend = KuboBackend(name="kubo", rpc_url=silence, gateway_url=silence, allow_local_addresses=True)
    pod = pods.start(pods.config(hub.minilm, backends=(backend,)))
    has_said(pod, "Pinning")
    check(pod, pod.end())


def test_while_the_engine_starts(pods: ContainedPods, hub: Hub) -> None:
    pod = pods.start(pods.config(hub.minilm, warmup=LONG_WARMUP))  # if it is told late, it warms up by then
    has_said(pod, "Loading")
    check(pod, pod.end())


def test_while_it_warms_up(pods: ContainedPods, hub: Hub) -> None:
    pod = pods.start(pods.config(hub.minilm, warmup=LONG_WARMUP))
    has_said(pod, "WarmingUp")
    check(pod, pod.end())
