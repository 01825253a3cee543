"""Whole pods behind a proxy and an authority of one's own: the hub is asked through it, and peers are not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinion_contract.config import HuggingFaceSource, KuboBackend, Peers, RuntimeConfig
from pinion_contract.status import FailureReason, SourceType
from tests.support.environment import environment
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.hub import Hub
from tests.support.ports import free_port
from tests.support.serve import Serve, Served, commit_of, make_config, make_live
from tests.support.tls_front import tls_front

HOST, REPO = "hub.private.test", "proxied/by-pods"
ENDPOINT = f"https://{HOST}"


@pytest.fixture
def authority(hub: Hub, proxy: ForwardProxy, tmp_path: Path) -> Iterator[Path]:
    with tls_front(tmp_path / "pki", hub.endpoint, HOST) as (address, certificate):
        proxy.names[f"{HOST}:443"] = address
        yield certificate


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy() as running:
        yield running


@pytest.fixture
def config(hub: Hub, serve: Serve) -> RuntimeConfig:
    """Return that of a pod which brings a model and then waits for a backend: no engine is started."""
    hub.add_repo(REPO, {"config.json": b"{}", "tokenizer.json": b"[]", "model.safetensors": os.urandom(2_000_000)})
    commit = commit_of(hub, REPO)
    nobody = f"http://127.0.0.1:{free_port()}"
    down = KuboBackend(name="down", rpc_url=nobody, gateway_url=nobody, allow_local_addresses=True)
    source = HuggingFaceSource(repo=REPO, commit=commit, endpoint=ENDPOINT, allow_local_addresses=True)
    return make_config(hub, REPO, commit, source=source, backends=(down,), fallback="None")


def start(serve: Serve, config: RuntimeConfig, proxy: ForwardProxy, authority: Path | None, folder: str) -> Served:
    variables = {"HTTP_PROXY": proxy.url, "HTTPS_PROXY": proxy.url, "NO_PROXY": ".svc"}
    with environment(**variables, PINION_CA_FILE=str(authority) if authority else None):
        return serve.config(config, make_live(), cache=serve.folder / folder)


def test_the_hub_is_asked_through_the_proxy_and_peers_are_not(
    serve: Serve, config: RuntimeConfig, proxy: ForwardProxy, authority: Path
) -> None:
    token = serve.folder / "peers-token"
    token.write_text("the-deployments-own\n")

    def with_peer(port: int) -> RuntimeConfig:
        return config.model_copy(update={"peers": Peers(host="127.0.0.1", port=port, token_file=str(token))})

    first = start(serve, with_peer(free_port()), proxy, authority, "first")
    first.wait_failure(FailureReason.PIN_FAILED)
    assert f"{HOST}:443" in proxy.hosts()
    second = start(serve, with_peer(first.content_port), proxy, authority, "second")

    def brought() -> bool:
        transfer = second.status().transfer
        return transfer.completed_bytes == transfer.total_bytes > 0

    second.wait_until(lambda: second.phase() is not None and brought(), 60, "the second has it")
    assert {source.type for source in second.status().transfer.sources} == {SourceType.PEER}
    assert f"127.0.0.1:{first.content_port}" not in proxy.hosts()


def test_why_it_cannot_be_asked_is_told_in_status_and_log(
    serve: Serve, config: RuntimeConfig, proxy: ForwardProxy, authority: Path
) -> None:
    told = {
        None: f"the certificate of {HOST} is not trusted: unable to get local issuer certificate",
        authority: f"the proxy {proxy.url} answers 407 Proxy Authentication Required",
    }
    for trusted, message in told.items():
        served = start(serve, config, proxy, trusted, "none")
        status = served.wait_failure(FailureReason.ORIGIN_UNREACHABLE)
        assert status.failure is not None
        assert message in status.failure.message
        assert status.failure.retrying
        assert message in served.log.read_text()
        served.terminate()
        assert served.wait_ended() == 0
        proxy.answers[f"{HOST}:443"] = "407 Proxy Authentication Required"
