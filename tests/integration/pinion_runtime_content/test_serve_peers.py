"""Whole pods that share: the second takes the model from the first, and each ends without leaving a process behind."""

import hashlib
import os
import signal
from pathlib import Path

import httpx

from devcluster.processes import Process, all_processes
from pinion_contract import metric_names as names
from pinion_contract.config import KuboBackend, Peers, RuntimeConfig
from pinion_contract.status import Phase, SourceType
from pinion_runtime.pod.memory import tree
from tests.support.hub import Hub
from tests.support.ports import free_port
from tests.support.serve import Serve, Served, commit_of, make_config, make_live, wait_until

PATIENCE = 90.0
MIB = 1024 * 1024


def peers_at(serve: Serve, port: int) -> Peers:
    token = serve.folder / "peers-token"
    token.write_text("the-deployments-own\n")
    return Peers(host="127.0.0.1", port=port, token_file=str(token))


def waiting(serve: Serve, hub: Hub, repo: str, commit: str, peer_port: int) -> RuntimeConfig:
    """Return the configuration of a pod that brings a model and then waits for a backend: no engine is started."""
    nobody = f"http://127.0.0.1:{free_port()}"
    down = KuboBackend(name="down", rpc_url=nobody, gateway_url=nobody, allow_local_addresses=True)
    return make_config(hub, repo, commit, peers=peers_at(serve, peer_port), backends=(down,), fallback="None")


def content_process(served: Served) -> Process | None:
    mine = set(tree(served.process.pid))
    found = [each for each in all_processes() if each.pid in mine and "pinion_ipfs serve" in " ".join(each.arguments)]
    return found[0] if found else None


def revision(served: Served, digest: str) -> httpx.Response | None:
    """Ask a pod's content port as a peer does; None while nobody listens."""
    headers = {"Authorization": "Bearer the-deployments-own"}
    try:
        return httpx.get(
            f"http://127.0.0.1:{served.content_port}/v1/revisions/{digest}", headers=headers, timeout=10, verify=False
        )
    except httpx.TransportError:
        return None


def is_complete(served: Served, digest: str) -> bool:
    answer = revision(served, digest)
    return answer is not None and answer.status_code == 200 and answer.json()["state"] == "Complete"


def test_the_second_pod_takes_the_model_from_the_first(serve: Serve, hub: Hub) -> None:
    files = {
        "config.json": b"{}",
        "tokenizer.json": b"[]",
        "model.safetensors": os.urandom(3 * MIB + 1),
        "sub/other.bin": os.urandom(MIB),
    }
    hub.add_repo("shared/by-pods", files)
    commit = commit_of(hub, "shared/by-pods")
    first = serve.config(waiting(serve, hub, "shared/by-pods", commit, free_port()), make_live(), cache=serve.folder / "1")
    served = first.wait_for(Phase.PINNING)
    assert {source.type for source in served.transfer.sources} == {SourceType.ORIGIN}
    gets = hub.repo_stats("shared/by-pods")["file_gets"]

    config = waiting(serve, hub, "shared/by-pods", commit, first.content_port)
    second = serve.config(config, make_live(), cache=serve.folder / "2")
    status = second.wait_for(Phase.PINNING)
    (source,) = status.transfer.sources
    assert (source.type, source.name) == (SourceType.PEER, f"127.0.0.1:{first.content_port}")
    assert source.bytes == status.model.size_bytes == sum(map(len, files.values()))
    assert status.model.cid == served.model.cid
    assert hub.repo_stats("shared/by-pods")["file_gets"] == gets
    assert second.metric(names.TRANSFER_BYTES_TOTAL, source="Peer") == status.model.size_bytes
    assert second.metric(names.IPFS_OPERATIONS_TOTAL, operation="fetch", backend="peers", status="ok") == 1
    assert status.findings == ()

    # A content server that is killed comes back, and offers what it offered.
    killed = content_process(first)
    assert killed is not None
    killed.kill(signal.SIGKILL)
    wait_until(
        lambda: (found := content_process(first)) is not None and found.pid != killed.pid, PATIENCE, "another content server"
    )
    wait_until(lambda: is_complete(first, status.model.source_digest), PATIENCE, "the offer is made again")
    assert first.status().phase is Phase.PINNING

    # Who is told to end ends its own; what a killed front leaves ends by itself.
    for pod, signum in ((first, signal.SIGTERM), (second, signal.SIGKILL)):
        ends_with_all_of_it(pod, signum)


def ends_with_all_of_it(pod: Served, signum: signal.Signals, least: int = 2) -> None:
    """Send a pod's front a signal and wait until it and everything that it started is gone."""
    pids = set(tree(pod.process.pid))
    everybody = [each for each in all_processes() if each.pid in pids]
    assert len(everybody) >= least
    os.kill(pod.process.pid, signum)
    pod.wait_ended()
    wait_until(lambda: not any(each.alive for each in everybody), PATIENCE, "every process of the pod ends")


def test_a_front_killed_while_fetching_leaves_no_process_and_keeps_whole_files(slow_hub: Hub, tmp_path: Path) -> None:
    files = {f"model-{number}.safetensors": os.urandom(1_500_000) for number in range(8)}
    files |= {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors.index.json": b"1"}
    slow_hub.add_repo("killed/fetch", files)
    # One of the first files does not come to its end before the front is killed.
    slow_hub.order("killed/fetch", {"kind": "stall", "on": "GET model-0.safetensors", "times": 1})
    serve = Serve(slow_hub, tmp_path, tmp_path / "cache")
    try:
        commit = commit_of(slow_hub, "killed/fetch")
        config = waiting(serve, slow_hub, "killed/fetch", commit, free_port())
        served = serve.config(config, make_live())
        blobs = tmp_path / "cache/hub/models--killed--fetch/blobs"
        wait_until(lambda: blobs.is_dir() and len(list(blobs.iterdir())) >= 4, PATIENCE, "some whole files")
        ends_with_all_of_it(served, signal.SIGKILL, least=3)  # front, content server, download
        kept = {path.name for path in blobs.iterdir()}  # each named by its sha256
        whole = {path for path, data in files.items() if hashlib.sha256(data).hexdigest() in kept}
        before = slow_hub.repo_stats("killed/fetch")["gets_by_path"]
        again = serve.config(config, make_live())
        again.wait_for(Phase.PINNING)
        after = slow_hub.repo_stats("killed/fetch")["gets_by_path"]
        asked_again = {path for path, count in after.items() if count > before.get(path, 0)}
        assert len(whole) >= 4
        assert asked_again
        assert not asked_again & whole
    finally:
        serve.stop_all()
