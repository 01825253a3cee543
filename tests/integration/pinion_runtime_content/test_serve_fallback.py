"""A backend that is down: a pod serves all the same and pins when it is back, or waits when it was told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devcluster.processes import all_processes
from pinion_contract import metric_names as names
from pinion_contract.config import CircuitBreaker, KuboBackend
from pinion_contract.status import FailureReason, Phase, SourceType
from pinion_runtime.pod.memory import tree
from tests.support.hub import Hub
from tests.support.kubo import Kubo, ManagedRepo
from tests.support.models import TinyModels
from tests.support.relay import Relay, relay
from tests.support.serve import Serve, commit_of, make_config, make_live, stopped, wait_until

pytestmark = [pytest.mark.model, pytest.mark.kubo]
PATIENCE = 120.0


@pytest.fixture
def rpc() -> Iterator[Relay]:
    with relay() as running:
        yield running


@pytest.fixture
def gateway() -> Iterator[Relay]:
    with relay() as running:
        yield running


@pytest.fixture
def late_kubo(ipfs_binary: Path, managed_repo: ManagedRepo, tmp_path: Path) -> Iterator[Kubo]:
    """Yield a daemon that the test starts."""
    daemon = managed_repo.copy(ipfs_binary, tmp_path / "kubo")
    try:
        yield daemon
    finally:
        daemon.stop()


def backend(kubo: Kubo, rpc: Relay, gateway: Relay, folder: Path) -> KuboBackend:
    token = folder / "token"
    token.write_text(kubo.token + "\n")
    return KuboBackend(
        name="late",
        rpc_url=rpc.url,
        gateway_url=gateway.url,
        token_file=str(token),
        allow_local_addresses=True,
        circuit_breaker=CircuitBreaker(min_requests=1, open_seconds=2),
    )


def test_automatic_serves_without_a_pin_and_pins_when_the_backend_is_back(
    serve: Serve, hub: Hub, tiny_models: TinyModels, late_kubo: Kubo, rpc: Relay, gateway: Relay
) -> None:
    tiny_models.copy(hub.root / "tiny/automatic", seed=12)
    config = make_config(
        hub, "tiny/automatic", commit_of(hub, "tiny/automatic"), backends=(backend(late_kubo, rpc, gateway, serve.folder),)
    )
    served = serve.config(config, make_live())
    status = served.wait_ready()
    assert (status.backend.active, status.backend.preferred, status.backend.degraded) == ("", "late", True)
    assert status.backend.pinned_in == ()
    assert any(reason.startswith("late: ") for reason in status.backend.reasons)
    assert status.failure is None
    assert served.metric(names.CIRCUIT_STATE, backend="late", state="Closed") == 0
    assert served.metric(names.CIRCUIT_STATE, backend="late") == 1, "Open, or HalfOpen by now"
    assert served.post({"model": served.model, "input": "x"}).status_code == 200

    late_kubo.start()
    rpc.lead_to(late_kubo.rpc_url)
    gateway.lead_to(late_kubo.gateway_url)
    served.wait_until(lambda: served.status().backend.pinned_in == ("late",), PATIENCE, "the pin")
    backend_use = served.status().backend
    assert (backend_use.active, backend_use.degraded, backend_use.reasons) == ("late", False, ())
    assert status.model.cid in late_kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    assert served.metric(names.IPFS_OPERATIONS_TOTAL, operation="pin", backend="late", status="ok") == 1
    assert served.metric(names.CIRCUIT_STATE, backend="late", state="Closed") == 1
    assert served.phase() is Phase.READY

    # What the backend loses is brought again; meanwhile nobody says that it is pinned there.
    with stopped(served.process.pid):  # it would bring back what is gone before all of it is
        late_kubo.ipfs("pin", "rm", status.model.cid, status.model.manifest_cid)
        late_kubo.ipfs("repo", "gc", "--quiet")
        assert late_kubo.ipfs("pin", "ls", "--type=recursive", "--quiet") == ""
    lost = f"no longer pinned in late: {status.model.cid}"
    served.wait_until(lambda: lost in served.log_end(), PATIENCE, lost)
    served.wait_until(lambda: served.status().backend.pinned_in == ("late",), PATIENCE, "the pin again")
    assert served.metric(names.IPFS_OPERATIONS_TOTAL, operation="pin", backend="late", status="ok") == 2
    assert status.model.cid in late_kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split()
    late_kubo.ipfs("dag", "stat", "--progress=false", status.model.cid)  # whole: it asks nobody else

    # A front that is killed takes its engine with it.
    pids = set(tree(served.process.pid))
    everybody = [each for each in all_processes() if each.pid in pids]
    assert len(everybody) >= 2
    served.process.kill()
    served.wait_ended()
    wait_until(lambda: not any(each.alive for each in everybody), PATIENCE, "every process of the pod ends")


def test_none_waits_for_the_pin(
    serve: Serve, hub: Hub, tiny_models: TinyModels, late_kubo: Kubo, rpc: Relay, gateway: Relay
) -> None:
    tiny_models.copy(hub.root / "tiny/none", seed=13)
    backends = (backend(late_kubo, rpc, gateway, serve.folder),)
    config = make_config(hub, "tiny/none", commit_of(hub, "tiny/none"), backends=backends, fallback="None")
    served = serve.config(config, make_live())
    status = served.wait_failure(FailureReason.PIN_FAILED)
    assert status.phase is Phase.PINNING
    assert status.failure is not None
    assert status.failure.retrying
    assert "late" in status.failure.message
    assert served.get("/readyz").status_code == 503
    assert served.metric(names.IPFS_OPERATIONS_TOTAL, operation="pin", backend="late", status="error") >= 1
    # A bit that flips meanwhile is found before it is sent or loaded; the file is fetched again.
    (blob,) = (path.resolve() for path in (serve.cache / "hub/models--tiny--none/snapshots").glob("*/model.safetensors"))
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)
    late_kubo.start()
    rpc.lead_to(late_kubo.rpc_url)
    gateway.lead_to(late_kubo.gateway_url)
    status = served.wait_ready()
    assert status.backend.pinned_in == ("late",)
    (finding,) = status.findings
    assert (finding.source_type, finding.path, finding.block) == (SourceType.STORE, "model.safetensors", 0)
    assert served.metric(names.WRONG_CONTENT_TOTAL, source="Store") == 1
    assert status.model.opened_cid == status.model.cid
