"""The hub and gateways through a proxy and behind an authority of one's own, over real sockets."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinion_ipfs.backends.gateway import Gateway
from pinion_ipfs.errors import BackendUnavailable, ContentError, NoAnswer, OriginUnreachable, Unauthorized
from pinion_ipfs.fetching.fetcher import Fetcher
from pinion_ipfs.fetching.request import FetchRequest
from pinion_ipfs.hub.identity import Commit, RepoId
from pinion_ipfs.hub.revisions import resolve_commit
from pinion_ipfs.net.addresses import NOT_LOCAL
from pinion_ipfs.net.trust import VARIABLE, InvalidAuthorities, child_variables, read_authorities
from pinion_ipfs.peers.client import Peer
from pinion_ipfs.store import Store
from tests.support.environment import environment
from tests.support.forward_proxy import ForwardProxy, forward_proxy
from tests.support.hub import Hub
from tests.support.logs import own_messages
from tests.support.tls_front import tls_front

HUB, OTHER = "hub.private.test", "other.private.test"
ENDPOINT = f"https://{HUB}"
REPO = "pinion-tests/proxied"
NOTHING = dict.fromkeys(
    ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy")
)


@pytest.fixture(scope="module")
def repo(hub: Hub) -> RepoId:
    hub.add_repo(REPO, {"config.json": b"{}", "model.safetensors": os.urandom(300_000)})
    return RepoId.parse(REPO)


@pytest.fixture
def authority(hub: Hub, proxy: ForwardProxy, tmp_path: Path) -> Iterator[Path]:
    """Return the certificate of who signed for the hub; the proxy knows where the hub is."""
    with tls_front(tmp_path / "pki", hub.endpoint, HUB) as (address, certificate):
        proxy.names |= {f"{HUB}:443": address, f"{OTHER}:443": address}
        yield certificate


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with forward_proxy() as running:
        yield running


@pytest.fixture
def behind(proxy: ForwardProxy, authority: Path) -> Iterator[None]:
    with environment(**{**NOTHING, "HTTPS_PROXY": proxy.url, "NO_PROXY": "127.0.0.1,localhost", VARIABLE: str(authority)}):
        yield


def write(path: Path, text: str | None) -> None:
    if text is not None:
        path.write_text(text)


async def fetch(repo: RepoId, commit: Commit, folder: Path, *, local: bool) -> None:
    fetcher = Fetcher(Store(folder / "hf", folder / "hf" / "hub"), [])
    request = FetchRequest(repo=repo, revision="main", commit=commit, endpoint=ENDPOINT, policy=None if local else NOT_LOCAL)
    try:
        await fetcher.verify(await fetcher.fetch(request, await fetcher.resolve(request)))
    finally:
        await fetcher.close()


@pytest.mark.parametrize("local", [True, False], ids=["a hub of ours", "a stranger's hub"])
async def test_a_model_is_resolved_and_fetched_through_the_proxy(
    behind: None, repo: RepoId, proxy: ForwardProxy, tmp_path: Path, local: bool
) -> None:
    commit = await resolve_commit(repo, "main", endpoint=ENDPOINT, policy=None if local else NOT_LOCAL)
    await fetch(repo, commit, tmp_path, local=local)
    assert proxy.hosts() == {f"{HUB}:443"}, "the name leads nowhere else"


ANSWERS = ["407 Proxy Authentication Required", "403 Forbidden", "502 Bad Gateway"]


@pytest.mark.parametrize("answer", ANSWERS)
async def test_what_a_proxy_answers_is_told_as_its_own(behind: None, repo: RepoId, proxy: ForwardProxy, answer: str) -> None:
    proxy.answers[f"{HUB}:443"] = answer
    with pytest.raises(OriginUnreachable, match=f"the proxy {proxy.url} answers {answer}"):
        await resolve_commit(repo, "main", endpoint=ENDPOINT)
    gateway = Gateway("outside", ENDPOINT)
    health = await gateway.probe()
    await gateway.close()
    assert f"the proxy {proxy.url} answers {answer}" in health.reason


@pytest.mark.parametrize("answer", ANSWERS)
async def test_also_while_the_files_come(behind: None, repo: RepoId, proxy: ForwardProxy, tmp_path: Path, answer: str) -> None:
    commit = await resolve_commit(repo, "main", endpoint=ENDPOINT)
    fetcher = Fetcher(Store(tmp_path / "hf", tmp_path / "hf" / "hub"), [])
    request = FetchRequest(repo=repo, revision="main", commit=commit, endpoint=ENDPOINT)
    listing = await fetcher.resolve(request)
    proxy.answers[f"{HUB}:443"] = answer
    with pytest.raises(OriginUnreachable, match=f"the proxy {proxy.url} answers {answer}"):
        await fetcher.fetch(request, listing)
    await fetcher.close()


async def test_a_proxy_that_is_not_there_is_told_without_its_password(authority: Path, repo: RepoId) -> None:
    with environment(**{**NOTHING, "HTTPS_PROXY": "http://user:secret@127.0.0.1:9", VARIABLE: str(authority)}):
        with pytest.raises(OriginUnreachable, match=r"the proxy http://127\.0\.0\.1:9 cannot be reached") as raised:
            await resolve_commit(repo, "main", endpoint=ENDPOINT)
        gateway = Gateway("outside", ENDPOINT)
        health = await gateway.probe()
        await gateway.close()
    assert "the proxy http://127.0.0.1:9 cannot be reached" in health.reason
    assert "secret" not in str(raised.value) + health.reason


@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        ("407 Proxy Authentication Required", OriginUnreachable, "{proxy} answers 407: it asks for credentials"),
        ("502 Bad Gateway", OriginUnreachable, r"HTTP 502 \(through {proxy}\)"),
        ("403 Forbidden", Unauthorized, r"HTTP 403 \(through {proxy}\)"),
    ],
)
async def test_of_plain_http_it_is_told_that_a_proxy_is_on_the_way(
    hub: Hub, repo: RepoId, proxy: ForwardProxy, answer: str, error: type[ContentError], told: str
) -> None:
    with environment(**{**NOTHING, "HTTP_PROXY": proxy.url}):
        await resolve_commit(repo, "main", endpoint=hub.endpoint)
        proxy.answers[hub.endpoint.removeprefix("http://")] = answer
        with pytest.raises(error, match=told.format(proxy=f"the proxy {proxy.url}")):
            await resolve_commit(repo, "main", endpoint=hub.endpoint)


async def test_a_certificate_that_is_not_trusted_is_told_with_host_and_reason(
    behind: None, repo: RepoId, authority: Path, tmp_path: Path
) -> None:
    commit = await resolve_commit(repo, "main", endpoint=ENDPOINT)
    unknown = f"the certificate of {HUB} is not trusted: unable to get local issuer certificate"
    with environment(**{VARIABLE: None}):
        with pytest.raises(OriginUnreachable, match=unknown):
            await resolve_commit(repo, "main", endpoint=ENDPOINT)
        with pytest.raises(OriginUnreachable, match=unknown):
            await fetch(repo, commit, tmp_path, local=True)
        gateway = Gateway("outside", ENDPOINT)
        assert unknown in (await gateway.probe()).reason
        await gateway.close()
    with pytest.raises(OriginUnreachable, match=f"the certificate of {OTHER} is not trusted: Hostname mismatch"):
        await resolve_commit(repo, "main", endpoint=f"https://{OTHER}")


async def test_of_a_hub_that_somebody_else_chose_the_log_alone_has_the_cause(
    behind: None, repo: RepoId, proxy: ForwardProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Who writes a URL into an object must not learn what is behind it."""
    proxy.answers[f"{HUB}:443"] = "403 Forbidden"
    gateway = Gateway("outside", ENDPOINT, policy=NOT_LOCAL)
    health = await gateway.probe()
    await gateway.close()
    with pytest.raises(NoAnswer, match=NOT_LOCAL.no_answer(ENDPOINT)[:60]) as raised:
        await resolve_commit(repo, "main", endpoint=ENDPOINT, policy=NOT_LOCAL)
    assert "403" not in str(raised.value) + health.reason
    assert [f"the proxy {proxy.url} answers 403 Forbidden" in message for message in own_messages(caplog)] == [True, True]


async def test_an_authority_counts_from_the_moment_when_its_file_changes(
    behind: None, repo: RepoId, authority: Path, tmp_path: Path
) -> None:
    """As a mounted ConfigMap changes: nothing is restarted."""
    mounted, certificates = tmp_path / "mounted.crt", read_authorities(authority)
    gateway = Gateway("outside", ENDPOINT)
    with environment(**{VARIABLE: str(mounted)}):
        for text in (None, "no certificate"):
            write(mounted, text)
            assert not (await gateway.probe()).usable
            with pytest.raises(OriginUnreachable, match="is not trusted"):
                await resolve_commit(repo, "main", endpoint=ENDPOINT)
        write(mounted, certificates)
        assert (await gateway.probe()).usable
        await fetch(repo, await resolve_commit(repo, "main", endpoint=ENDPOINT), tmp_path, local=True)
    await gateway.close()


async def test_peers_are_asked_directly(proxy: ForwardProxy) -> None:
    with environment(**{**NOTHING, "HTTP_PROXY": proxy.url}):
        peer, gateway = Peer("http://127.0.0.1:9", token="t"), Gateway("outside", "http://127.0.0.1:9")
        with pytest.raises(BackendUnavailable):
            await peer.revision("d" * 64)
        await peer.close()
        assert proxy.asked == []
        await gateway.probe()
        await gateway.close()
    assert proxy.hosts() == {"127.0.0.1:9"}, "else this test shows nothing"


def test_the_library_of_xet_transfers_takes_the_same_variables(behind: None, proxy: ForwardProxy, tmp_path: Path) -> None:
    """It has an HTTP client of its own, which reads the environment: through the proxy, and past the certificate."""
    program = """
import sys, hf_xet
with hf_xet.XetSession().new_file_download_group(endpoint=sys.argv[1], token="t", token_expiry_unix_secs=4102444800) as group:
    group.start_download_file(hf_xet.XetFileInfo("a" * 64, 10), sys.argv[2])
"""
    once = {"HF_XET_CLIENT_RETRY_MAX_ATTEMPTS": "1", "HF_XET_CLIENT_RETRY_MAX_DURATION": "1s"}  # else it tries for minutes

    def run(bundle: dict[str, str]) -> str:
        command = [sys.executable, "-c", program, ENDPOINT, str(tmp_path / "file")]
        variables = {**os.environ, **once, "HF_HOME": str(tmp_path), **bundle}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode != 0
        return done.stderr

    assert "404 Not Found" in run(child_variables(tmp_path / "bundle")), "the mirror, which has no such path, was reached"
    assert proxy.hosts() == {f"{HUB}:443"}
    assert "error sending request" in run({})


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "not a certificate"),
        (b"x" * (512 * 1024 + 1), "more than 524288 bytes"),
        (None, "No such file"),
    ],
)
def test_what_is_no_file_of_certificates_is_refused_by_name(tmp_path: Path, data: bytes | None, told: str) -> None:
    path = tmp_path / "ca.crt"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidAuthorities, match=f"{path}.*{told}"):
        read_authorities(path)


def test_of_a_file_with_a_key_only_the_certificates_are_taken(authority: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text(authority.with_suffix(".key").read_text() + authority.read_text())
    assert read_authorities(both).split() == authority.read_text().split()
    assert "PRIVATE KEY" in both.read_text()


def test_a_child_is_told_of_nothing_where_nothing_is_added(tmp_path: Path) -> None:
    with environment(**{VARIABLE: None}):
        assert child_variables(tmp_path / "bundle") == {}
    assert not (tmp_path / "bundle").exists()
