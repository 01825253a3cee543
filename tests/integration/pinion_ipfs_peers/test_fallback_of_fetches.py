"""A backend that is down before or in the middle of a fetch: the next source goes on, or, without fallback, nobody does."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pinion_ipfs.backends.base import Backend
from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.backends.kubo_rpc import KuboRpc
from pinion_ipfs.errors import BackendUnavailable
from pinion_ipfs.fetching.fetcher import FetchRequest
from tests.support.fetching import make_fetching, make_request
from tests.support.hub import Hub
from tests.support.kubo import Kubo
from tests.support.relay import Relay, relay

pytestmark = pytest.mark.kubo
MIB = 1024 * 1024
FIRST, SECOND = 2 * MIB, 8 * MIB
CUT = 8 * MIB  # in the second file, and far enough in it that the first has surely been taken


@pytest.fixture
def gateway() -> Iterator[Relay]:
    """Yield the port of Kubo's gateway, which is down."""
    with relay() as running:
        yield running


def backends(kubo: Kubo, gateway: Relay) -> list[Backend]:
    return [KuboRpc("kubo", kubo.rpc_url, token=kubo.token), Gateway("kubo", gateway.url)]


async def pinned(hub: Hub, repo: str, kubo: Kubo, home: Path) -> FetchRequest:
    """Bring a model of two files to Kubo and return the request of those who come later."""
    hub.add_repo(repo, {"a.safetensors": os.urandom(FIRST), "b.safetensors": os.urandom(SECOND)})
    first = make_fetching(home, [KuboRpc("kubo", kubo.rpc_url, token=kubo.token)])
    snapshot = await first.run(await make_request(hub, repo))
    await first.fetcher.pin(snapshot)
    await first.fetcher.close()
    return await make_request(hub, repo, cid=snapshot.cid, manifest_cid=snapshot.manifest_cid)


async def test_with_fallback_the_origin_gives_what_the_backend_did_not(
    hub: Hub, kubo: Kubo, gateway: Relay, tmp_path: Path
) -> None:
    request = await pinned(hub, "fall/back", kubo, tmp_path / "first")
    for number, cut in enumerate((0, CUT)):  # down before; cut in the second of the two files
        if cut:
            gateway.lead_to(kubo.gateway_url, cut_after=cut)
        before = hub.repo_stats("fall/back")["file_gets"]
        one = make_fetching(tmp_path / f"pod-{number}", backends(kubo, gateway))
        await one.run(request)
        await one.fetcher.close()
        (fetched,) = [receipt for receipt in one.receipts if receipt.operation == "fetch"]
        assert (fetched.backend, fetched.preferred, fetched.degraded) == (hub.endpoint, "kubo", True)
        assert [(attempt.backend, bool(attempt.error)) for attempt in fetched.attempts] == [("kubo", True)]
        assert hub.repo_stats("fall/back")["file_gets"] == before + (1 if cut else 2)
        by_source = {source.type: source.bytes for source in one.progress[-1].sources}
        assert by_source == ({"Backend": FIRST, "Origin": SECOND} if cut else {"Origin": FIRST + SECOND})
        assert not one.findings


async def test_without_fallback_a_known_model_waits_for_its_backend(
    hub: Hub, kubo: Kubo, gateway: Relay, tmp_path: Path
) -> None:
    request = replace(await pinned(hub, "no/fallback", kubo, tmp_path / "first"), fallback=False)
    before = hub.repo_stats("no/fallback")["file_gets"]
    one = make_fetching(tmp_path / "pod", backends(kubo, gateway))
    with pytest.raises(BackendUnavailable, match=r"without fallback the origin is not asked: kubo: ") as caught:
        await one.run(request)
    assert (caught.value.reason, caught.value.retryable) == ("BackendUnavailable", True)
    gateway.lead_to(kubo.gateway_url, cut_after=CUT)
    with pytest.raises(BackendUnavailable):
        await one.run(request)
    gateway.lead_to(kubo.gateway_url)
    await one.run(request)
    await one.fetcher.close()
    # The file that was whole when the backend went away was not fetched again.
    assert {source.type: source.bytes for source in one.progress[-1].sources} == {"Store": FIRST, "Backend": SECOND}
    assert hub.repo_stats("no/fallback")["file_gets"] == before
