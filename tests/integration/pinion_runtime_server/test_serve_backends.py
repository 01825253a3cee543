"""A pod and a real Kubo: the first pins its bytes there, the second has them from there and asks the hub for none."""

from pathlib import Path

import pytest

from pinion_contract import metric_names as names
from pinion_contract.config import KuboBackend, LiveConfig
from pinion_contract.status import SourceType
from tests.support.hub import Hub
from tests.support.kubo import Kubo
from tests.support.serve import Serve, commit_of, make_config, make_live

pytestmark = [pytest.mark.model, pytest.mark.kubo]


def backend(kubo: Kubo, folder: Path) -> KuboBackend:
    """Return the daemon as a pod's configuration names it."""
    token = folder / "token"
    token.write_text(kubo.token + "\n")
    return KuboBackend(
        name="store", rpc_url=kubo.rpc_url, gateway_url=kubo.gateway_url, token_file=str(token), allow_local_addresses=True
    )


def test_the_second_pod_reads_from_kubo(serve: Serve, hub: Hub, kubo: Kubo) -> None:
    config = make_config(hub, hub.minilm, commit_of(hub, hub.minilm), backends=(backend(kubo, serve.folder),))
    first = serve.config(config, make_live(), cache=serve.folder / "first")
    status = first.wait_ready()
    assert status.backend.pinned_in == ("store",)
    assert (status.backend.active, status.backend.preferred, status.backend.degraded) == ("store", "store", False)
    assert first.metric(names.IPFS_OPERATIONS_TOTAL, operation="pin", backend="store", status="ok") == 1
    first.terminate()
    assert first.wait_ended() == 0

    gets = hub.repo_stats(hub.minilm)["file_gets"]
    live = LiveConfig(cid=status.model.cid, manifest_cid=status.model.manifest_cid)
    second = serve.config(config, live, cache=serve.folder / "second")
    again = second.wait_ready()
    assert hub.repo_stats(hub.minilm)["file_gets"] == gets
    assert [(source.type, source.name) for source in again.transfer.sources] == [(SourceType.BACKEND, "store")]
    assert again.transfer.sources[0].bytes == status.model.size_bytes
    assert again.model.opened_cid == status.model.cid
    assert second.metric(names.IPFS_OPERATIONS_TOTAL, operation="fetch", backend="store", status="ok") == 1
    assert second.metric(names.TRANSFER_BYTES_TOTAL, source="Backend") == status.model.size_bytes
    assert second.post({"model": second.model, "input": "x"}).status_code == 200
