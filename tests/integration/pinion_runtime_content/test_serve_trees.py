"""A model that its CID alone names, served by whole pods: from Kubo, then from each other, with no hub anywhere."""

from pathlib import Path

import numpy as np
import pytest

from pinion_contract.config import IpfsSource, KuboBackend, Peers, RuntimeConfig
from pinion_contract.status import FailureReason, Phase, SourceType
from pinion_ipfs.content.cid import Cid
from tests.support.hub import Hub
from tests.support.kubo import Kubo
from tests.support.models import TinyModels
from tests.support.ports import free_port
from tests.support.serve import Serve, make_config, make_live
from tests.support.vectors import answered

pytestmark = [pytest.mark.model, pytest.mark.kubo]
AS_BY_DEFAULT = ("--cid-version=0", "--raw-leaves=false", "--chunker=size-262144", "--max-file-links=174")
NO_HUB = {"HF_ENDPOINT": "http://127.0.0.1:9"}


def pod(serve: Serve, source: IpfsSource, peer_port: int, *backends: KuboBackend) -> RuntimeConfig:
    token = serve.folder / "peers-token"
    token.write_text("the-deployments-own\n")
    peers = Peers(host="127.0.0.1", port=peer_port, token_file=str(token))
    return make_config(serve.hub, "no/hub", "0" * 40, source=source, backends=backends, peers=peers)


def test_the_first_pod_takes_it_from_kubo_and_the_second_one_from_the_first(
    serve: Serve, hub: Hub, kubo: Kubo, tiny_models: TinyModels, tmp_path: Path
) -> None:
    folder = tiny_models.copy(tmp_path / "models/tiny")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    root, cid = (str(Cid.parse(kubo.add(path, "--pin=false", *AS_BY_DEFAULT))) for path in (tmp_path / "models", folder))
    token = tmp_path / "token"
    token.write_text(kubo.token)
    local = KuboBackend(
        name="kubo", rpc_url=kubo.rpc_url, gateway_url=kubo.gateway_url, token_file=str(token), allow_local_addresses=True
    )
    asked = hub.stats()
    serve.variables = NO_HUB
    source, named = IpfsSource(cid=root, path="tiny"), make_live().model_copy(update={"served_names": ("tiny",)})
    first = serve.config(pod(serve, source, free_port(), local), named, cache=tmp_path / "1")
    status = first.wait_ready()
    assert (status.model.cid, status.model.opened_cid) == (cid, cid)
    assert (status.model.source_cid, status.model.source_path, status.model.repo) == (root, "tiny", "")
    assert {source.type for source in status.transfer.sources} == {SourceType.BACKEND}
    assert status.backend.pinned_in == ("kubo",)
    assert Cid.parse(cid) in map(Cid.parse, kubo.ipfs("pin", "ls", "--type=recursive", "--quiet").split())
    answer = first.post({"model": "tiny", "input": "a kettle"})
    assert (answer.status_code, answer.headers["x-model-cid"]) == (200, cid)

    # It has no backend at all: names, nodes and bytes come from the first.
    second = serve.config(pod(serve, source, first.content_port), named, cache=tmp_path / "2")
    status = second.wait_ready()
    assert (status.model.cid, status.model.opened_cid) == (cid, cid)
    assert {(source.type, source.name) for source in status.transfer.sources} == {
        (SourceType.PEER, f"127.0.0.1:{first.content_port}")
    }
    # Two engines need not have the same last bits.
    np.testing.assert_allclose(answered(second.post({"model": "tiny", "input": "a kettle"})), answered(answer), atol=1e-6)
    assert hub.stats() == asked


def test_on_a_laptop_it_comes_from_a_gateway_and_then_from_the_cache(
    serve: Serve, kubo: Kubo, tiny_models: TinyModels, tmp_path: Path
) -> None:
    cid = kubo.add(tiny_models.make(), "--pin=false", *AS_BY_DEFAULT)
    serve.variables = NO_HUB
    serve.cache = tmp_path / "cache"
    served = serve.local(f"ipfs://{cid}", "tiny", "--served-name", "tiny", "--gateway", kubo.gateway_url)
    assert served.wait_ready().model.cid == str(Cid.parse(cid))
    served.terminate()
    assert served.wait_ended() == 0
    served = serve.local(f"ipfs://{cid}", "tiny", "--served-name", "tiny", "--offline")
    status = served.wait_ready()
    assert {source.type for source in status.transfer.sources} == {SourceType.STORE}
    assert served.post({"model": "tiny", "input": "a kettle"}).status_code == 200


def test_what_nobody_delivers_is_told_by_name_and_tried_again(serve: Serve, tiny_models: TinyModels, tmp_path: Path) -> None:
    cid = "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    live = make_live().model_copy(update={"served_names": ("tiny",)})
    served = serve.config(pod(serve, IpfsSource(cid=cid), free_port()), live, cache=tmp_path / "1")
    status = served.wait_failure(FailureReason.BACKEND_UNAVAILABLE)
    assert status.failure is not None
    assert (status.phase, status.failure.retrying) == (Phase.RESOLVING, True)
    assert cid in status.failure.message
