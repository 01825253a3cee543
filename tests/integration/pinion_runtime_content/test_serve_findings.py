"""What a pod tells of wrong bytes that it found: in its status and its metrics, with file, block and source."""

import asyncio
import os
from pathlib import Path

from pinion_contract import metric_names as names
from pinion_contract.config import KuboBackend, Peers
from pinion_contract.status import Phase, SourceType
from tests.support.content_pods import deployment
from tests.support.fetching import make_request
from tests.support.hub import Hub
from tests.support.ports import free_port
from tests.support.serve import Serve, commit_of, make_config, make_live

MIB = 1024 * 1024


async def test_a_wrong_block_of_a_peer_and_a_wrong_answer_of_the_hub(serve: Serve, hub: Hub, tmp_path: Path) -> None:
    data = os.urandom(3 * MIB)
    hub.add_repo("told/findings", {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": data})
    async with deployment(tmp_path) as pods:
        (peer,) = await pods.start()
        snapshot = await peer.run(await make_request(hub, "told/findings"))
        with snapshot.files["model.safetensors"].open("r+b") as stream:
            stream.seek(2 * MIB + 1)
            stream.write(bytes([data[2 * MIB + 1] ^ 1]))
        hub.order("told/findings", {"kind": "flip", "on": "GET model.safetensors", "times": 1, "at": 0.4})
        host, port = peer.process.address or ("", 0)
        peers = Peers(host=host, port=port, token_file=str(pods.token_file))
        nobody = f"http://127.0.0.1:{free_port()}"
        down = KuboBackend(name="down", rpc_url=nobody, gateway_url=nobody, allow_local_addresses=True)
        commit = commit_of(hub, "told/findings")
        # It waits for the backend with what it has: no engine is needed to see this.
        config = make_config(hub, "told/findings", commit, peers=peers, backends=(down,), fallback="None")
        served = serve.config(config, make_live(), cache=tmp_path / "cache")
        status = await asyncio.to_thread(served.wait_for, Phase.PINNING)
        told = [(each.source_type, each.source, each.path, each.block) for each in status.findings]
        assert told == [
            (SourceType.PEER, f"{host}:{port}", "model.safetensors", 2),
            (SourceType.ORIGIN, hub.endpoint, "model.safetensors", 1),
        ]
        assert all("expected" in each.message or "announced" in each.message for each in status.findings)
        assert served.metric(names.WRONG_CONTENT_TOTAL, source="Peer") == 1
        assert served.metric(names.WRONG_CONTENT_TOTAL, source="Origin") == 1
        assert served.metric(names.TRANSFER_BYTES_TOTAL, source="Peer") >= 2  # config.json, and what was good of the other
        assert status.model.cid == str(snapshot.cid)


async def test_what_changed_on_disk_between_two_starts_is_found_and_fetched_again(serve: Serve, hub: Hub) -> None:
    data = os.urandom(3 * MIB)
    hub.add_repo("told/changed", {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": data})
    nobody = f"http://127.0.0.1:{free_port()}"
    down = KuboBackend(name="down", rpc_url=nobody, gateway_url=nobody, allow_local_addresses=True)
    config = make_config(hub, "told/changed", commit_of(hub, "told/changed"), backends=(down,), fallback="None")
    cache = serve.folder / "own-cache"
    first = serve.config(config, make_live(), cache=cache)
    cid = (await asyncio.to_thread(first.wait_for, Phase.PINNING)).model.cid
    first.terminate()
    assert await asyncio.to_thread(first.wait_ended) == 0
    (file,) = (cache / "hub/models--told--changed/snapshots").glob("*/model.safetensors")
    with file.open("r+b") as stream:
        stream.seek(MIB + 1)
        stream.write(bytes([data[MIB + 1] ^ 1]))
    second = serve.config(config, make_live(), cache=cache)
    status = await asyncio.to_thread(second.wait_for, Phase.PINNING)
    told = [(each.source_type, each.path, each.block) for each in status.findings]
    assert told == [(SourceType.STORE, "model.safetensors", 1)]
    assert status.model.cid == cid
    assert file.read_bytes() == data
    assert hub.repo_stats("told/changed")["gets_by_path"] == {"config.json": 1, "tokenizer.json": 1, "model.safetensors": 2}
